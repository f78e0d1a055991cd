// mqfq-sticky; the rules stand in rival_mqfq_sticky.h.
#include "simulator/rival_mqfq_sticky.h"

#include <algorithm>

namespace pixelfleet::simulator {
namespace {

constexpr double kOverrunSeconds = 10.0;
constexpr double kGraceSeconds = 2.0;

}  // namespace

std::optional<Order> MqfqSticky::next(const FleetView& fleet) {
  tag_arrivals(fleet);
  if (!any_gpu_idle(fleet)) return std::nullopt;
  const std::vector<Head> flows = heads(fleet);
  std::optional<RunJob> cold;
  for (const Head& flow : flows) {
    if (flow.start_tag > virtual_time_ + kOverrunSeconds) break;
    if (const auto warm = idle_holder(fleet, flow.model)) return RunJob{flow.job, *warm};
    if (cold || !roomiest_idle(fleet, flow.model)) continue;
    cold = RunJob{flow.job, gpu_for_load(fleet, flow.model)};
  }
  if (!cold) return std::nullopt;
  return *cold;
}

// New jobs are the last in the line; one that comes back after a failure keeps its tag.
void MqfqSticky::tag_arrivals(const FleetView& fleet) {
  const std::vector<int>& waiting = fleet.waiting();
  auto first_new = waiting.end();
  while (first_new != waiting.begin() && start_tag_[*(first_new - 1)] < 0.0) --first_new;
  if (first_new == waiting.end()) return;
  heads(fleet);  // virtual time as of now, without the new ones
  for (auto job = first_new; job != waiting.end(); ++job) {
    double& finish = last_finish_tag_[fleet.job(*job).model];
    start_tag_[*job] = std::max(virtual_time_, finish);
    finish = start_tag_[*job] + fastest_run_seconds(fleet, *job);
  }
}

// Advances virtual time to the first of them.
std::vector<MqfqSticky::Head> MqfqSticky::heads(const FleetView& fleet) {
  head_of_.clear();
  std::vector<Head> heads;
  for (const int job : fleet.waiting()) {
    const int model = fleet.job(job).model;
    if (head_of_[model] >= 0 || start_tag_[job] < 0.0) continue;
    head_of_[model] = job;
    heads.push_back({model, job, start_tag_[job]});
  }
  std::stable_sort(heads.begin(), heads.end(), [](const Head& a, const Head& b) { return a.start_tag < b.start_tag; });
  if (!heads.empty()) virtual_time_ = std::max(virtual_time_, heads.front().start_tag);
  return heads;
}

int MqfqSticky::gpu_for_load(const FleetView& fleet, int model) const {
  std::optional<int> best;
  for (const int gpu : idle_gpus(fleet)) {
    if (!fleet.fits(model, gpu) || is_kept(fleet, gpu)) continue;
    if (!best || free_bytes(fleet, gpu) > free_bytes(fleet, *best)) best = gpu;
  }
  return best ? *best : roomiest_idle(fleet, model).value();
}

bool MqfqSticky::is_kept(const FleetView& fleet, int gpu) const {
  return last_used_model(fleet, gpu) >= 0 && fleet.now_s() < fleet.idle_since_s(gpu) + kGraceSeconds;
}

}  // namespace pixelfleet::simulator
