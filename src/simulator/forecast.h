// Forecast: when jobs would be done that nobody has submitted yet; for campaigns, and for questions about machines.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scheduler/scheduler.h"
#include "simulator/run.h"

namespace pixelfleet::simulator {

// The last of some jobs' ends. Four of five such ends lie between earliest and latest, as far as what is known now
// goes: work that others may submit meanwhile comes at the rate of late.
struct PredictedFinish {
  Instant expected;
  Instant earliest;
  Instant latest;

  friend bool operator==(const PredictedFinish&, const PredictedFinish&) = default;
};

struct ForecastOptions {
  int plays = 8;
  std::uint64_t seed = 1;
  int most_decisions = 200'000;  // of one play
};

// `extra` is submitted now, beside what `scheduler` holds already; ids that it does not use. nullopt: an end is not in
// sight, because a job is held, fits no gpu, or there is too much to play through.
std::optional<PredictedFinish> predict_finish(const scheduler::Scheduler& scheduler, Instant now,
                                              const std::vector<scheduler::JobFacts>& extra,
                                              const ForecastOptions& options = {});

// Seconds from the first arrival to the last end, on a machine that has nothing else to do.
Result<double> predict_finish_s(const Trace& trace, const RunOptions& options);

}  // namespace pixelfleet::simulator
