#include "simulator/start_coverage.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "base/rng.h"
#include "scheduler/start_forecast.h"
#include "simulator/machine.h"
#include "simulator/production_driver.h"

namespace pixelfleet::simulator {
namespace {

using StopWatch = std::chrono::steady_clock;  // of the forecast itself: real time, not the world's

constexpr Duration kBetween = std::chrono::seconds{1};
constexpr std::size_t kMostJobs = 500;

double seconds_from(Instant from, Instant to) { return static_cast<double>((to - from).count()) * 1e-6; }

class Judge final : public Onlooker {
 public:
  explicit Judge(std::uint64_t seed) : forecast_(seed), rng_(seed + 1) {}

  void decided(scheduler::Scheduler& scheduler, Instant at) override {
    if (looked_at_ && at - *looked_at_ < kBetween) return;
    looked_at_ = at;
    const auto begun = StopWatch::now();
    const auto intervals = forecast_.look(scheduler.excerpt(kMostJobs), at);
    const std::chrono::duration<double, std::milli> took = StopWatch::now() - begun;
    if (intervals.empty()) return;
    ++looks_;
    took_ms_ += took.count();
    coverage_.forecast_ms_max = std::max(coverage_.forecast_ms_max, took.count());
    for (const auto& [job, interval] : intervals) {
      Shown& shown = shown_[job];
      if (shown.times++ == 0) shown.first = interval;
      if (rng_.below(static_cast<std::uint64_t>(shown.times)) != 0) continue;
      shown.any = interval;
      shown.any_at = at;
    }
  }

  void started(JobId job, Instant at) override {
    forecast_.started(job, at);
    const auto found = shown_.find(job);
    if (found == shown_.end()) return;
    const Shown& shown = found->second;
    ++coverage_.starts;
    const bool early = at < shown.any.earliest;
    const bool late = shown.any.latest && *shown.any.latest < at;
    ++(early ? coverage_.before : late ? coverage_.after : coverage_.inside);
    if (!shown.any.latest) ++coverage_.open;
    if (at >= shown.first.earliest && (!shown.first.latest || at <= *shown.first.latest)) ++coverage_.first_inside;
    coverage_.mean_width_s += seconds_from(shown.any.earliest, shown.any.latest.value_or(shown.any.earliest));
    coverage_.mean_wait_s += seconds_from(shown.any_at, at);
    shown_.erase(found);
  }

  StartCoverage result() const {
    StartCoverage result = coverage_;
    result.mean_width_s /= std::max(1, result.starts);
    result.mean_wait_s /= std::max(1, result.starts);
    result.forecast_ms_mean = took_ms_ / std::max(1, looks_);
    return result;
  }

 private:
  struct Shown {
    int times = 0;
    StartInterval first;
    StartInterval any;
    Instant any_at;
  };
  scheduler::StartForecast forecast_;
  Rng rng_;
  std::optional<Instant> looked_at_;
  std::map<JobId, Shown> shown_;
  StartCoverage coverage_;
  int looks_ = 0;
  double took_ms_ = 0.0;
};

}  // namespace

Result<StartCoverage> measure_start_coverage(const Trace& trace, const RunOptions& options) {
  const auto machine = Machine::make(trace.machine, trace.models, options.regime, options.capabilities);
  if (!machine) return fail(machine.error());
  World world(trace, *machine, Noise(options.noise_seed, options.regime));
  Judge judge(options.noise_seed);
  const auto record = ProductionDriver(world, options.production, &judge).drive();
  if (!record) return fail(record.error());
  return judge.result();
}

}  // namespace pixelfleet::simulator
