// What the auditor checks of each action, in order.
#include "auditor.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <tuple>

#include "base/format.h"
#include "scheduler/trace.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h, as the scheduler reads them

void Auditor::apply(const Action& action) {
  std::visit([this](const auto& a) { check(a); }, action);
}

const Process* Auditor::running_on(const GpuUuid& gpu) const {
  for (const auto& [id, process] : processes_) {
    if (process.gpu == gpu && process.phase == Process::Phase::running) return &process;
  }
  return nullptr;
}

const Process* Auditor::loading_on(const GpuUuid& gpu) const {
  for (const auto& [id, process] : processes_) {
    if (process.gpu == gpu && process.phase == Process::Phase::starting) return &process;
  }
  return nullptr;
}

std::int64_t Auditor::bytes_on(const GpuUuid& gpu) const {
  std::int64_t bytes = 0;
  std::int64_t workspace = 0;
  for (const auto& [id, process] : processes_) {
    if (process.gpu != gpu) continue;
    bytes += process.bytes;
    workspace = std::max(workspace, process.workspace_bytes);
  }
  return bytes + workspace;
}

std::set<int> Auditor::remaining(const Row& row) const {
  std::set<int> indices;
  std::set_difference(row.missing.begin(), row.missing.end(), row.in_flight.begin(), row.in_flight.end(),
                      std::inserter(indices, indices.end()));
  for (const ChunkId chunk : row.chunks) {
    for (const int index : chunks_.at(chunk).left) indices.erase(index);
  }
  return indices;
}

void Auditor::check(const StartWorker& a) {
  if (a.worker.value <= last_worker_) report(format("worker id {} is not new", a.worker.value));
  last_worker_ = a.worker.value;
  if (!gpus_.contains(a.gpu)) return report(format("worker {} starts on gpu {}, which is gone", a.worker.value, a.gpu));
  if (!models_.contains(a.model)) return report(format("worker {} loads unknown model {}", a.worker.value, a.model));
  const bool beside_run = running_on(a.gpu) != nullptr;
  const bool may_beside =
      by_amp() && policy_.load_beside_run == LoadBesideRun::yes && policy_.tuning.load_behind == Part::on;
  if (loading_on(a.gpu) != nullptr) report(format("gpu {} loads beside another load", a.gpu));
  if (beside_run && !may_beside) report(format("gpu {} loads beside a chunk", a.gpu));
  const ModelFacts& model = models_.at(a.model);
  if (model.engine == Engine::sdcpp && gpus_.at(a.gpu).kind == GpuKind::virtual_gpu) {
    report(format("model {} of the real engine loads on virtual gpu {}", a.model, a.gpu));
  }
  int residents = 1;
  for (const auto& [id, process] : processes_) {
    if (process.gpu != a.gpu) continue;
    ++residents;
    if (process.model == a.model) report(format("gpu {} loads {} twice", a.gpu, a.model));
  }
  if (policy_.resident_limit >= 0 && residents > std::max(policy_.resident_limit, 1)) {
    report(format("gpu {} holds {} models", a.gpu, residents));
  }
  if (by_amp()) check_switch(a);
  check_evicted(a);
  started_on_.insert(a.gpu);
  processes_[a.worker] = {a.gpu,
                          a.model,
                          model.memory_bytes - model.workspace_bytes + policy_.worker_overhead_bytes,
                          model.workspace_bytes,
                          Process::Phase::starting,
                          std::nullopt,
                          beside_run ? Process::Load::beside_run : Process::Load::alone,
                          by_amp() ? Process::For::model : Process::For::one_job,
                          now_};
  if (bytes_on(a.gpu) > gpus_.at(a.gpu).memory_total_bytes) report(format("memory of gpu {} is oversold", a.gpu));
}

void Auditor::check(const StopWorker& a) {
  const auto process = processes_.find(a.worker);
  if (process == processes_.end()) return report(format("worker {} is stopped, but there is none", a.worker.value));
  if (process->second.chunk) report(format("worker {} is stopped under its chunk", a.worker.value));
  note_stop(process->second);
  processes_.erase(process);
}

void Auditor::check(const StartChunk& a) {
  if (a.chunk.value <= last_chunk_) report(format("chunk id {} is not new", a.chunk.value));
  last_chunk_ = a.chunk.value;
  const auto process = processes_.find(a.worker);
  if (process == processes_.end()) return report(format("chunk {} starts on a worker that is gone", a.chunk.value));
  if (process->second.phase != Process::Phase::ready) report(format("worker {} is not ready", a.worker.value));
  if (process->second.gpu != a.gpu) report(format("chunk {} names another gpu than its worker's", a.chunk.value));
  if (running_on(a.gpu) != nullptr) report(format("gpu {} runs two things at once", a.gpu));
  if (loading_on(a.gpu) != nullptr && !may_run_beside_load()) report(format("gpu {} runs beside a load", a.gpu));
  const auto found = open_.find(a.job);
  if (found == open_.end()) return report(format("chunk {} runs job {}, which has ended", a.chunk.value, a.job.value));
  Row& row = found->second;
  if (row.state != JobState::running) report(format("job {} is started, but not told so", a.job.value));
  if (row.cancel == Row::Cancel::requested) report(format("job {} is started after its cancel", a.job.value));
  if (row.facts.model != process->second.model) report(format("job {} runs on another model", a.job.value));
  if (row.facts.pin && *row.facts.pin != a.gpu) report(format("job {} runs on another gpu than its pin", a.job.value));
  check_indices(row, a);
  check_cut(row, a);
  check_not_overtaking(row, a.gpu);
  for (const auto& [id, other] : open_) {
    if (other.state == JobState::queued) check_order(row, other);
  }
  started_on_.insert(a.gpu);
  started_.insert(a.job);
  row.chunks.insert(a.chunk);
  process->second.phase = Process::Phase::running;
  process->second.chunk = a.chunk;
  process->second.since = now_;
  chunks_[a.chunk] = {a.worker, a.job, {a.indices.begin(), a.indices.end()}, OpenChunk::Worker::alive, a.gpu, now_};
}

// All that remains of the job, or by amp a part of it; never what another chunk makes or what is on its way.
void Auditor::check_indices(const Row& row, const StartChunk& a) {
  const std::set<int> expected = remaining(row);
  const bool ascending = std::is_sorted(a.indices.begin(), a.indices.end(), std::less_equal<>{});
  const bool known = std::includes(expected.begin(), expected.end(), a.indices.begin(), a.indices.end());
  const bool may_cut = by_amp() && policy_.tuning.splitting == Part::on;
  if (a.indices.empty() || !ascending || !known || (a.indices.size() < expected.size() && !may_cut)) {
    report(format("chunk {} does not make exactly the missing pictures of job {}", a.chunk.value, a.job.value));
  }
}

// `other` could start as well.
void Auditor::check_order(const Row& started, const Row& other) {
  if (other.known == Row::Known::no || !(other.place() < started.place())) return;
  if (in_order()) {
    report(format("job {} starts before job {}, which is first", started.facts.id.value, other.facts.id.value));
  }
  if (by_amp() || !other.fresh() || !started.fresh()) return;
  if (other.facts.model == started.facts.model && other.facts.pin == started.facts.pin) {
    report(format("job {} starts before job {} of the same model", started.facts.id.value, other.facts.id.value));
  }
}

void Auditor::check(const CancelChunk& a) {
  const auto chunk = chunks_.find(a.chunk);
  if (chunk == chunks_.end() || chunk->second.worker != a.worker) {
    return report(format("chunk {} is cancelled, but does not run on worker {}", a.chunk.value, a.worker.value));
  }
  const auto row = open_.find(chunk->second.job);
  if (row == open_.end()) return report(format("chunk {} is cancelled after its job's end", a.chunk.value));
  told_to_stop_.insert(row->first);
}

void Auditor::check(const AbandonChunk& a) {
  if (!chunks_.contains(a.chunk)) return report(format("chunk {} is abandoned, but not open", a.chunk.value));
  const OpenChunk& chunk = chunks_.at(a.chunk);
  if (chunk.alive == OpenChunk::Worker::alive && processes_.at(chunk.worker).gpu != lost_gpu_) {
    report(format("chunk {} is abandoned, though its worker lives", a.chunk.value));
  }
  close(a.chunk);
  chunks_.erase(a.chunk);
}

void Auditor::check(const SetJobState& a) {
  if (ended_.contains(a.job)) return report(format("job {} ends twice, or goes on after its end", a.job.value));
  if (!open_.contains(a.job)) return report(format("job {} is unknown", a.job.value));
  Row& row = open_.at(a.job);
  if (row.state == a.state && row.held == a.held && row.told_deaths == a.worker_deaths) {
    report(format("job {} is set to the state that it has", a.job.value));
  }
  if (died_for_ == row.facts.model && a.worker_deaths == row.deaths + 1 && !remaining(row).empty()) {
    ++row.deaths;
    died_for_.reset();
  }
  if (row.deaths != a.worker_deaths) {
    report(format("job {}: {} worker deaths are told, {} were seen", a.job.value, a.worker_deaths, row.deaths));
  }
  if ((a.state == JobState::held) != a.held.has_value()) report(format("job {}: held without reason", a.job.value));
  row.state = a.state;
  row.held = a.held;
  row.told_deaths = a.worker_deaths;
  switch (a.state) {
    case JobState::queued:
    case JobState::held:
    case JobState::running: return;
    case JobState::done:
      if (!row.missing.empty()) report(format("job {} is done with pictures missing", a.job.value));
      break;
    case JobState::cancelled:
      if (row.cancel == Row::Cancel::none) report(format("job {} is cancelled, nobody asked", a.job.value));
      break;
    case JobState::failed: check_failure(row, a); break;
  }
  if (!row.chunks.empty() && a.state == JobState::cancelled)
    report(format("job {} ended under its chunk", a.job.value));
  ended_[a.job] = a.state;
  open_.erase(a.job);
}

void Auditor::check_failure(const Row& row, const SetJobState& a) {
  if (!a.error || a.error->code.empty() || a.error->message.empty()) {
    return report(format("job {} failed without saying why", a.job.value));
  }
  const std::string& code = a.error->code;
  bool justified = false;
  if (code == "engine_died") {
    justified = row.deaths >= kMaxWorkerDeaths && !a.error->evidence.empty();
  } else if (code == "out_of_memory" && std::holds_alternative<JobSubmitted>(*event_)) {
    justified = std::none_of(gpus_.begin(), gpus_.end(), [&](const auto& gpu) { return can_take(gpu.second, row); });
  } else {
    justified = std::holds_alternative<ChunkEnded>(*event_) || std::holds_alternative<ModelUnloadable>(*event_) ||
                std::holds_alternative<JobUnpublishable>(*event_);
  }
  if (!justified) report(format("job {} failed with {} after {}", a.job.value, code, describe(*event_)));
}

void Auditor::check(const WakeAt& a) {
  if (a.at <= now_) report("a wish to be woken in the past");
  wake_at_ = a.at;
}

void Auditor::check(const StageModel& a) {
  if (!by_amp() || policy_.tuning.staging == Part::off) report(format("model {} is staged for nobody", a.model));
  if (auto wrong = host_.order(a, models_)) report(std::move(*wrong));
}

void Auditor::check(const UnstageModel& a) {
  if (auto wrong = host_.order(a)) report(std::move(*wrong));
}

void Auditor::check(const RememberCost& a) {
  if (!std::isfinite(a.record.log_ratio) || !std::isfinite(a.record.count) || a.record.count <= 0.0) {
    report(format("a cost of {} is remembered that is no number", a.record.subject));
  }
}

}  // namespace pixelfleet::sim
