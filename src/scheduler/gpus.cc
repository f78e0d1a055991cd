// What there is, and which of it is used: gpus, models, policy.
#include <algorithm>
#include <tuple>
#include <utility>

#include "base/format.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {

void Scheduler::State::on(const PolicyChanged& event) {
  policy = event.policy;
  policy.max_gpus = std::clamp(policy.max_gpus, 1, kMaxBoardGpus);
  if (!(policy.disk_bytes_per_second > 0.0)) policy.disk_bytes_per_second = Policy{}.disk_bytes_per_second;  // NaN too
  policy.disk_bytes_per_second = std::clamp(policy.disk_bytes_per_second, 1e6, 1e12);
  if (uses_amp()) drop_claims();
  machine_changed();
  keep_within_host_memory();
}

// A load is for whoever needs it: a claim would end it with the job that the simple policies began it for.
void Scheduler::State::drop_claims() {
  for (auto& [id, worker] : workers) {
    if (worker.claimed_by) jobs.at(*worker.claimed_by).load.reset();
    worker.claimed_by.reset();
  }
}

void Scheduler::State::machine_changed() {
  ++planning.machine;
  select_gpus();
  tidy_up_all();
  settle_all();
}

void Scheduler::State::on(const GpuArrived& event) {
  const auto known = gpus.find(event.gpu.uuid);
  if (known != gpus.end()) {
    if (known->second.gpu == event.gpu) return;
    if (known->second.gpu.kind != event.gpu.kind) on(GpuLost{event.gpu.uuid});
  }
  gpus[event.gpu.uuid].gpu = event.gpu;
  machine_changed();
}

std::vector<JobId> Scheduler::State::give_up(Slot& slot, const JobError& failure) {
  std::vector<JobId> interrupted;
  const std::set<WorkerId> gone = slot.workers;
  for (const WorkerId id : gone) {
    if (const auto chunk = workers.at(id).chunk) {
      if (const OpenJob* job = abandon_chunk(*chunk, failure)) interrupted.push_back(job->id);
    }
    stop_worker(id);
  }
  return interrupted;
}

void Scheduler::State::on(const GpuLost& event) {
  const auto slot = gpus.find(event.gpu);
  if (slot == gpus.end()) return;
  const auto interrupted = give_up(slot->second, {"gpu_lost", format("gpu {} is gone", event.gpu), {}});
  gpus.erase(slot);
  std::erase_if(back_offs, [&event](const auto& entry) { return entry.first.first == event.gpu; });
  if (single_gpu == event.gpu) single_gpu.reset();
  machine_changed();
  for (const JobId id : interrupted) go_on(jobs.at(id));
}

Terms Scheduler::State::terms_of(const GpuUuid& gpu) const {
  const auto found = terms.find(gpu);
  return found == terms.end() ? Terms{} : found->second;
}

std::int64_t Scheduler::State::usable_bytes(const Gpu& gpu) const {
  return std::min(gpu.memory_total_bytes, terms_of(gpu.uuid).plan_bytes.value_or(gpu.memory_total_bytes));
}

void Scheduler::State::set_access(const GpuUuid& gpu, Terms::Access access) {
  if (terms_of(gpu).access == access) return;
  terms[gpu].access = access;
  if (gpus.contains(gpu)) machine_changed();
}

void Scheduler::State::on(const GpuOpened& event) {
  set_access(event.gpu, event.trust == Trust::full ? Terms::Access::full : Terms::Access::probation);
}

void Scheduler::State::on(const GpuClosed& event) {
  std::vector<JobId> interrupted;
  const auto slot = gpus.find(event.gpu);
  if (event.workers == GpuClosed::Workers::abandon && slot != gpus.end()) {
    interrupted = give_up(slot->second, {"gpu_closed", format("gpu {} takes no work for now", event.gpu), {}});
  }
  const bool rests = event.workers == GpuClosed::Workers::rest;
  set_access(event.gpu, rests ? Terms::Access::resting : Terms::Access::closed);
  for (const JobId id : interrupted) go_on(jobs.at(id));
}

void Scheduler::State::on(const GpuMemoryPlanned& event) {
  const auto bytes = event.bytes ? std::optional(std::max<std::int64_t>(*event.bytes, 0)) : std::nullopt;
  if (terms_of(event.gpu).plan_bytes == bytes) return;
  terms[event.gpu].plan_bytes = bytes;
  if (gpus.contains(event.gpu)) machine_changed();
}

void Scheduler::State::on(const ModelKnown& event) {
  const auto known = models.find(event.model.key);
  if (known != models.end() && known->second == event.model) return;
  ++planning.machine;
  const bool other_file = known != models.end() && known->second.file_bytes != event.model.file_bytes;
  if (other_file && is_staged(event.model.key)) unstage(event.model.key);
  models[event.model.key] = event.model;
  for (auto& [id, worker] : workers) {
    if (worker.model == event.model.key) worker.model_facts = Worker::Facts::outdated;
  }
  forget_back_offs_of(event.model.key);
  tidy_up_all();
  settle_all();
  keep_within_host_memory();
}

void Scheduler::State::on(const ModelForgotten& event) {
  if (models.erase(event.model) == 0) return;
  ++planning.machine;
  planning.stale.insert(event.model);
  if (is_staged(event.model)) unstage(event.model);
  forget_back_offs_of(event.model);
  tidy_up_all();
  settle_all();
}

void Scheduler::State::select_gpus() {
  selected.clear();
  if (policy.multi_gpu) {
    std::vector<std::pair<int, GpuUuid>> by_index;
    const bool any =
        std::none_of(gpus.begin(), gpus.end(), [this](const auto& entry) { return is_listed(entry.second.gpu); });
    for (const auto& [uuid, slot] : gpus) {
      if ((any || is_listed(slot.gpu)) && terms_of(uuid).is_open()) by_index.emplace_back(slot.gpu.index, uuid);
    }
    std::sort(by_index.begin(), by_index.end());
    for (const auto& [index, uuid] : by_index) {
      if (selected.size() < static_cast<std::size_t>(policy.max_gpus)) selected.push_back(uuid);
    }
    return;
  }
  if (gpus.contains(policy.single_gpu)) {
    if (terms_of(policy.single_gpu).is_open()) selected.push_back(policy.single_gpu);
    return;
  }
  const bool unusable = !single_gpu || !terms_of(*single_gpu).is_open();
  if (unusable && !jobs.empty()) choose_single_gpu();
  if (single_gpu && terms_of(*single_gpu).is_open()) selected.push_back(*single_gpu);
}

// At first need, then kept until it is lost or closed.
void Scheduler::State::choose_single_gpu() {
  const Slot* best = nullptr;
  const auto key = [this](const Slot& slot) {
    return std::tuple(slot.gpu.kind == GpuKind::cpu, reserved_bytes(slot) - usable_bytes(slot.gpu), slot.gpu.index);
  };
  for (const auto& [uuid, slot] : gpus) {
    if (terms_of(uuid).is_open() && (best == nullptr || key(slot) < key(*best))) best = &slot;
  }
  if (best != nullptr) single_gpu = best->gpu.uuid;
}

bool Scheduler::State::is_listed(const Gpu& gpu) const {
  return std::any_of(policy.gpus.begin(), policy.gpus.end(),
                     [&gpu](const std::string& text) { return is_called(gpu, text); });
}

bool Scheduler::State::is_selected(const GpuUuid& gpu) const {
  return std::find(selected.begin(), selected.end(), gpu) != selected.end();
}

Scheduler::GpuView Scheduler::State::view(const Slot& slot) const {
  GpuView view;
  view.uuid = slot.gpu.uuid;
  view.reserved_bytes = reserved_bytes(slot);
  for (const WorkerId id : slot.workers) {
    const Worker& worker = workers.at(id);
    if (worker.phase != WorkerPhase::starting) view.resident_models.push_back(worker.model);
  }
  std::sort(view.resident_models.begin(), view.resident_models.end());
  if (slot.loading) view.loading_model = workers.at(*slot.loading).model;
  const bool used = is_selected(slot.gpu.uuid);
  if (slot.running) {
    view.state = used ? GpuState::busy : GpuState::draining;
    view.job = chunks.at(*workers.at(*slot.running).chunk).job;
  } else if (slot.loading) {
    const Worker& worker = workers.at(*slot.loading);
    view.state = GpuState::loading;
    view.job = worker.claimed_by ? worker.claimed_by : worker.started_for;
    if (view.job && !jobs.contains(*view.job)) view.job.reset();
  } else {
    const bool idle = used || (is_undecided() && terms_of(slot.gpu.uuid).is_open());
    view.state = idle ? GpuState::idle : terms_of(slot.gpu.uuid).is_open() ? GpuState::unused : GpuState::closed;
  }
  return view;
}

}  // namespace pixelfleet::scheduler
