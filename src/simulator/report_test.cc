#include "simulator/report.h"

#include <gmock/gmock.h>

#include <set>

#include "simulator/testing_study.h"

namespace pixelfleet::simulator {
namespace {

using testing::HasSubstr;
using testing::Not;

Study study_of(std::vector<std::string> traces, std::vector<Contender> contenders) {
  StudyPlan plan;
  plan.traces = std::move(traces);
  plan.contenders = std::move(contenders);
  plan.seeds = {300, 400};
  plan.detail = Detail::drawings;
  auto study = run_study(plan, two_job_instruments());
  EXPECT_TRUE(study);
  return std::move(*study);
}

ReportContents about(const Study& study) {
  ReportContents contents;
  contents.study = &study;
  contents.subject = "amp";
  return contents;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// The first element that is not closed where it should be; empty when all are.
std::string first_unbalanced(const std::string& html) {
  static const std::set<std::string> kVoid = {"!doctype", "meta", "line", "rect", "circle", "path"};
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const bool closing = html[at + 1] == '/';
    const std::size_t start = at + (closing ? 2 : 1);
    const std::string tag = html.substr(start, html.find_first_of(" >/", start) - start);
    if (kVoid.contains(tag)) continue;
    if (tag == "style" || tag == "script") at = html.find("</" + tag, at);
    if (!closing && tag != "style" && tag != "script") {
      open.push_back(tag);
    } else if (closing) {
      if (open.empty() || open.back() != tag) return format("</{}> at byte {}", tag, at);
      open.pop_back();
    }
  }
  return open.empty() ? "" : "<" + open.back() + ">";
}

TEST(Report, FetchesNothing) {
  const Study study = study_of({"T5"}, {{"amp", "+1", {}}, {"swarmui", "*2", {}}});
  const std::string page = report_page(about(study));
  for (const char* way : {"http:", "https:", " src=", "@import", "<link", "fetch("}) {
    EXPECT_THAT(page, Not(HasSubstr(way)));
  }
  EXPECT_EQ(count(page, "url("), count(page, "url(#hatch)"));
}

TEST(Report, IsWellFormedAndShowsEveryTraceAndContender) {
  const Study study = study_of({"T5", "T7"}, {{"amp", "+1", {}}, {"swarmui", "*2", {}}});
  const std::string page = report_page(about(study));
  EXPECT_EQ(first_unbalanced(page), "");
  for (const char* id : {"id=\"slow\"", "id=\"slow-T5\"", "id=\"slow-T7\""}) EXPECT_THAT(page, HasSubstr(id));
  // One ranking, and for each trace one chart of waits and a strip for each of two contenders.
  EXPECT_EQ(count(page, "<svg class=\"ranking\""), 1u);
  EXPECT_EQ(count(page, "<svg class=\"waits\""), 2u);
  EXPECT_EQ(count(page, "<svg class=\"strip\""), 4u);
  EXPECT_EQ(count(page, "<button"), 2u);
}

TEST(Report, StripsShowRunsAndLoadsOfTheWindow) {
  const Study study = study_of({"T5"}, {{"amp", "*2", {}}});
  const std::string page = report_page(about(study));
  EXPECT_EQ(count(page, "class=\"op run\""), 2u);
  EXPECT_EQ(count(page, "class=\"op load\""), 1u);
  EXPECT_THAT(page, HasSubstr("gpu 0 loads, model 0: 0.0 to 10.0 s"));
}

TEST(Report, NamesFromOutsideAreText) {
  const Study study = study_of({"T5"}, {{"<script>alert(1)</script>\"", "+1", {}}});
  const std::string page = report_page(about(study));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"));
  EXPECT_EQ(first_unbalanced(page), "");
}

TEST(Report, SaysWhatFailedAndWhatWasSkipped) {
  const Study study = study_of({"T5", "absent"}, {{"amp", "fails", {}}, {"swarmui", "+1", {}}});
  const std::string page = report_page(about(study));
  EXPECT_THAT(page, HasSubstr("left job 1 behind"));
  EXPECT_THAT(page, HasSubstr("absent.csv is not here"));
  EXPECT_EQ(first_unbalanced(page), "");
}

TEST(Report, DrawsASweepWithoutAStudy) {
  ReportContents contents;
  contents.subject = "amp";
  LoadCurve curve;
  curve.contender = "amp";
  curve.points = {{0.5, 40.0, 9.0}, {0.7, 80.0, 20.0}};
  curve.sustained = sustained_load(curve.points, 60.0);
  contents.curves = {curve};
  const std::string page = report_page(contents);
  EXPECT_EQ(count(page, "<svg class=\"loads\""), 1u);
  EXPECT_THAT(page, HasSubstr("amp carries load 0.60"));
  EXPECT_EQ(first_unbalanced(page), "");
}

}  // namespace
}  // namespace pixelfleet::simulator
