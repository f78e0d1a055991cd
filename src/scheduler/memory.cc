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

// Of gpu memory, for as long as the model stays, whether it runs or not.
std::int64_t weights_bytes(const ModelFacts& model, const Policy& policy) {
  return model.memory_bytes - model.workspace_bytes + policy.worker_overhead_bytes;
}

}  // namespace

std::int64_t Scheduler::State::reserved_bytes(const Slot& slot) const {
  std::int64_t bytes = 0;
  std::int64_t workspace = 0;
  for (const WorkerId id : slot.workers) {
    bytes += workers.at(id).bytes;
    workspace = std::max(workspace, workers.at(id).workspace_bytes);
  }
  return bytes + workspace;
}

// Pinned ones only when nothing else could leave: a strict order waits for nobody's wish.
std::optional<WorkerId> Scheduler::State::least_recently_used(const Slot& slot) const {
  std::optional<WorkerId> least;
  for (const WorkerId id : slot.workers) {
    const Worker& worker = workers.at(id);
    if (worker.phase != WorkerPhase::ready) continue;
    const auto key = [this](const Worker& w) { return std::pair(policy.pinned_models.contains(w.model), w.last_used); };
    if (!least || key(worker) < key(workers.at(*least))) least = id;
  }
  return least;
}

bool Scheduler::State::fits_beside(const Slot& slot, const ModelFacts& model) const {
  std::int64_t bytes = weights_bytes(model, policy);
  std::int64_t workspace = model.workspace_bytes;
  for (const WorkerId id : slot.workers) {
    bytes += workers.at(id).bytes;
    workspace = std::max(workspace, workers.at(id).workspace_bytes);
  }
  return bytes + workspace <= usable_bytes(slot.gpu) && slot.workers.size() < most_residents(policy);
}

WorkerId Scheduler::State::start_worker(Slot& slot, const ModelFacts& model, const OpenJob& job) {
  // The gpu could hold the model alone, and what runs there was counted by whoever chose it.
  while (!fits_beside(slot, model)) stop_worker(*least_recently_used(slot));
  const WorkerId id = next_worker;
  ++next_worker.value;
  Worker worker;
  worker.gpu = slot.gpu.uuid;
  worker.model = model.key;
  worker.model_index = model_index(model.key);
  worker.bytes = weights_bytes(model, policy);
  worker.workspace_bytes = model.workspace_bytes;
  worker.started_for = job.id;
  worker.blocks = slot.running ? Worker::Blocks::no : Worker::Blocks::yes;
  worker.since = now;
  workers.emplace(id, std::move(worker));
  slot.workers.insert(id);
  slot.loading = id;
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
  if (slot.running == id) slot.running.reset();
  if (slot.loading == id) slot.loading.reset();
  workers.erase(id);
}

void Scheduler::State::tidy_up(Slot& slot) {
  const Terms given = terms_of(slot.gpu.uuid);
  const bool outside = !is_undecided() && !is_selected(slot.gpu.uuid);
  const bool unused = given.access != Terms::Access::resting && (outside || !given.is_open());
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
  while (reserved_bytes(slot) > usable_bytes(slot.gpu)) {
    auto victim = least_recently_used(slot);
    if (!victim) victim = slot.loading;
    if (!victim) break;
    stop_worker(*victim);
  }
}

void Scheduler::State::tidy_up_all() {
  for (auto& [uuid, slot] : gpus) tidy_up(slot);
}

}  // namespace pixelfleet::scheduler
