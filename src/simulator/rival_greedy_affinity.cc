// greedy-affinity; the rule stands in rival_greedy_affinity.h.
#include "simulator/rival_greedy_affinity.h"

#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

std::optional<Order> GreedyAffinity::next(const FleetView& fleet) {
  if (!any_gpu_idle(fleet)) return std::nullopt;
  std::optional<RunJob> cold;
  for (const int job : fleet.waiting()) {
    const int model = fleet.job(job).model;
    if (const auto gpu = idle_holder(fleet, model)) return RunJob{job, *gpu};
    if (cold || held_anywhere(fleet, model) || loading_anywhere(fleet, model)) continue;
    if (const auto gpu = roomiest_idle(fleet, model)) cold = RunJob{job, *gpu};
  }
  if (!cold) return std::nullopt;
  return *cold;
}

}  // namespace pixelfleet::simulator
