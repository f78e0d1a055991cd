// sjf; the rule stands in rival_shortest_first.h.
#include "simulator/rival_shortest_first.h"

namespace pixelfleet::simulator {

std::optional<Order> ShortestFirst::next(const FleetView& fleet) {
  if (!any_gpu_idle(fleet)) return std::nullopt;
  std::optional<RunJob> shortest;
  double shortest_s = 0.0;
  for (const int job : fleet.waiting()) {
    const double length = length_s(fleet, job);
    if (shortest && length >= shortest_s) continue;
    const int model = fleet.job(job).model;
    std::optional<int> gpu = idle_holder(fleet, model);
    if (!gpu) gpu = roomiest_idle(fleet, model);
    if (!gpu) continue;
    shortest = RunJob{job, *gpu};
    shortest_s = length;
  }
  if (!shortest) return std::nullopt;
  return *shortest;
}

double ShortestFirst::length_s(const FleetView& fleet, int job) {
  double& length = lengths_[job];
  if (length < 0.0) length = fastest_run_seconds(fleet, job);
  return length;
}

}  // namespace pixelfleet::simulator
