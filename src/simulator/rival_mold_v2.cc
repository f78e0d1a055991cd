// mold-v2; the rules stand in rival_mold_v2.h.
#include "simulator/rival_mold_v2.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pixelfleet::simulator {
namespace {

constexpr int kMaxPassedOver = 3;
constexpr double kWarmWaitSeconds = 2.0;
constexpr std::size_t kClasses = 3;  // of Priority

}  // namespace

std::optional<Order> MoldPlanner::next(const FleetView& fleet) {
  if (leases_.empty()) plan(fleet);
  if (leases_.empty()) return std::nullopt;
  const RunJob lease = leases_.front();
  leases_.pop_front();
  return lease;
}

std::optional<double> MoldPlanner::wake_at_s(const FleetView&) { return next_refusal_ends_s_; }

void MoldPlanner::plan(const FleetView& fleet) {
  next_refusal_ends_s_.reset();
  const std::size_t idle = idle_gpus(fleet).size();
  if (idle == 0) return;
  Matching matching(fleet.gpu_count());
  for (const int job : in_order(fleet)) {
    if (matching.size() == idle) break;
    matching.add(job, costs(fleet, job));
  }
  for (const Matching::Pair& pair : matching.pairs()) leases_.push_back(RunJob{pair.job, pair.gpu});
  count_passed_over(fleet);
}

std::vector<int> MoldPlanner::in_order(const FleetView& fleet) {
  std::array<std::vector<int>, 2 * kClasses> buckets;
  for (const int job : fleet.waiting()) {
    const std::size_t starved = passed_over_[job] >= kMaxPassedOver ? 0 : kClasses;
    buckets[starved + static_cast<std::size_t>(fleet.job(job).priority)].push_back(job);
  }
  std::vector<int> order;
  order.reserve(fleet.waiting().size());
  for (const std::vector<int>& bucket : buckets) order.insert(order.end(), bucket.begin(), bucket.end());
  return order;
}

std::vector<std::optional<MatchCost>> MoldPlanner::costs(const FleetView& fleet, int job) {
  const int model = fleet.job(job).model;
  const bool only_warm = refuses_cold(fleet, job);
  std::vector<std::optional<MatchCost>> costs(static_cast<std::size_t>(fleet.gpu_count()));
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (!fleet.is_idle(gpu) || !fleet.fits(model, gpu)) continue;
    const bool is_warm = fleet.holds(gpu, model);
    if (only_warm && !is_warm) continue;
    const double setup_s = is_warm ? 0.0 : fleet.load_seconds(model, gpu);
    costs[static_cast<std::size_t>(gpu)] = MatchCost{std::llround(setup_s * 1e3), gpu};
  }
  return costs;
}

bool MoldPlanner::refuses_cold(const FleetView& fleet, int job) {
  if (passed_over_[job] >= kMaxPassedOver) return false;
  const int model = fleet.job(job).model;
  const double now_s = fleet.now_s();
  double warm_end_s = std::numeric_limits<double>::infinity();
  double warm_ready_s = 0.0;
  double cold_end_s = std::numeric_limits<double>::infinity();
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (!fleet.is_up(gpu) || !fleet.fits(model, gpu)) continue;
    const double run_s = fleet.run_seconds(job, gpu);
    if (fleet.holds(gpu, model) || fleet.model_loading(gpu) == model) {
      const double ready_s = fleet.predicted_free_s(gpu);
      const double end_s = std::max(now_s, ready_s) + run_s;
      if (end_s < warm_end_s) warm_ready_s = fleet.is_idle(gpu) ? std::numeric_limits<double>::infinity() : ready_s;
      warm_end_s = std::min(warm_end_s, end_s);
    } else if (fleet.is_idle(gpu)) {
      cold_end_s = std::min(cold_end_s, now_s + fleet.load_seconds(model, gpu) + run_s);
    }
  }
  if (warm_end_s >= cold_end_s) return false;
  double& first_s = first_refusal_s_[job];
  if (first_s < 0.0) first_s = now_s;
  const double until_s = std::min(first_s + kWarmWaitSeconds, warm_ready_s);
  if (now_s >= until_s) return false;
  if (!next_refusal_ends_s_ || until_s < *next_refusal_ends_s_) next_refusal_ends_s_ = until_s;
  return true;
}

void MoldPlanner::count_passed_over(const FleetView& fleet) {
  for (const int job : fleet.waiting()) {
    const bool is_leased =
        std::any_of(leases_.begin(), leases_.end(), [job](const RunJob& lease) { return lease.job == job; });
    if (is_leased) continue;
    for (const RunJob& lease : leases_) {
      if (lease.job > job && fleet.fits(fleet.job(job).model, lease.gpu)) ++passed_over_[job];
    }
  }
}

}  // namespace pixelfleet::simulator
