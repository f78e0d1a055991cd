// StartForecast: when each waiting job will probably start: an interval that four of five starts fall into.
//
// Several futures are played with drawn luck; their spread, times a learned factor, is the interval. The factors are
// learned from every start that was forecast before: a start outside moves them, so that in the long run a tenth of
// all starts comes before the interval and a tenth after it, whatever the model of luck leaves out. Kept apart by how
// far ahead the start seemed. Pure; one for the life of a server.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/rng.h"
#include "domain/outlook.h"
#include "scheduler/scheduler.h"

namespace pixelfleet::scheduler {

// Of the work of one look.
struct ForecastLimits {
  int plays = 10;
  int most_decisions = 20'000;  // of all plays together; fewer plays where many jobs wait
};

class StartForecast {
 public:
  explicit StartForecast(std::uint64_t seed, ForecastLimits limits = {}) : rng_(seed), limits_(limits) {}

  // Of every job that waits in `scheduler`, but held ones.
  std::map<JobId, StartInterval> look(const Scheduler& scheduler, Instant now);

  // It started: what was forecast of it is compared.
  void started(JobId job, Instant at);

 private:
  // Seconds from the moment it was made.
  struct Forecast {
    Instant made_at;
    double middle = 0.0;
    double before = 0.0;  // from there to the early plays
    double after = 0.0;   // to the late ones; negative: later than played
    int shown = 0;
  };
  struct Factors {
    double early = 1.0;
    double late = 1.0;
  };
  static constexpr std::size_t kRanges = 5;

  std::vector<std::map<JobId, Instant>> play(const Scheduler& scheduler, Instant now);
  static Forecast forecast_of(std::vector<double> starts, Instant now);
  StartInterval interval_of(const Forecast& forecast) const;
  void remember(JobId job, const Forecast& forecast);
  static std::size_t range_of(double seconds);

  Rng rng_;
  const ForecastLimits limits_;
  std::array<Factors, kRanges> factors_{};
  std::map<JobId, Forecast> forecasts_;  // one of those shown of each job, any as likely
};

}  // namespace pixelfleet::scheduler
