#include "simulator/table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/check.h"
#include "base/format.h"
#include "simulator/figures.h"

namespace pixelfleet::simulator {
namespace {

// Against whom, and in what.
struct RatioColumn {
  const char* title;
  const char* other;
  Figure figure;
};

constexpr RatioColumn kRatios[] = {
    {"mean/swarmui", "swarmui", mean_wait},
    {"p99/swarmui", "swarmui", p99_wait},
    {"mean/v18", "v18", mean_wait},
    {"fg/v18", "v18", foreground_loads},
};

std::vector<RatioColumn> ratios_of(const Study& study) {
  std::vector<RatioColumn> columns;
  for (const RatioColumn& column : kRatios) {
    const auto& contenders = study.plan.contenders;
    if (std::any_of(contenders.begin(), contenders.end(),
                    [&](const Contender& c) { return c.label == column.other; })) {
      columns.push_back(column);
    }
  }
  return columns;
}

std::string with_interval(const Estimate& estimate) {
  const std::string low = short_number(estimate.low);
  const std::string high = short_number(estimate.high);
  return low == high ? short_number(estimate.value) : format("{} [{}-{}]", short_number(estimate.value), low, high);
}

std::string seeds_text(const std::vector<std::uint64_t>& seeds) {
  return format("seed{} {}", seeds.size() == 1 ? "" : "s", join(seeds, ", "));
}

std::vector<FigureColumn> columns_of_tables() {
  std::vector<FigureColumn> columns = figure_columns();
  std::erase_if(columns, [](const FigureColumn& one) { return one.where == FigureColumn::Where::report_only; });
  return columns;
}

std::string trace_table(const Study& study, const Summary& summary, Regime regime, const std::string& trace) {
  const auto ratios = ratios_of(study);
  const auto columns = columns_of_tables();
  std::vector<std::string> header = {"policy"};
  for (const FigureColumn& column : columns) header.push_back(column.title);
  for (const RatioColumn& column : ratios) header.push_back(column.title);
  TextTable table(header);
  for (const Contender& contender : study.plan.contenders) {
    std::vector<std::string> row = {contender.label};
    for (const FigureColumn& column : columns) {
      const auto value = summary.mean(regime, trace, contender.label, column.figure);
      row.push_back(value ? in_form(*value, column.form) : "failed");
    }
    for (const RatioColumn& column : ratios) {
      const auto ours = summary.mean(regime, trace, contender.label, column.figure);
      const auto theirs = summary.mean(regime, trace, column.other, column.figure);
      row.push_back(ours && theirs ? short_number(*ours / std::max(kLeastValue, *theirs)) : "-");
    }
    table.add(std::move(row));
  }
  return table.text();
}

std::string means_table(const Study& study, const Summary& summary, Regime regime) {
  const auto ratios = ratios_of(study);
  auto columns = columns_of_tables();
  std::erase_if(columns, [](const FigureColumn& one) { return one.form == Form::percent; });
  std::vector<std::string> header = {"policy"};
  for (const FigureColumn& column : columns) header.push_back(column.title);
  for (const RatioColumn& column : ratios) header.push_back(column.title);
  TextTable table(header);
  for (const Contender& contender : study.plan.contenders) {
    std::vector<std::string> row = {contender.label};
    for (const FigureColumn& column : columns) {
      const auto estimate = summary.geometric_mean(regime, contender.label, column.figure);
      const bool wait = column.figure == mean_wait || column.figure == p99_wait;
      row.push_back(!estimate ? "-" : wait ? with_interval(*estimate) : in_form(estimate->value, column.form));
    }
    for (const RatioColumn& column : ratios) {
      const auto estimate = summary.ratio(regime, contender.label, column.other, column.figure);
      row.push_back(estimate ? with_interval(*estimate) : "-");
    }
    table.add(std::move(row));
  }
  return table.text();
}

std::string verdict_text(const Study& study, const Summary& summary, Regime regime, const std::string& subject) {
  if (!has_rivals(study, subject)) return {};
  const auto found = shortfalls(study, summary, regime, subject);
  if (found.empty()) {
    return format(
        "{} is on no trace worse than the best rival beyond what is acceptable (mean wait {:.2f}x, p99 "
        "{:.2f}x), and no rival is better in both.\n",
        subject, kMeanWaitLimit, kP99WaitLimit);
  }
  std::string text = format("{} falls short:\n", subject);
  for (const Shortfall& one : found) text += format("  {}\n", shortfall_text(one));
  return text;
}

int jobs_of(const Study& study, const std::string& trace) {
  for (const Row& row : study.rows) {
    if (row.trace == trace && !row.error) return row.metrics.jobs;
  }
  return 0;
}

}  // namespace

TextTable::TextTable(std::vector<std::string> header, LastColumn last) : last_(last) {
  rows_.push_back(std::move(header));
}

void TextTable::add(std::vector<std::string> row) {
  CHECK(row.size() == rows_.front().size());
  rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    text += format("{:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) {
      const bool left = last_ == LastColumn::left && i + 1 == row.size();
      text += left ? format("  {}", row[i]) : format("  {:>{}}", row[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string failures_text(const Study& study) {
  std::map<std::tuple<std::string, Regime, std::string>, std::set<std::string>> who;
  for (const Row& row : study.rows) {
    if (row.error) who[{row.trace, row.regime, row.error->message}].insert(row.contender);
  }
  std::string text;
  for (const auto& [where, contenders] : who) {
    const auto& [trace, regime, message] = where;
    text += format("failed: {} on {}, {} loads: {}\n", join(contenders, ", "), trace, name(regime), message);
  }
  return text;
}

std::string shortfall_text(const Shortfall& shortfall) {
  if (shortfall.what == Shortfall::What::failed) return shortfall.trace + ": a run failed";
  if (shortfall.what == Shortfall::What::dominated) {
    return format("{}: {} is better in both mean and p99 wait (mean {} s against {} s)", shortfall.trace,
                  shortfall.rival, short_number(shortfall.theirs_s), short_number(shortfall.ours_s));
  }
  return format("{}: {} wait {} s, {} {} s: {:.2f}x, acceptable {:.2f}x", shortfall.trace,
                shortfall.what == Shortfall::What::mean_wait ? "mean" : "p99", short_number(shortfall.ours_s),
                shortfall.rival, short_number(shortfall.theirs_s),
                shortfall.ours_s / std::max(kLeastValue, shortfall.theirs_s), shortfall.limit);
}

std::string study_text(const Study& study, const Summary& summary, const std::string& subject) {
  std::string text;
  for (const Regime regime : study.plan.regimes) {
    const std::string where = format("{} loads, {} capabilities, {}", name(regime), name(study.plan.capabilities),
                                     seeds_text(study.plan.seeds));
    for (const std::string& trace : study.plan.traces) {
      text += format("{}: {} jobs, {}\n{}\n", trace, jobs_of(study, trace), where,
                     trace_table(study, summary, regime, trace));
    }
    if (study.plan.traces.size() > 1) {
      text += format("geometric mean of {}: {}; in brackets the 95 % interval over seeds\n{}\n",
                     join(summary.headline_traces(), ", "), where, means_table(study, summary, regime));
    }
    text += verdict_text(study, summary, regime, subject);
  }
  for (const SkippedTrace& skipped : study.skipped) text += skipped.why + "\n";
  return text + failures_text(study);
}

std::string sweep_text(const std::vector<LoadCurve>& curves, double limit_s) {
  std::string text = format("sustainable load: largest rho with p95 wait <= {} s\n", short_number(limit_s));
  TextTable table({"policy", "regime", "sustains", "p95 s at each rho"}, TextTable::LastColumn::left);
  for (const LoadCurve& curve : curves) {
    std::vector<std::string> points;
    for (const LoadPoint& point : curve.points) {
      points.push_back(format("{:.2f}:{}", point.load, short_number(point.p95_wait_s)));
    }
    const bool below = curve.sustained.place == Sustained::Place::below_all;
    const bool above = curve.sustained.place == Sustained::Place::above_all;
    const std::string sustained = curve.error ? "failed"
                                              : format("{}{:.3f}",
                                                       below   ? "< "
                                                       : above ? "> "
                                                               : "",
                                                       curve.sustained.load);
    table.add({curve.contender, std::string(name(curve.regime)), sustained,
               curve.error ? curve.error->message : format("{}", join(points, " "))});
  }
  return text + table.text();
}

}  // namespace pixelfleet::simulator
