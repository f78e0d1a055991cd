// Forecaster: the port that says why jobs wait and when they will start, worked out away from the control thread.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"
#include "scheduler/scheduler.h"

namespace pixelfleet::control {

struct ForecastRequest {
  scheduler::Scheduler scheduler;  // a copy: the jobs that run and the first ones that wait
  Instant now;
  std::vector<std::pair<JobId, Instant>> started;  // since the last request: what was forecast of them is compared
  bool complete = true;                            // whether every waiting job is in it
};

class Forecaster {
 public:
  virtual ~Forecaster() = default;
  // Does not block; answers each request by one ForecastMade.
  virtual void look(ForecastRequest request) = 0;
};

}  // namespace pixelfleet::control
