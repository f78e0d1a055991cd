#include "simulator/summary.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/rng.h"
#include "simulator/figures.h"

namespace pixelfleet::simulator {
namespace {

constexpr int kResamples = 2000;
constexpr std::uint64_t kResampleSeed = 20;

// c.5's ten traces; the later ones (LoRA sets, failures) are told apart.
constexpr std::array kHeadline = {"T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10"};

std::vector<std::string> headline_of(const std::vector<std::string>& traces) {
  std::vector<std::string> headline;
  for (const std::string& trace : traces) {
    if (std::find(kHeadline.begin(), kHeadline.end(), trace) != kHeadline.end()) headline.push_back(trace);
  }
  return headline.empty() ? traces : headline;
}

std::vector<std::vector<std::size_t>> resamples(std::size_t seeds) {
  std::vector<std::vector<std::size_t>> samples(1);
  for (std::size_t i = 0; i < seeds; ++i) samples[0].push_back(i);
  if (seeds < 2) return samples;
  Rng rng(kResampleSeed);
  for (int i = 0; i < kResamples; ++i) {
    std::vector<std::size_t>& sample = samples.emplace_back();
    for (std::size_t k = 0; k < seeds; ++k) sample.push_back(rng.below(seeds));
  }
  return samples;
}

double mean_of(const std::vector<double>& values, const std::vector<std::size_t>& sample) {
  double sum = 0.0;
  for (const std::size_t index : sample) sum += values[index];
  return sum / static_cast<double>(sample.size());
}

// The first of `logs` is the sample's, the others are the resamples'.
Estimate estimate_of(std::vector<double> logs) {
  Estimate estimate;
  estimate.value = std::exp(logs.front());
  estimate.low = estimate.high = estimate.value;
  if (logs.size() < 2) return estimate;
  logs.erase(logs.begin());
  std::sort(logs.begin(), logs.end());
  estimate.low = std::exp(percentile(logs, 0.025));
  estimate.high = std::exp(percentile(logs, 0.975));
  return estimate;
}

// Contenders of another policy than the subject's: its own variants are no rivals.
std::vector<std::string> rivals_of(const StudyPlan& plan, const std::string& subject) {
  const auto ours = std::find_if(plan.contenders.begin(), plan.contenders.end(),
                                 [&](const Contender& contender) { return contender.label == subject; });
  std::vector<std::string> rivals;
  if (ours == plan.contenders.end()) return rivals;
  for (const Contender& contender : plan.contenders) {
    if (contender.policy != ours->policy) rivals.push_back(contender.label);
  }
  return rivals;
}

// Of one trace, by contender.
struct Waits {
  std::string contender;
  double mean_s = 0.0;
  double p99_s = 0.0;
};

std::vector<Waits> waits_of(const Summary& summary, Regime regime, const std::string& trace,
                            const std::vector<std::string>& contenders) {
  std::vector<Waits> all;
  for (const std::string& contender : contenders) {
    const auto mean = summary.mean(regime, trace, contender, mean_wait);
    const auto p99 = summary.mean(regime, trace, contender, p99_wait);
    if (mean && p99) all.push_back({contender, *mean, *p99});
  }
  return all;
}

void add_shortfalls(std::vector<Shortfall>& found, const std::string& trace, const Waits& ours,
                    const std::vector<Waits>& rivals) {
  using What = Shortfall::What;
  const auto least_mean = *std::min_element(rivals.begin(), rivals.end(),
                                            [](const Waits& a, const Waits& b) { return a.mean_s < b.mean_s; });
  const auto least_p99 =
      *std::min_element(rivals.begin(), rivals.end(), [](const Waits& a, const Waits& b) { return a.p99_s < b.p99_s; });
  if (ours.mean_s > least_mean.mean_s * kMeanWaitLimit) {
    found.push_back({trace, What::mean_wait, least_mean.contender, ours.mean_s, least_mean.mean_s, kMeanWaitLimit});
  }
  if (ours.p99_s > least_p99.p99_s * kP99WaitLimit) {
    found.push_back({trace, What::p99_wait, least_p99.contender, ours.p99_s, least_p99.p99_s, kP99WaitLimit});
  }
  for (const Waits& rival : rivals) {
    if (rival.mean_s >= ours.mean_s || rival.p99_s >= ours.p99_s) continue;
    found.push_back({trace, What::dominated, rival.contender, ours.mean_s, rival.mean_s, 1.0});
    return;
  }
}

}  // namespace

Summary::Summary(const Study& study)
    : headline_(headline_of(study.plan.traces)), samples_(resamples(study.plan.seeds.size())) {
  for (const Row& row : study.rows) {
    auto& seeds = metrics_[{row.regime, row.trace, row.contender}];
    seeds.push_back(row.error ? std::nullopt : std::optional(row.metrics));
  }
}

std::optional<Summary::Values> Summary::values(Regime regime, const std::string& trace, const std::string& contender,
                                               Figure figure) const {
  const auto found = metrics_.find({regime, trace, contender});
  if (found == metrics_.end()) return std::nullopt;
  Values values;
  for (const std::optional<Metrics>& metrics : found->second) {
    if (!metrics) return std::nullopt;
    values.push_back(figure(*metrics));
  }
  return values;
}

std::optional<double> Summary::mean(Regime regime, const std::string& trace, const std::string& contender,
                                    Figure figure) const {
  const auto of_seeds = values(regime, trace, contender, figure);
  if (!of_seeds) return std::nullopt;
  return mean_of(*of_seeds, samples_.front());
}

std::optional<Summary::Values> Summary::log_means(Regime regime, const std::string& contender, Figure figure) const {
  Values logs(samples_.size(), 0.0);
  if (headline_.empty()) return std::nullopt;
  for (const std::string& trace : headline_) {
    const auto of_seeds = values(regime, trace, contender, figure);
    if (!of_seeds) return std::nullopt;
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      logs[i] += std::log(std::max(kLeastValue, mean_of(*of_seeds, samples_[i])));
    }
  }
  for (double& log : logs) log /= static_cast<double>(headline_.size());
  return logs;
}

std::optional<Estimate> Summary::geometric_mean(Regime regime, const std::string& contender, Figure figure) const {
  auto logs = log_means(regime, contender, figure);
  if (!logs) return std::nullopt;
  return estimate_of(std::move(*logs));
}

std::optional<Estimate> Summary::ratio(Regime regime, const std::string& contender, const std::string& other,
                                       Figure figure) const {
  auto ours = log_means(regime, contender, figure);
  const auto theirs = log_means(regime, other, figure);
  if (!ours || !theirs) return std::nullopt;
  for (std::size_t i = 0; i < ours->size(); ++i) (*ours)[i] -= (*theirs)[i];
  return estimate_of(std::move(*ours));
}

bool has_rivals(const Study& study, const std::string& subject) { return !rivals_of(study.plan, subject).empty(); }

std::vector<Shortfall> shortfalls(const Study& study, const Summary& summary, Regime regime,
                                  const std::string& subject) {
  const std::vector<std::string> rivals = rivals_of(study.plan, subject);
  std::vector<Shortfall> found;
  if (rivals.empty()) return found;
  for (const std::string& trace : study.plan.traces) {
    const auto ours = waits_of(summary, regime, trace, {subject});
    const auto theirs = waits_of(summary, regime, trace, rivals);
    if (ours.empty()) {
      Shortfall& failed = found.emplace_back();
      failed.trace = trace;
      failed.what = Shortfall::What::failed;
    } else if (!theirs.empty()) {
      add_shortfalls(found, trace, ours.front(), theirs);
    }
  }
  return found;
}

}  // namespace pixelfleet::simulator
