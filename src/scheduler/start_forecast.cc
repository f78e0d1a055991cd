#include "scheduler/start_forecast.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "scheduler/playback.h"

namespace pixelfleet::scheduler {
namespace {

constexpr double kOutside = 0.1;  // of the starts, on either side
constexpr double kGain = 0.15;    // of the logarithm of a factor, for one start outside
constexpr double kLeastFactor = 0.2;
constexpr double kMostFactor = 20.0;
constexpr int kFewestPlays = 4;
constexpr double kLater = std::numeric_limits<double>::infinity();
constexpr std::array<double, 4> kRangeEnds = {5.0, 20.0, 60.0, 300.0};  // seconds ahead

double seconds_from(Instant from, Instant to) { return static_cast<double>((to - from).count()) * 1e-6; }

Instant after(Instant from, double seconds) {
  return from + Duration{static_cast<std::int64_t>(std::clamp(seconds, 0.0, 1e9) * 1e6)};
}

// Between the neighbours where it falls between two.
double quantile(const std::vector<double>& sorted, double part) {
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  if (sorted[high] == kLater) return at > static_cast<double>(low) ? kLater : sorted[low];
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

// What no play knows of: moments between ends and starts, rounding, a little of everything.
double least_spread(double middle) { return 0.1 + 0.02 * middle; }

}  // namespace

std::map<JobId, StartInterval> StartForecast::look(const Scheduler& scheduler, Instant now) {
  const auto plays = play(scheduler, now);
  std::map<JobId, std::vector<double>> starts;
  for (const auto& each : plays) {
    for (const auto& [job, at] : each) starts[job].push_back(seconds_from(now, at));
  }
  std::map<JobId, StartInterval> intervals;
  std::erase_if(forecasts_, [&starts](const auto& entry) { return !starts.contains(entry.first); });
  for (auto& [job, times] : starts) {
    times.resize(plays.size(), kLater);
    const Forecast forecast = forecast_of(std::move(times), now);
    intervals.emplace_hint(intervals.end(), job, interval_of(forecast));
    remember(job, forecast);
  }
  return intervals;
}

std::vector<std::map<JobId, Instant>> StartForecast::play(const Scheduler& scheduler, Instant now) {
  std::vector<std::map<JobId, Instant>> plays;
  int left = limits_.most_decisions;
  for (int i = 0; i < limits_.plays && (left > 0 || i < kFewestPlays); ++i) {
    const int most = std::max(left, limits_.most_decisions / kFewestPlays);
    Playback playback(scheduler, now, {Playback::Luck::drawn, rng_.next(), most});
    playback.run_until_started();
    left -= playback.decisions();
    plays.push_back(playback.started());
  }
  return plays;
}

StartForecast::Forecast StartForecast::forecast_of(std::vector<double> starts, Instant now) {
  std::sort(starts.begin(), starts.end());
  Forecast forecast;
  forecast.made_at = now;
  forecast.middle = quantile(starts, 0.5);
  forecast.before = forecast.middle == kLater ? 0.0 : forecast.middle - quantile(starts, kOutside);
  const double late = quantile(starts, 1.0 - kOutside);
  forecast.after = late == kLater ? kLater : late - forecast.middle;
  if (forecast.middle == kLater) forecast.middle = starts.front();
  return forecast;
}

StartInterval StartForecast::interval_of(const Forecast& forecast) const {
  const Factors& factors = factors_[range_of(forecast.middle)];
  const double least = least_spread(forecast.middle);
  StartInterval interval;
  interval.earliest = after(forecast.made_at, forecast.middle - factors.early * std::max(forecast.before, least));
  if (forecast.after != kLater) {
    interval.latest = after(forecast.made_at, forecast.middle + factors.late * std::max(forecast.after, least));
  }
  return interval;
}

void StartForecast::remember(JobId job, const Forecast& forecast) {
  Forecast& kept = forecasts_[job];
  const int shown = kept.shown + 1;
  if (rng_.below(static_cast<std::uint64_t>(shown)) == 0) kept = forecast;
  kept.shown = shown;
}

void StartForecast::started(JobId job, Instant at) {
  const auto found = forecasts_.find(job);
  if (found == forecasts_.end()) return;
  const Forecast forecast = found->second;
  forecasts_.erase(found);
  if (forecast.after == kLater) return;
  const StartInterval interval = interval_of(forecast);
  Factors& factors = factors_[range_of(forecast.middle)];
  const auto learn = [](double& factor, bool outside) {
    const double error = (outside ? 1.0 : 0.0) - kOutside;
    factor = std::clamp(factor * std::exp(kGain * error), kLeastFactor, kMostFactor);
  };
  learn(factors.early, at < interval.earliest);
  learn(factors.late, at > *interval.latest);
}

std::size_t StartForecast::range_of(double seconds) {
  return static_cast<std::size_t>(std::upper_bound(kRangeEnds.begin(), kRangeEnds.end(), seconds) - kRangeEnds.begin());
}

}  // namespace pixelfleet::scheduler
