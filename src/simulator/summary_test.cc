#include "simulator/summary.h"

#include <gmock/gmock.h>

#include <cmath>

#include "simulator/figures.h"
#include "simulator/table.h"

namespace pixelfleet::simulator {
namespace {

using testing::ElementsAre;
using What = Shortfall::What;

// A study of rows given by hand.
class HandMade {
 public:
  HandMade(std::vector<std::string> traces, std::vector<std::string> policies, std::vector<std::uint64_t> seeds) {
    study.plan.traces = std::move(traces);
    study.plan.seeds = std::move(seeds);
    for (const std::string& policy : policies) study.plan.contenders.push_back({policy, policy, {}});
  }

  // One value for each seed.
  void waits(const std::string& trace, const std::string& contender, const std::vector<double>& means,
             double p99_s = 0.0) {
    for (std::size_t i = 0; i < means.size(); ++i) {
      Row row;
      row.trace = trace;
      row.contender = contender;
      row.seed = study.plan.seeds[i];
      row.metrics.jobs = 2;
      row.metrics.mean_wait_s = means[i];
      row.metrics.p99_wait_s = p99_s;
      study.rows.push_back(row);
    }
  }

  Study study;
};

TEST(Summary, GeometricMeanIsOverTheTracesMeansOverSeeds) {
  HandMade made({"T1", "T2"}, {"amp"}, {1, 2});
  made.waits("T1", "amp", {1.0, 3.0});    // mean 2
  made.waits("T2", "amp", {20.0, 44.0});  // mean 32
  const Summary summary(made.study);
  EXPECT_DOUBLE_EQ(*summary.mean(Regime::slow, "T2", "amp", mean_wait), 32.0);
  const auto estimate = summary.geometric_mean(Regime::slow, "amp", mean_wait);
  ASSERT_TRUE(estimate);
  EXPECT_DOUBLE_EQ(estimate->value, 8.0);
  // Resamples of two seeds are (1,1), (1,2) and (2,2), the outer ones a quarter of the time each.
  EXPECT_DOUBLE_EQ(estimate->low, std::sqrt(1.0 * 20.0));
  EXPECT_DOUBLE_EQ(estimate->high, std::sqrt(3.0 * 44.0));
}

TEST(Summary, RatiosResampleBothSidesTogether) {
  HandMade made({"T1"}, {"amp", "swarmui"}, {1, 2, 3});
  made.waits("T1", "amp", {1.0, 10.0, 100.0});
  made.waits("T1", "swarmui", {2.0, 20.0, 200.0});
  const auto ratio = Summary(made.study).ratio(Regime::slow, "amp", "swarmui", mean_wait);
  ASSERT_TRUE(ratio);
  EXPECT_NEAR(ratio->value, 0.5, 1e-12);
  EXPECT_NEAR(ratio->low, 0.5, 1e-12) << "every seed says half, so does every resample";
  EXPECT_NEAR(ratio->high, 0.5, 1e-12);
}

TEST(Summary, AFailedRunLeavesNoMeanThatPretends) {
  HandMade made({"T1", "T2"}, {"amp"}, {1, 2});
  made.waits("T1", "amp", {1.0, 3.0});
  made.waits("T2", "amp", {1.0, 3.0});
  made.study.rows[3].error = Error{ErrorCode::internal, "left job 1 behind"};
  const Summary summary(made.study);
  EXPECT_TRUE(summary.mean(Regime::slow, "T1", "amp", mean_wait));
  EXPECT_FALSE(summary.mean(Regime::slow, "T2", "amp", mean_wait));
  EXPECT_FALSE(summary.geometric_mean(Regime::slow, "amp", mean_wait));
  EXPECT_FALSE(summary.mean(Regime::fast, "T1", "amp", mean_wait)) << "not in the study";
}

TEST(Summary, LoraAndFailureTracesStayOutOfTheHeadline) {
  EXPECT_THAT(Summary(HandMade({"T9", "T10", "T11", "T12"}, {}, {1}).study).headline_traces(),
              ElementsAre("T9", "T10"));
  EXPECT_THAT(Summary(HandMade({"T11", "mine"}, {}, {1}).study).headline_traces(), ElementsAre("T11", "mine"));
}

TEST(Summary, NoWaitAtAllDoesNotMakeTheGeometricMeanZero) {
  HandMade made({"T1", "T2"}, {"amp"}, {1});
  made.waits("T1", "amp", {0.0});
  made.waits("T2", "amp", {10.0});
  EXPECT_DOUBLE_EQ(Summary(made.study).geometric_mean(Regime::slow, "amp", mean_wait)->value, 0.1);
}

TEST(Shortfalls, CompareWithTheBestRivalOfEachFigure) {
  HandMade made({"T1", "T2", "T3"}, {"amp", "swarmui", "sjf"}, {1});
  made.waits("T1", "amp", {10.0}, 100.0);  // 3 % and 10 % above are acceptable
  made.waits("T1", "swarmui", {10.0 / 1.029}, 100.0);
  made.waits("T1", "sjf", {30.0}, 100.0 / 1.09);
  made.waits("T2", "amp", {10.0}, 100.0);
  made.waits("T2", "swarmui", {9.0}, 120.0);
  made.waits("T2", "sjf", {20.0}, 80.0);
  made.waits("T3", "amp", {10.0}, 100.0);
  made.waits("T3", "swarmui", {9.9}, 99.0);
  made.waits("T3", "sjf", {30.0}, 300.0);
  const Summary summary(made.study);
  const auto found = shortfalls(made.study, summary, Regime::slow, "amp");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].trace, "T2");
  EXPECT_EQ(found[0].what, What::mean_wait);
  EXPECT_EQ(found[0].rival, "swarmui");
  EXPECT_EQ(found[1].what, What::p99_wait);
  EXPECT_EQ(found[1].rival, "sjf");
  EXPECT_EQ(shortfall_text(found[1]), "T2: p99 wait 100 s, sjf 80.0 s: 1.25x, acceptable 1.10x");
  EXPECT_EQ(found[2].trace, "T3");
  EXPECT_EQ(found[2].what, What::dominated);
  EXPECT_EQ(found[2].rival, "swarmui");
}

TEST(Shortfalls, AFailedRunIsOne) {
  HandMade made({"T1"}, {"amp", "sjf"}, {1});
  made.waits("T1", "amp", {10.0}, 100.0);
  made.waits("T1", "sjf", {30.0}, 300.0);
  made.study.rows[0].error = Error{ErrorCode::internal, "left job 1 behind"};
  const auto found = shortfalls(made.study, Summary(made.study), Regime::slow, "amp");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(shortfall_text(found[0]), "T1: a run failed");
}

TEST(Shortfalls, AVariantOfTheSubjectIsNoRival) {
  HandMade made({"T1"}, {"amp"}, {1});
  made.study.plan.contenders.push_back({"amp without staging", "amp", {}});
  made.waits("T1", "amp", {10.0}, 100.0);
  made.waits("T1", "amp without staging", {5.0}, 50.0);
  EXPECT_TRUE(shortfalls(made.study, Summary(made.study), Regime::slow, "amp").empty());
}

TEST(ShortNumber, KeepsThreeDigits) {
  EXPECT_EQ(short_number(0.0), "0.00");
  EXPECT_EQ(short_number(0.0123), "0.012");
  EXPECT_EQ(short_number(1.006), "1.01");
  EXPECT_EQ(short_number(9.996), "10.0");
  EXPECT_EQ(short_number(99.96), "100");
  EXPECT_EQ(short_number(12345.6), "12346");
}

TEST(TextTable, AlignsNamesLeftAndNumbersRight) {
  TextTable table({"policy", "mean"});
  table.add({"amp", "9.1"});
  table.add({"swarmui", "12.3"});
  EXPECT_EQ(table.text(), "policy   mean\namp       9.1\nswarmui  12.3\n");
}

TEST(StudyText, ShowsRatiosFailuresAndShortfalls) {
  HandMade made({"T1", "T2"}, {"amp", "swarmui"}, {1});
  made.waits("T1", "amp", {20.0}, 100.0);
  made.waits("T1", "swarmui", {10.0}, 100.0);
  made.waits("T2", "amp", {5.0}, 10.0);
  made.waits("T2", "swarmui", {5.0}, 10.0);
  made.study.rows[3].error = Error{ErrorCode::internal, "left job 1 behind"};
  made.study.skipped.push_back({"T10", "T10 is skipped: no file"});
  const std::string text = study_text(made.study, Summary(made.study), "amp");
  EXPECT_THAT(text, testing::HasSubstr("T1: 2 jobs, slow loads, ideal capabilities, seed 1"));
  EXPECT_THAT(text, testing::HasSubstr("mean/swarmui"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("mean/v18"))) << "v18 was not in the study";
  EXPECT_THAT(text, testing::HasSubstr("T1: mean wait 20.0 s, swarmui 10.0 s: 2.00x, acceptable 1.03x"));
  EXPECT_THAT(text, testing::HasSubstr("failed: swarmui on T2, slow loads: left job 1 behind"));
  EXPECT_THAT(text, testing::HasSubstr("\nT10 is skipped: no file\n"));
}

}  // namespace
}  // namespace pixelfleet::simulator
