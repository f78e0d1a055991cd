// map; the rule stands in rival_map.h.
#include "simulator/rival_map.h"

#include <algorithm>

namespace pixelfleet::simulator {
namespace {

constexpr int kSlots = 32;

}  // namespace

std::optional<Order> ReorderingBuffer::next(const FleetView& fleet) {
  const std::vector<int> idle = idle_gpus(fleet);
  if (idle.empty()) return std::nullopt;
  const std::vector<int>& line = fleet.waiting();
  const auto buffered = std::min<std::ptrdiff_t>(kSlots, std::ssize(line));
  const std::vector<int> buffer(line.begin(), line.begin() + buffered);
  for (const int job : buffer) {
    if (const auto gpu = idle_holder(fleet, fleet.job(job).model)) return RunJob{job, *gpu};
  }
  for (const int gpu : idle) {
    if (const auto order = change(fleet, gpu, buffer)) return *order;
  }
  return std::nullopt;
}

std::optional<RunJob> ReorderingBuffer::change(const FleetView& fleet, int gpu, const std::vector<int>& buffer) {
  std::optional<int> best;
  double best_adjusted = 0.0;
  for (const int job : buffer) {
    const int model = fleet.job(job).model;
    if (!fleet.fits(model, gpu)) continue;
    const double adjusted = penalty_[model] - kSlots * fleet.load_seconds(model, gpu);
    if (best && adjusted <= best_adjusted) continue;
    best = job;
    best_adjusted = adjusted;
  }
  if (!best) return std::nullopt;
  const int chosen = fleet.job(*best).model;
  punish(fleet, chosen, fleet.load_seconds(chosen, gpu), buffer);
  return RunJob{*best, gpu};
}

void ReorderingBuffer::punish(const FleetView& fleet, int chosen, double cost_s, const std::vector<int>& buffer) {
  for (const int job : buffer) penalty_[fleet.job(job).model] += cost_s;
  penalty_[chosen] = 0.0;
}

}  // namespace pixelfleet::simulator
