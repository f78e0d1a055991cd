// Which models stay on a gpu: reserving, evicting, tidying up.
#include <algorithm>
#include <vector>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

// How many models a gpu may hold at once, while one of them is in use; 0 means that it goes after each job.
std::size_t most_residents(const Policy& policy) {
  if (policy.resident_limit < 0) return static_cast<std::size_t>(-1);
  return static_cast<std::size_t>(std::max(policy.resident_limit, 1));
}

}  // namespace

std::int64_t Scheduler::State::reserved_bytes(const Slot& slot) const {
  std::int64_t bytes = 0;
  for (const WorkerId id : slot.workers) bytes += workers.at(id).bytes;
  return bytes;
}

std::optional<WorkerId> Scheduler::State::least_recently_used(const Slot& slot) const {
  std::optional<WorkerId> least;
  for (const WorkerId id : slot.workers) {
    const Worker& worker = workers.at(id);
    if (worker.phase != WorkerPhase::ready) continue;
    if (!least || worker.last_used < workers.at(*least).last_used) least = id;
  }
  return least;
}

WorkerId Scheduler::State::start_worker(Slot& slot, const ModelFacts& model, OpenJob& job) {
  // The gpu is idle and large enough, so all its workers may go if need be.
  while (reserved_bytes(slot) + model.memory_bytes > slot.gpu.memory_total_bytes ||
         slot.workers.size() >= most_residents(policy)) {
    stop_worker(*least_recently_used(slot));
  }
  const WorkerId id = next_worker;
  ++next_worker.value;
  Worker worker;
  worker.gpu = slot.gpu.uuid;
  worker.model = model.key;
  worker.bytes = model.memory_bytes;
  worker.claimed_by = job.id;
  workers.emplace(id, std::move(worker));
  slot.workers.insert(id);
  slot.active = id;
  job.load = id;
  actions.emplace_back(StartWorker{id, slot.gpu.uuid, model.key});
  return id;
}

void Scheduler::State::stop_worker(WorkerId id) {
  actions.emplace_back(StopWorker{id});
  erase_worker(id);
}

void Scheduler::State::erase_worker(WorkerId id) {
  const Worker& worker = workers.at(id);
  if (worker.claimed_by) jobs.at(*worker.claimed_by).load.reset();
  Slot& slot = gpus.at(worker.gpu);
  slot.workers.erase(id);
  if (slot.active == id) slot.active.reset();
  workers.erase(id);
}

void Scheduler::State::tidy_up(Slot& slot) {
  const bool unused = !is_undecided() && !is_selected(slot.gpu.uuid);
  const std::set<WorkerId> present = slot.workers;
  for (const WorkerId id : present) {
    const Worker& worker = workers.at(id);
    if (worker.phase == WorkerPhase::running) continue;
    const bool did_its_job = policy.resident_limit == 0 && worker.chunks_run > 0;
    if (unused || did_its_job || worker.model_facts == Worker::Facts::outdated || !models.contains(worker.model)) {
      stop_worker(id);
    }
  }
  while (slot.workers.size() > most_residents(policy)) {
    const auto least = least_recently_used(slot);
    if (!least) break;
    stop_worker(*least);
  }
  // Only after the gpu became smaller.
  while (reserved_bytes(slot) > slot.gpu.memory_total_bytes) {
    auto victim = least_recently_used(slot);
    if (!victim && slot.active && workers.at(*slot.active).phase == WorkerPhase::starting) victim = slot.active;
    if (!victim) break;
    stop_worker(*victim);
  }
}

void Scheduler::State::tidy_up_all() {
  for (auto& [uuid, slot] : gpus) tidy_up(slot);
}

}  // namespace pixelfleet::scheduler
