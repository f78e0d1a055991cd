// delay; the rule stands in rival_delay.h.
#include "simulator/rival_delay.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kMaxDelaySeconds = 2.0;

}  // namespace

std::optional<Order> DelayScheduling::next(const FleetView& fleet) {
  next_end_of_wait_s_.reset();
  if (!any_gpu_idle(fleet)) return std::nullopt;
  for (const int job : fleet.waiting()) {
    const int model = fleet.job(job).model;
    if (const auto warm = idle_holder(fleet, model)) return RunJob{job, *warm};
    const std::optional<int> cold = roomiest_idle(fleet, model);
    if (!cold) continue;
    double& skipped_s = first_skipped_s_[job];
    if (skipped_s < 0.0) skipped_s = fleet.now_s();
    const double until_s = skipped_s + kMaxDelaySeconds;
    if (fleet.now_s() >= until_s) return RunJob{job, *cold};
    if (!next_end_of_wait_s_ || until_s < *next_end_of_wait_s_) next_end_of_wait_s_ = until_s;
  }
  return std::nullopt;
}

std::optional<double> DelayScheduling::wake_at_s(const FleetView&) { return next_end_of_wait_s_; }

}  // namespace pixelfleet::simulator
