// Which job goes to which gpu by the simple policies: the job first in order takes an idle gpu that holds its model,
// else the idle one with most free memory. With multi-GPU off, and by fifo, only the first job may start; by v18 later
// ones may pass one that finds no gpu.
#include <algorithm>
#include <tuple>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {

bool engine_runs_on(Engine engine, GpuKind kind) { return engine == Engine::synthetic || kind != GpuKind::virtual_gpu; }

bool Scheduler::State::can_take(const Gpu& gpu, const Lane& lane, const ModelFacts& model) const {
  return engine_runs_on(model.engine, gpu.kind) && (!lane.pin || *lane.pin == gpu.uuid) &&
         model.memory_bytes + policy.worker_overhead_bytes <= usable_bytes(gpu) &&
         gpu.memory_total_bytes > lane.more_than_bytes;
}

bool Scheduler::State::any_selected_can_take(const Lane& lane) const {
  const ModelFacts& model = models.at(lane.model);
  return std::any_of(selected.begin(), selected.end(),
                     [&](const GpuUuid& uuid) { return can_take(gpus.at(uuid).gpu, lane, model); });
}

bool Scheduler::State::must_avoid(const Lane& lane, const GpuUuid& gpu) const {
  if (lane.avoid.contains(gpu)) return true;
  return lane.attempt == Lane::Attempt::last && terms_of(gpu).access == Terms::Access::probation;
}

std::vector<Slot*> Scheduler::State::candidates(const Lane& lane) {
  const ModelFacts& model = models.at(lane.model);
  std::vector<Slot*> able;
  std::vector<Slot*> preferred;
  for (const GpuUuid& uuid : selected) {
    Slot& slot = gpus.at(uuid);
    if (!can_take(slot.gpu, lane, model)) continue;
    able.push_back(&slot);
    if (!must_avoid(lane, uuid)) preferred.push_back(&slot);
  }
  return preferred.empty() ? able : preferred;
}

bool Scheduler::State::any_idle() const {
  return std::any_of(selected.begin(), selected.end(), [this](const GpuUuid& uuid) { return !gpus.at(uuid).busy(); });
}

void Scheduler::State::place() {
  if (uses_amp()) return plan();
  while (queue.size() > 0 && any_idle()) {
    loads_ended = LoadsEnded::none;
    if (uses_v18()) {
      Queue::Walk walk(queue);
      while (!walk.at_end() && any_idle() && loads_ended == LoadsEnded::none) {
        if (place(jobs.at(walk.job())) == Placed::impossible) {
          walk.skip_lane();
        } else {
          walk.next();
        }
      }
      queue.drop_empty_lanes();
    } else {
      while (queue.size() > 0 && any_idle() && loads_ended == LoadsEnded::none) {
        if (place(jobs.at(*queue.first())) != Placed::chunk) break;
      }
    }
    if (loads_ended == LoadsEnded::none) return;
    // A gpu became idle on the way: from the first job again, or a later one would find it before an earlier one.
  }
}

Scheduler::State::Placed Scheduler::State::place(OpenJob& job) {
  const ModelFacts& model = models.at(job.model);
  std::vector<Slot*> able = candidates(job.lane());
  const auto kept = std::erase_if(able, [&](const Slot* slot) { return must_wait_for_moved(job, *slot); });
  for (const Slot* slot : able) {
    if (!is_idle(*slot)) continue;
    for (const WorkerId id : slot->workers) {
      if (workers.at(id).model != job.model) continue;
      note({now, {Decision::Kind::run, slot->gpu.uuid, job.model, job.id}, Decision::Why::in_order});
      start_chunk(job, id, job.missing.size());
      return Placed::chunk;
    }
  }
  // One that waits for a moved job keeps those of its lane behind it.
  const auto unless_kept = [kept](Placed placed) { return kept > 0 ? Placed::impossible : placed; };
  if (job.load) return unless_kept(Placed::waits);

  Slot* best = nullptr;
  const auto key = [this](const Slot& slot) {
    return std::tuple(slot.gpu.kind == GpuKind::cpu, reserved_bytes(slot) - usable_bytes(slot.gpu));
  };
  for (Slot* slot : able) {
    if (!is_idle(*slot) || backing_off(slot->gpu.uuid, job.model)) continue;
    if (best == nullptr || key(*slot) < key(*best)) best = slot;
  }
  if (best == nullptr) return Placed::impossible;
  note({now, {Decision::Kind::load, best->gpu.uuid, job.model, job.id}, Decision::Why::in_order});
  const WorkerId load = start_worker(*best, model, job);
  workers.at(load).claimed_by = job.id;
  expect_load(workers.at(load));
  job.load = load;
  return unless_kept(Placed::load);
}

void Scheduler::State::hand_on_load(WorkerId id) {
  Worker& worker = workers.at(id);
  const auto suits = [&](const Lane& lane) {
    const auto able = candidates(lane);
    return std::any_of(able.begin(), able.end(), [&](const Slot* slot) { return slot->gpu.uuid == worker.gpu; });
  };
  Queue::Walk walk(queue, worker.model);
  while (!walk.at_end()) {
    OpenJob& job = jobs.at(walk.job());
    if (!uses_v18() && queue.first() != job.id) break;  // only the first may start
    if (!suits(walk.lane())) {
      walk.skip_lane();
    } else if (job.load) {
      walk.next();
    } else {
      worker.claimed_by = job.id;
      job.load = id;
      return;
    }
  }
  stop_worker(id);
  loads_ended = LoadsEnded::some;
}

}  // namespace pixelfleet::scheduler
