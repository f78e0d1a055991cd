// swarmui; the rule stands in rival_swarmui.h.
#include "simulator/rival_swarmui.h"

#include <cmath>

#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kPerRequest = 10.0;
constexpr double kHoldSeconds = 1.5;

}  // namespace

std::optional<Order> SwarmPressure::next(const FleetView& fleet) {
  hold_until_s_.reset();
  const std::vector<int> idle = idle_gpus(fleet);
  if (idle.empty()) return std::nullopt;
  for (const int job : fleet.waiting()) {
    if (const auto gpu = idle_holder(fleet, fleet.job(job).model)) return RunJob{job, *gpu};
  }
  weigh(fleet);
  const std::optional<int> model = highest(fleet);
  if (!model) return std::nullopt;
  const double ready_s = pressures_[static_cast<std::size_t>(*model)].first_s + kHoldSeconds;
  if (idle.size() > 1 && fleet.now_s() < ready_s) {
    hold_until_s_ = ready_s;
    return std::nullopt;
  }
  return LoadModel{*model, longest_idle(fleet, *model).value()};
}

std::optional<double> SwarmPressure::wake_at_s(const FleetView&) { return hold_until_s_; }

void SwarmPressure::weigh(const FleetView& fleet) {
  pressures_.clear();
  for (const int job : fleet.waiting()) {
    const auto model = static_cast<std::size_t>(fleet.job(job).model);
    if (model >= pressures_.size()) pressures_.resize(model + 1);
    Pressure& pressure = pressures_[model];
    if (pressure.requests == 0) pressure.first_s = fleet.job(job).arrival_s;
    ++pressure.requests;
  }
}

std::optional<int> SwarmPressure::highest(const FleetView& fleet) const {
  std::optional<int> best;
  double best_score = 0.0;
  for (std::size_t i = 0; i < pressures_.size(); ++i) {
    const int model = static_cast<int>(i);
    if (pressures_[i].requests == 0 || loading_anywhere(fleet, model) || !longest_idle(fleet, model)) continue;
    const double score = kPerRequest * pressures_[i].requests + std::floor(fleet.now_s() - pressures_[i].first_s);
    if (best && score <= best_score) continue;
    best = model;
    best_score = score;
  }
  return best;
}

}  // namespace pixelfleet::simulator
