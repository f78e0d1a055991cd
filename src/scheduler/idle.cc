// Idle models: what nobody has used for so long as the policy says leaves gpus and host memory.
//
// Pinned models stay, and those that jobs wait for. Files in host memory count as used while a worker loads or runs
// their model. A wish to be woken covers the next one that is due.
#include <algorithm>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {

bool Scheduler::State::stays_when_idle(const ModelKey& key) const {
  return policy.pinned_models.contains(key) || queue.count(key) > 0;
}

std::optional<Instant> Scheduler::State::unload_due(const Worker& worker) const {
  if (!policy.unload_idle_after || worker.phase != WorkerPhase::ready || stays_when_idle(worker.model)) {
    return std::nullopt;
  }
  return worker.idle_since + *policy.unload_idle_after;
}

std::optional<Instant> Scheduler::State::drop_due(const ModelKey& key) const {
  if (!policy.drop_idle_after || stays_when_idle(key)) return std::nullopt;
  const bool used = std::any_of(workers.begin(), workers.end(), [&key](const auto& entry) {
    return entry.second.model == key && entry.second.phase != WorkerPhase::ready;
  });
  if (used) return std::nullopt;
  return planning.used_at.at(key) + *policy.drop_idle_after;
}

std::optional<Instant> Scheduler::State::next_idle_end() const {
  std::optional<Instant> earliest;
  const auto consider = [&earliest](std::optional<Instant> due) {
    if (due && (!earliest || *due < *earliest)) earliest = due;
  };
  if (policy.unload_idle_after) {
    for (const auto& [id, worker] : workers) consider(unload_due(worker));
  }
  if (policy.drop_idle_after) {
    for (const ModelKey& key : planning.staged) consider(drop_due(key));
  }
  // A shorter limit may have made something due already.
  return earliest ? std::optional(std::max(*earliest, now + std::chrono::milliseconds{1})) : std::nullopt;
}

void Scheduler::State::unload_idle() {
  std::vector<WorkerId> leaving;
  for (const auto& [id, worker] : workers) {
    if (const auto due = unload_due(worker); due && *due <= now) leaving.push_back(id);
  }
  for (const WorkerId id : leaving) stop_worker(id);
  const std::set<ModelKey> staged = planning.staged;
  for (const ModelKey& key : staged) {
    if (const auto due = drop_due(key); due && *due <= now) unstage(key);
  }
}

}  // namespace pixelfleet::scheduler
