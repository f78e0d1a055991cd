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
  machine_.clear();  // told again
  gpus_.clear();
  terms_.clear();
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
  machine_[e.gpu.uuid] = e.gpu;
  plan_memory(e.gpu.uuid);
}

void Auditor::plan_memory(const GpuUuid& uuid) {
  if (!machine_.contains(uuid)) return;
  Gpu gpu = machine_.at(uuid);
  if (const auto plan = terms_[uuid].plan_bytes) gpu.memory_total_bytes = std::min(gpu.memory_total_bytes, *plan);
  gpus_[uuid] = gpu;
}

void Auditor::on(const GpuClosed& e) {
  terms_[e.gpu].closed = e.workers;
  if (e.workers == GpuClosed::Workers::abandon) lost_gpu_ = e.gpu;
}

void Auditor::on(const GpuMemoryPlanned& e) {
  terms_[e.gpu].plan_bytes = e.bytes;
  plan_memory(e.gpu);
}

std::vector<Event> Auditor::terms_as_events() const {
  std::vector<Event> events;
  for (const auto& [uuid, terms] : terms_) {
    if (terms.closed) events.emplace_back(GpuClosed{uuid, *terms.closed});
    if (terms.plan_bytes) events.emplace_back(GpuMemoryPlanned{uuid, terms.plan_bytes});
  }
  return events;
}

void Auditor::on(const GpuLost& e) {
  lost_gpu_ = e.gpu;
  machine_.erase(e.gpu);
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
    const bool works = view.state == GpuState::loading || view.state == GpuState::busy;
    if (view.state == GpuState::idle || (works && is_open(view.uuid))) {  // a resting one finishes its load
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
    const bool may_hold = is_open(view.uuid) || *terms_.at(view.uuid).closed == GpuClosed::Workers::rest;
    if ((view.state == GpuState::unused || !may_hold) && running == nullptr && bytes > 0) {
      report(format("gpu {} is out of use but holds models", view.uuid));
    }
    if ((view.state == GpuState::closed) != (!is_open(view.uuid) && running == nullptr && loading == nullptr)) {
      report(format("gpu {} is not shown as open or closed as it is", view.uuid));
    }
  }
  if (policy_.multi_gpu) {
    const auto is_listed = [this](const auto& entry) {
      const Gpu& gpu = gpus_.at(entry.second);
      return policy_.gpus.contains(gpu.uuid) || policy_.gpus.contains(std::to_string(gpu.index));
    };
    const bool any = std::none_of(by_index.begin(), by_index.end(), is_listed);
    for (const auto& entry : by_index) {
      if ((!any && !is_listed(entry)) || !is_open(entry.second)) continue;
      if (selected_.size() < static_cast<std::size_t>(policy_.max_gpus)) selected_.insert(entry.second);
    }
    if (in_use != selected_) report("other gpus are in use than the first listed ones by index");
  } else if (gpus_.contains(policy_.single_gpu)) {
    if (is_open(policy_.single_gpu)) selected_.insert(policy_.single_gpu);
    if (in_use != selected_) report("another gpu is in use than the one named");
  } else if (in_use.size() == 1 ||
             std::any_of(open_.begin(), open_.end(), [](const auto& e) { return e.second.known == Row::Known::yes; })) {
    selected_ = in_use;
    const bool any_open = std::any_of(gpus_.begin(), gpus_.end(), [this](const auto& e) { return is_open(e.first); });
    if (in_use.size() != (any_open ? 1u : 0u)) report(format("{} gpus are in use with multi-GPU off", in_use.size()));
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
