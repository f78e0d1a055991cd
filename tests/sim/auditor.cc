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

namespace {

bool derived(HeldReason reason) {
  return reason == HeldReason::paused || reason == HeldReason::no_gpu || reason == HeldReason::model_disabled;
}

}  // namespace

void Auditor::report(std::string what) {
  if (!violation_) violation_ = std::move(what);
}

std::vector<std::string> Auditor::situation() const {
  const Tuning& t = policy_.tuning;
  std::vector<std::string> lines;
  lines.push_back(format("policy: multi_gpu {} algorithm {} objective {} load_beside_run {} resident_limit {} host {}",
                         policy_.multi_gpu, static_cast<int>(policy_.algorithm), static_cast<int>(policy_.objective),
                         static_cast<int>(policy_.load_beside_run), policy_.resident_limit, policy_.host_memory_bytes));
  lines.push_back(
      format("tuning: quantum {} guard {} load_behind {} replicate_behind {} staging {} rollout {} splitting {}",
             t.quantum, t.guard_seconds, static_cast<int>(t.load_behind), static_cast<int>(t.replicate_behind),
             static_cast<int>(t.staging), static_cast<int>(t.rollout), static_cast<int>(t.splitting)));
  for (const ModelKey& key : policy_.pinned_models) lines.push_back(format("pinned: {}", key));
  for (const GpuUuid& uuid : selected_) {
    std::string line = format("{}: {} bytes of {}", uuid, bytes_on(uuid), gpus_.at(uuid).memory_total_bytes);
    for (const auto& [id, process] : processes_) {
      static constexpr const char* kPhases[] = {"starting", "ready", "running"};
      if (process.gpu == uuid) line += format(", {} {}", process.model, kPhases[static_cast<int>(process.phase)]);
    }
    lines.push_back(std::move(line));
  }
  for (const auto& [id, row] : open_) {
    lines.push_back(format("job {}: {} {} {} rank {} pin {} deaths {} chunks {} missing {} remaining {}", id.value,
                           row.held ? name(*row.held) : name(row.state), row.facts.model, name(row.facts.priority),
                           row.facts.rank, row.facts.pin.value_or("any"), row.deaths, row.chunks.size(),
                           row.missing.size(), remaining(row).size()));
  }
  return lines;
}

JobFacts Auditor::facts_of(const Row& row) {
  JobFacts facts = row.facts;
  facts.missing.assign(row.missing.begin(), row.missing.end());
  facts.worker_deaths = row.deaths;
  facts.held = row.state == JobState::held ? row.held : std::nullopt;
  facts.cancel_requested = row.cancel == Row::Cancel::requested;
  return facts;
}

void Auditor::restart() {
  processes_.clear();
  chunks_.clear();
  loading_for_.clear();
  died_loading_.clear();
  gpus_.clear();  // told again
  models_.clear();
  selected_.clear();
  pauses_.clear();
  host_.forget_all();
  tenures_.clear();
  wake_at_.reset();
  for (auto& [id, row] : open_) {
    row.in_flight.clear();
    row.chunks.clear();
    row.memory = Row::Memory::fine;
    row.known = Row::Known::no;
    if (row.state == JobState::running) row.state = JobState::queued;
  }
}

// --- events ---------------------------------------------------------------------------------------------------

void Auditor::begin(const Event& event, Instant now) {
  now_ = now;
  event_ = &event;
  started_on_.clear();
  started_.clear();
  told_to_stop_.clear();
  died_for_.reset();
  reordered_.reset();
  expected_order_.reset();
  evicted_.clear();
  lost_gpu_.reset();
  std::visit([this](const auto& e) { on(e); }, event);
}

void Auditor::on(const GpuArrived& e) {
  const auto known = gpus_.find(e.gpu.uuid);
  if (known != gpus_.end() && known->second.kind != e.gpu.kind) {
    lost_gpu_ = e.gpu.uuid;
    tenures_.erase(e.gpu.uuid);
  }
  gpus_[e.gpu.uuid] = e.gpu;
}

void Auditor::on(const GpuLost& e) {
  lost_gpu_ = e.gpu;
  gpus_.erase(e.gpu);
  tenures_.erase(e.gpu);
  std::erase_if(died_loading_, [&](const auto& entry) { return entry.first.first == e.gpu; });
}

void Auditor::on(const ModelKnown& e) {
  const auto known = models_.find(e.model.key);
  if (known != models_.end() && known->second == e.model) return;
  models_[e.model.key] = e.model;
  outdate(e.model.key);
}

void Auditor::on(const ModelForgotten& e) {
  if (models_.erase(e.model) > 0) outdate(e.model);
}

void Auditor::outdate(const ModelKey& model) {
  for (auto& [id, process] : processes_) {
    if (process.model == model) process.facts = Process::Facts::outdated;
  }
}

void Auditor::on(const JobSubmitted& e) {
  if (ended_.contains(e.job.id)) {
    if (!is_over(e.job.id)) return;
    ended_.erase(e.job.id);  // opened again
  }
  const auto [at, inserted] = open_.try_emplace(e.job.id);
  Row& row = at->second;
  row.known = Row::Known::yes;
  if (!inserted) return;
  row.facts = e.job;
  row.missing.insert(e.job.missing.begin(), e.job.missing.end());
  row.deaths = row.told_deaths = e.job.worker_deaths;
  if (!e.job.held) return;
  row.state = JobState::held;
  row.held = e.job.held;
  if (!derived(*e.job.held)) row.held_by_others = e.job.held;
}

bool Auditor::is_over(JobId job) const {
  return std::none_of(chunks_.begin(), chunks_.end(), [job](const auto& chunk) { return chunk.second.job == job; });
}

void Auditor::on(const JobCancelRequested& e) {
  const auto row = open_.find(e.job);
  if (row != open_.end()) row->second.cancel = Row::Cancel::requested;
}

void Auditor::on(const JobHeld& e) {
  const auto row = open_.find(e.job);
  if (row == open_.end() || row->second.state == JobState::running || derived(e.reason)) return;
  row->second.held_by_others = e.reason;
}

void Auditor::on(const JobReleased& e) {
  const auto row = open_.find(e.job);
  if (row != open_.end()) row->second.held_by_others.reset();
}

void Auditor::on(const WorkerReady& e) {
  const auto process = processes_.find(e.worker);
  if (process == processes_.end() || process->second.phase != Process::Phase::starting) return;
  process->second.phase = Process::Phase::ready;
  if (process->second.load == Process::Load::alone) {
    tenures_[process->second.gpu] = {Duration{0}, now_ - process->second.since};
  }
  died_loading_.erase({process->second.gpu, process->second.model});
}

void Auditor::on(const WorkerLost& e) {
  const auto found = processes_.find(e.worker);
  if (found == processes_.end()) return;
  const Process process = found->second;
  processes_.erase(found);
  if (process.chunk) {
    OpenChunk& chunk = chunks_.at(*process.chunk);
    chunk.alive = OpenChunk::Worker::lost;
    const auto row = open_.find(chunk.job);
    if (row == open_.end() || e.blame == Blame::none || row->second.cancel == Row::Cancel::requested) return;
    const bool unfinished = std::any_of(chunk.left.begin(), chunk.left.end(),
                                        [&row](int index) { return row->second.missing.contains(index); });
    if (unfinished) ++row->second.deaths;
    return;
  }
  if (process.phase != Process::Phase::starting) return;
  died_loading_[{process.gpu, process.model}] = now_;
  if (e.blame == Blame::none) return;
  if (process.loads_for == Process::For::model || !loading_for_.contains(process.gpu)) {
    died_for_ = process.model;
  } else if (open_.contains(loading_for_.at(process.gpu))) {
    ++open_.at(loading_for_.at(process.gpu)).deaths;
  }
}

void Auditor::on(const ModelUnloadable& e) {
  const auto process = processes_.find(e.worker);
  if (process != processes_.end() && process->second.phase == Process::Phase::starting) processes_.erase(process);
}

void Auditor::on(const ImageMade& e) {
  const auto chunk = chunks_.find(e.chunk);
  if (chunk == chunks_.end() || chunk->second.left.erase(e.index) == 0) return;
  const auto row = open_.find(chunk->second.job);
  if (row != open_.end() && row->second.missing.contains(e.index)) row->second.in_flight.insert(e.index);
}

OpenChunk* Auditor::close(ChunkId id) {
  OpenChunk& chunk = chunks_.at(id);
  const auto row = open_.find(chunk.job);
  if (row != open_.end()) row->second.chunks.erase(id);
  if (gpus_.contains(chunk.gpu) && lost_gpu_ != chunk.gpu) tenures_[chunk.gpu].ran += now_ - chunk.since;
  const auto process = processes_.find(chunk.worker);
  if (process != processes_.end()) {
    process->second.phase = Process::Phase::ready;
    process->second.chunk.reset();
  }
  return &chunk;
}

void Auditor::on(const ChunkEnded& e) {
  if (!chunks_.contains(e.chunk)) return;
  const OpenChunk chunk = *close(e.chunk);
  chunks_.erase(e.chunk);
  const auto found = open_.find(chunk.job);
  if (found == open_.end()) return;
  Row& row = found->second;
  const bool unfinished =
      std::any_of(chunk.left.begin(), chunk.left.end(), [&row](int index) { return row.missing.contains(index); });
  if (e.outcome == ChunkOutcome::failed && e.failure.code == "out_of_memory") row.memory = Row::Memory::ran_out;
  if (e.outcome != ChunkOutcome::failed && unfinished && row.cancel == Row::Cancel::none) ++row.deaths;
}

void Auditor::on(const ImagePublished& e) {
  const auto row = open_.find(e.job);
  if (row == open_.end()) return;
  row->second.missing.erase(e.index);
  row->second.in_flight.erase(e.index);
}

void Auditor::on(const ImageRejected& e) {
  const auto row = open_.find(e.job);
  if (row != open_.end()) row->second.in_flight.erase(e.index);
}

// --- actions --------------------------------------------------------------------------------------------------

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

// --- the whole ------------------------------------------------------------------------------------------------

void Auditor::end(const Scheduler& scheduler) {
  for (const auto& [id, chunk] : chunks_) {
    if (chunk.alive == OpenChunk::Worker::lost || !processes_.contains(chunk.worker)) {
      report(format("chunk {} stays open on a worker that is gone", id.value));
    }
  }
  check_cancelled();
  check_gpus(scheduler.gpus());
  check_rows();
  check_started();
  check_places();
  if (auto wrong = host_.check(models_, policy_)) report(std::move(*wrong));
  check_no_idle_gpu_with_work();
  check_not_stalled();
}

// A chunk is told to stop because somebody asked, or because its job has failed.
void Auditor::check_cancelled() {
  for (const JobId job : told_to_stop_) {
    const auto row = open_.find(job);
    if (row != open_.end() && row->second.cancel == Row::Cancel::none) {
      report(format("a chunk of job {} is cancelled for no reason", job.value));
    }
  }
}

// Jobs that run, with pictures that nobody makes, wait as well: they come before what was started.
void Auditor::check_started() {
  for (const JobId id : started_) {
    const auto started = open_.find(id);
    if (started == open_.end()) continue;
    for (const auto& [other_id, other] : open_) {
      if (other.state == JobState::running && may_start(other)) check_order(started->second, other);
    }
  }
}

void Auditor::check_gpus(const std::vector<Scheduler::GpuView>& views) {
  if (views.size() != gpus_.size()) report("the views do not list each gpu once");
  std::vector<std::pair<int, GpuUuid>> by_index;
  for (const auto& [uuid, gpu] : gpus_) by_index.emplace_back(gpu.index, uuid);
  std::sort(by_index.begin(), by_index.end());

  std::map<GpuUuid, std::vector<const Process*>> by_gpu;
  for (const auto& [id, process] : processes_) by_gpu[process.gpu].push_back(&process);

  selected_.clear();
  loading_for_.clear();
  std::set<GpuUuid> in_use;
  for (const auto& view : views) {
    if (!gpus_.contains(view.uuid)) return report(format("view of gpu {}, which is gone", view.uuid));
    if (view.state == GpuState::idle || view.state == GpuState::loading || view.state == GpuState::busy) {
      in_use.insert(view.uuid);
    }
    const std::int64_t bytes = bytes_on(view.uuid);
    const Process* const running = running_on(view.uuid);
    const Process* const loading = loading_on(view.uuid);
    std::vector<ModelKey> residents;
    for (const Process* process : by_gpu[view.uuid]) {
      if (process->phase != Process::Phase::starting) residents.push_back(process->model);
    }
    std::sort(residents.begin(), residents.end());
    if (bytes != view.reserved_bytes || residents != view.resident_models) {
      report(format("gpu {} is not shown as it is", view.uuid));
    }
    const bool busy = view.state == GpuState::busy || view.state == GpuState::draining;
    if (busy != (running != nullptr) ||
        (view.state == GpuState::loading) != (loading != nullptr && running == nullptr)) {
      report(format("gpu {} is not in the state shown", view.uuid));
    }
    if (view.state == GpuState::loading && loading != nullptr && loading->loads_for == Process::For::one_job) {
      if (!view.job) return report(format("gpu {} loads for nobody", view.uuid));
      loading_for_[view.uuid] = *view.job;
    }
    if (bytes > gpus_.at(view.uuid).memory_total_bytes && by_gpu[view.uuid].size() > (running != nullptr ? 1u : 0u)) {
      report(format("gpu {} stays oversold", view.uuid));
    }
    if (view.state == GpuState::unused && bytes > 0) report(format("gpu {} is unused but holds models", view.uuid));
  }
  if (policy_.multi_gpu) {
    for (const auto& [index, uuid] : by_index) {
      if (selected_.size() < static_cast<std::size_t>(policy_.max_gpus)) selected_.insert(uuid);
    }
    if (in_use != selected_) report("other gpus are in use than the first by index");
  } else if (gpus_.contains(policy_.single_gpu)) {
    selected_.insert(policy_.single_gpu);
    if (in_use != selected_) report("another gpu is in use than the one named");
  } else if (in_use.size() == 1 ||
             std::any_of(open_.begin(), open_.end(), [](const auto& e) { return e.second.known == Row::Known::yes; })) {
    selected_ = in_use;
    if (!gpus_.empty() && in_use.size() != 1) report(format("{} gpus are in use with multi-GPU off", in_use.size()));
  }
  for (const GpuUuid& uuid : started_on_) {
    if (!selected_.contains(uuid)) report(format("something started on gpu {}, which is not selected", uuid));
  }
}

bool Auditor::can_take(const Gpu& gpu, const Row& row) const {
  const auto model = models_.find(row.facts.model);
  return model != models_.end() &&
         model->second.memory_bytes + policy_.worker_overhead_bytes <= gpu.memory_total_bytes &&
         (!row.facts.pin || *row.facts.pin == gpu.uuid) &&
         (model->second.engine == Engine::synthetic || gpu.kind != GpuKind::virtual_gpu);
}

std::optional<HeldReason> Auditor::expected_hold(const Row& row) {
  if (row.held_by_others) return row.held_by_others;
  if (pauses_.contains(std::nullopt) || pauses_.contains(row.facts.owner)) return HeldReason::paused;
  if (!models_.contains(row.facts.model)) return HeldReason::model_disabled;
  const auto [cached, unseen] = takers_.try_emplace({row.facts.model, row.facts.pin}, 0);
  if (unseen) {
    for (const GpuUuid& uuid : selected_) cached->second += can_take(gpus_.at(uuid), row) ? 1 : 0;
  }
  return cached->second > 0 ? std::nullopt : std::optional(HeldReason::no_gpu);
}

void Auditor::check_rows() {
  takers_.clear();
  for (const auto& [id, row] : open_) {
    if (row.known == Row::Known::no) continue;
    if (row.missing.empty()) report(format("job {} has all its pictures but is not done", id.value));
    if (row.state == JobState::running) {
      if (row.chunks.empty() && !row.all_handed_over()) report(format("job {} runs nowhere", id.value));
      continue;
    }
    if (!row.chunks.empty()) report(format("job {} is {} while its chunk runs", id.value, name(row.state)));
    if (row.cancel == Row::Cancel::requested) report(format("job {} waits though it was cancelled", id.value));
    const auto expected = expected_hold(row);
    const bool may_want_a_larger_gpu = row.memory == Row::Memory::ran_out && !expected;
    if (row.held != expected && !may_want_a_larger_gpu) {
      report(format("job {} is held {}, expected {}", id.value, row.held ? name(*row.held) : "not",
                    expected ? name(*expected) : "not"));
    }
  }
}

bool Auditor::recently_died_loading(const GpuUuid& gpu, const ModelKey& model) const {
  const auto died = died_loading_.find({gpu, model});
  return died != died_loading_.end() && now_ - died->second < std::chrono::seconds{30};
}

bool Auditor::may_start(const Row& row) {
  if (row.known == Row::Known::no || row.cancel == Row::Cancel::requested) return false;
  if (row.state == JobState::queued) return true;
  return row.state == JobState::running && !remaining(row).empty() && !expected_hold(row);
}

void Auditor::check_no_idle_gpu_with_work() {
  if (by_amp()) return check_warm_gpus();  // others may idle on purpose
  std::set<ModelKey> loads;
  for (const auto& [id, process] : processes_) {
    if (process.phase == Process::Phase::starting) loads.insert(process.model);
  }
  std::vector<const Row*> waiting;
  for (const auto& [id, row] : open_) {
    if (may_start(row)) waiting.push_back(&row);
  }
  std::sort(waiting.begin(), waiting.end(), [](const Row* x, const Row* y) { return x->place() < y->place(); });
  if (in_order() && waiting.size() > 1) waiting.resize(1);
  for (const GpuUuid& uuid : selected_) {
    if (is_busy(uuid)) continue;
    std::set<std::pair<ModelKey, std::optional<GpuUuid>>> kept;  // behind one that may have to wait for a moved job
    for (const Row* const each : waiting) {
      const Row& row = *each;
      const JobId id = row.facts.id;
      if (!can_take(gpus_.at(uuid), row)) continue;
      if (may_have_to_wait_for_moved(row, uuid)) kept.emplace(row.facts.model, row.facts.pin);
      if (!row.fresh() || kept.contains({row.facts.model, row.facts.pin})) continue;
      const ModelKey& model = row.facts.model;
      const bool resident = std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
        return entry.second.gpu == uuid && entry.second.model == model;
      });
      const bool may_have_a_load = row.facts.pin.has_value() || loads.contains(row.facts.model);
      if (resident) {
        report(format("gpu {} idles, holds the model of job {} and does not run it", uuid, id.value));
      } else if (!may_have_a_load && !recently_died_loading(uuid, row.facts.model)) {
        report(format("gpu {} idles while job {} waits", uuid, id.value));
      }
    }
  }
}

}  // namespace pixelfleet::sim
