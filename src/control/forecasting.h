// Forecasting: when to look ahead, and what was seen last. Of the control thread.
//
// One look at a time, at most once a second after something happened, less often while only time passes, and none
// while nothing waits.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "control/forecaster.h"
#include "domain/live.h"

namespace pixelfleet::control {

class Forecasting {
 public:
  explicit Forecasting(Forecaster* forecaster) : forecaster_(forecaster) {}  // null: never looks

  void something_happened() { happened_ = true; }
  void job_started(JobId job, Instant at);

  // Waiting ones are queued or held.
  void set_waiting_jobs(std::size_t count) { waiting_ = count; }
  std::optional<Instant> due() const;  // absent: not before something else happens
  void look_if_due(scheduler::Scheduler& scheduler, Instant now);
  void take(OutlooksPtr outlooks);

  const OutlooksPtr& outlooks() const { return outlooks_; }  // null before the first

 private:
  Forecaster* const forecaster_;
  bool happened_ = false;
  bool under_way_ = false;
  std::size_t waiting_ = 0;
  Instant looked_at_;
  std::vector<std::pair<JobId, Instant>> started_;
  OutlooksPtr outlooks_;
};

}  // namespace pixelfleet::control
