// Promises of the amp policy: what may share a gpu, what may be pushed out, when a gpu may turn to another model, and
// that idling on purpose comes to an end.
#include <algorithm>
#include <set>

#include "auditor.h"
#include "base/format.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

namespace {

constexpr std::size_t kAllSeen = 48;  // so many waiting jobs of a model are certainly weighed
constexpr int kFewOthers = 1;
constexpr Duration kRounding = std::chrono::milliseconds{1};

Duration times(double factor, Duration duration) {
  return Duration{static_cast<std::int64_t>(factor * static_cast<double>(duration.count()))};
}

// Steps in which workers leave because the machine or what is known of it has changed.
bool changes_machine(const Event& event) {
  return std::holds_alternative<PolicyChanged>(event) || std::holds_alternative<ModelKnown>(event) ||
         std::holds_alternative<ModelForgotten>(event) || std::holds_alternative<GpuArrived>(event) ||
         std::holds_alternative<GpuLost>(event) || std::holds_alternative<GpuOpened>(event) ||
         std::holds_alternative<GpuClosed>(event) || std::holds_alternative<GpuMemoryPlanned>(event);
}

}  // namespace

// Cutting a job is for gpus that would idle: only while few others wait and another gpu has the model.
void Auditor::check_cut(const Row& row, const StartChunk& a) {
  if (a.indices.size() == remaining(row).size()) return;
  const auto others = std::count_if(open_.begin(), open_.end(), [&](const auto& entry) {
    const Row& other = entry.second;
    return &other != &row && other.state == JobState::queued && other.known == Row::Known::yes;
  });
  if (others > kFewOthers) report(format("job {} is cut though {} others wait", a.job.value, others));
  const bool elsewhere = std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    return entry.second.model == row.facts.model && entry.second.gpu != a.gpu;
  });
  if (!elsewhere) report(format("job {} is cut for no other gpu", a.job.value));
}

// Jobs that never failed and could start on the gpu, as far as the auditor can tell for sure.
bool Auditor::has_waiting_work(const ModelKey& model, const GpuUuid& gpu) const {
  std::size_t waiting = 0;
  bool found = false;
  for (const auto& [id, row] : open_) {
    if (row.facts.model != model || row.state != JobState::queued || row.known == Row::Known::no) continue;
    ++waiting;
    found |= row.fresh() && can_take(gpus_.at(gpu), row) && !may_have_to_wait_for_moved(row, gpu);
  }
  return found && waiting <= kAllSeen;
}

// Likewise at the end of a step, pictures included that a running job has left.
bool Auditor::could_start(const ModelKey& model, const GpuUuid& gpu) {
  std::size_t waiting = 0;
  bool found = false;
  for (const auto& [id, row] : open_) {
    if (row.facts.model != model || !may_start(row)) continue;
    ++waiting;
    found |= row.fresh() && can_take(gpus_.at(gpu), row) && !may_have_to_wait_for_moved(row, gpu);
  }
  return found && waiting <= kAllSeen;
}

// W1: a gpu leaves resident models with waiting work only after tenure >= quantum * paid. Tenure is what it ran since
// its last load that kept it from running, paid what that load took; both measured here.
void Auditor::check_switch(const StartWorker& a) {
  if (running_on(a.gpu) != nullptr) return;  // it goes on running: nothing is left
  const Tenure& tenure = tenures_[a.gpu];
  if (tenure.ran + kRounding >= times(policy_.tuning.quantum, tenure.paid)) return;
  std::set<ModelKey> residents = evicted_[a.gpu];
  for (const auto& [id, process] : processes_) {
    if (process.gpu == a.gpu && process.phase == Process::Phase::ready) residents.insert(process.model);
  }
  for (const ModelKey& model : residents) {
    if (!has_waiting_work(model, a.gpu)) continue;
    report(format("gpu {} loads {} and leaves work for {}, {} ms after a load of {} ms", a.gpu, a.model, model,
                  tenure.ran.count() / 1000, tenure.paid.count() / 1000));
  }
}

void Auditor::note_stop(const Process& process) {
  if (changes_machine(*event_) || policy_.resident_limit == 0) return;
  // It goes for itself where it does not fit any more: the gpu became smaller, or the limit lower, while it ran.
  const auto residents = std::count_if(processes_.begin(), processes_.end(),
                                       [&](const auto& entry) { return entry.second.gpu == process.gpu; });
  const bool over_limit = policy_.resident_limit > 0 && residents > policy_.resident_limit;
  if (over_limit || bytes_on(process.gpu) > gpus_.at(process.gpu).memory_total_bytes) return;
  if (process.phase == Process::Phase::ready && process.facts == Process::Facts::current) {
    evicted_[process.gpu].insert(process.model);
  }
}

void Auditor::check_evicted(const StartWorker& a) {
  if (!by_amp()) return;
  for (const ModelKey& model : evicted_[a.gpu]) {
    if (policy_.pinned_models.contains(model))
      report(format("pinned model {} leaves gpu {} for {}", model, a.gpu, a.model));
  }
}

// A gpu that could start a waiting job at once does so; whether it may load another model instead is for the policy.
// Only for a file that is being read it may wait: then a load costs less, and a long run would be in its way.
void Auditor::check_warm_gpus() {
  if (host_.is_staging() && policy_.tuning.rollout == Part::on) return;
  for (const GpuUuid& uuid : selected_) {
    if (running_on(uuid) != nullptr || (loading_on(uuid) != nullptr && !may_run_beside_load())) continue;
    for (const auto& [id, process] : processes_) {
      if (process.gpu != uuid || process.phase != Process::Phase::ready) continue;
      if (could_start(process.model, uuid)) {
        report(format("gpu {} idles, holds {} and has work for it", uuid, process.model));
      }
    }
  }
}

// Whether the gpu could hold the model beside the pinned ones that it holds: else its jobs wait, as they were told to.
bool Auditor::has_room_beside_pinned(const GpuUuid& uuid, const ModelFacts& model) const {
  std::int64_t bytes = model.memory_bytes - model.workspace_bytes + policy_.worker_overhead_bytes;
  std::int64_t workspace = model.workspace_bytes;
  int residents = 1;
  for (const auto& [id, process] : processes_) {
    if (process.gpu != uuid || process.model == model.key || !policy_.pinned_models.contains(process.model)) continue;
    bytes += process.bytes;
    workspace = std::max(workspace, process.workspace_bytes);
    ++residents;
  }
  const bool in_limit = policy_.resident_limit < 0 || residents <= std::max(policy_.resident_limit, 1);
  return in_limit && bytes + workspace <= gpus_.at(uuid).memory_total_bytes;
}

// Nothing runs, loads or is read, nobody will wake the scheduler: a job that waits now would wait for ever.
void Auditor::check_not_stalled() {
  if (wake_at_ || host_.is_staging()) return;
  for (const auto& [id, process] : processes_) {
    if (process.phase != Process::Phase::ready) return;
  }
  for (const auto& [id, row] : open_) {
    if (row.state != JobState::queued || row.known == Row::Known::no || !row.fresh()) continue;
    for (const GpuUuid& uuid : selected_) {
      if (!can_take(gpus_.at(uuid), row) || may_have_to_wait_for_moved(row, uuid)) continue;
      if (!has_room_beside_pinned(uuid, models_.at(row.facts.model))) continue;
      return report(format("job {} waits while nothing happens and nothing will", id.value));
    }
  }
}

}  // namespace pixelfleet::sim
