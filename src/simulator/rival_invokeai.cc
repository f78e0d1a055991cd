// invokeai; the rule stands in rival_invokeai.h.
#include "simulator/rival_invokeai.h"

#include <algorithm>

namespace pixelfleet::simulator {
namespace {

constexpr int kWindowIds = 32;

}  // namespace

std::optional<Order> InvokePull::next(const FleetView& fleet) {
  std::vector<int> pulling = idle_gpus(fleet);
  std::stable_sort(pulling.begin(), pulling.end(),
                   [&fleet](int a, int b) { return fleet.idle_since_s(a) < fleet.idle_since_s(b); });
  for (const int gpu : pulling) {
    const std::optional<int> first = candidate(fleet, gpu);
    if (!first) continue;
    const int job = warm_instead_of(fleet, gpu, *first);
    last_start_[fleet.job(job).user] = ++starts_;
    return RunJob{job, gpu};
  }
  return std::nullopt;
}

std::optional<int> InvokePull::candidate(const FleetView& fleet, int gpu) {
  best_of_user_.clear();
  std::vector<int> users;  // in the order of their first waiting job
  for (const int job : fleet.waiting()) {
    const TraceJob& facts = fleet.job(job);
    if (!fleet.fits(facts.model, gpu)) continue;
    int& best = best_of_user_[facts.user];
    if (best < 0) users.push_back(facts.user);
    if (best < 0 || facts.priority < fleet.job(best).priority) best = job;
  }
  if (users.empty()) return std::nullopt;
  const int next_user =
      *std::min_element(users.begin(), users.end(), [this](int a, int b) { return last_start_[a] < last_start_[b]; });
  return best_of_user_[next_user];
}

int InvokePull::warm_instead_of(const FleetView& fleet, int gpu, int job) const {
  const TraceJob& facts = fleet.job(job);
  for (const int other : fleet.waiting()) {
    if (other > job + kWindowIds) break;
    const TraceJob& others = fleet.job(other);
    if (others.user != facts.user || others.priority != facts.priority) continue;
    if (fleet.holds(gpu, others.model)) return other;
  }
  return job;
}

}  // namespace pixelfleet::simulator
