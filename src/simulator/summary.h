// Summary: what many rows say together: means over seeds, geometric means over traces, intervals, ratios, verdicts.
//
// Seeds are the sample: an interval is the 95 % percentile bootstrap over them, the same resamples for every contender,
// so that ratios compare like with like. Geometric means take each trace's mean over seeds, not below kLeastValue.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "simulator/study.h"

namespace pixelfleet::simulator {

// A number of Metrics, to be averaged.
using Figure = double (*)(const Metrics&);

inline constexpr double kLeastValue = 1e-3;

struct Estimate {
  double value = 0.0;
  double low = 0.0;  // of the 95 % interval; low == high with a single seed
  double high = 0.0;
};

class Summary {
 public:
  explicit Summary(const Study& study);

  // The traces that geometric means are over: T1-T10 of those in the study; all of them when it has others only.
  const std::vector<std::string>& headline_traces() const { return headline_; }

  // Absent where the study has no such row, or a run failed.
  std::optional<double> mean(Regime regime, const std::string& trace, const std::string& contender,
                             Figure figure) const;
  // Over the headline traces; absent unless all of them are there.
  std::optional<Estimate> geometric_mean(Regime regime, const std::string& contender, Figure figure) const;
  // geometric_mean(contender) / geometric_mean(other), resampled together.
  std::optional<Estimate> ratio(Regime regime, const std::string& contender, const std::string& other,
                                Figure figure) const;

 private:
  using Values = std::vector<double>;  // one for each seed

  std::optional<Values> values(Regime regime, const std::string& trace, const std::string& contender,
                               Figure figure) const;
  // The logarithm of the geometric mean, of the sample and of each resample.
  std::optional<Values> log_means(Regime regime, const std::string& contender, Figure figure) const;

  std::map<std::tuple<Regime, std::string, std::string>, std::vector<std::optional<Metrics>>> metrics_;
  std::vector<std::string> headline_;
  std::vector<std::vector<std::size_t>> samples_;  // of seeds; the first is the sample itself
};

// Where the subject is worse than the best rival on some trace by more than is acceptable.
struct Shortfall {
  std::string trace;
  // dominated: the rival is better in both, be it by little; the waits given are the means.
  // failed: a run of the subject did; there are no figures.
  enum class What { mean_wait, p99_wait, dominated, failed } what = What::mean_wait;
  std::string rival;  // the best one in what is compared
  double ours_s = 0.0;
  double theirs_s = 0.0;
  double limit = 0.0;  // largest acceptable ours / theirs
};

inline constexpr double kMeanWaitLimit = 1.03;
inline constexpr double kP99WaitLimit = 1.10;

// Whether the study has the subject and some other policy.
bool has_rivals(const Study& study, const std::string& subject);

// Every trace of the study against the rivals in it.
std::vector<Shortfall> shortfalls(const Study& study, const Summary& summary, Regime regime,
                                  const std::string& subject);

}  // namespace pixelfleet::simulator
