#include "scheduler/explanation.h"

#include <algorithm>
#include <utility>

namespace pixelfleet::scheduler {
namespace {

template <class Visit>
void for_each_gpu(GpuMask mask, Visit visit) {
  for (; mask != 0; mask &= mask - 1) visit(__builtin_ctzll(mask));
}

}  // namespace

Board& Explainer::synced(Scheduler::State& state) {
  state.sync_board();
  return state.planning.board;
}

Explainer::Explainer(Scheduler::State& state) : state_(state), board_(synced(state)), amp_(board_) {
  for (Queue::Walk walk(state_.queue); !walk.at_end(); walk.next()) {
    places_.emplace(walk.job(), static_cast<int>(order_.size()));
    order_.push_back(walk.job());
  }
}

template <class Ask>
auto Explainer::when_free(int gpu, Ask ask) const {
  BoardGpu& g = board_.gpu(gpu);
  const BoardGpu busy = g;
  g.running = -1;
  if (g.loading >= 0) {
    g.residents.push_back({g.loading, g.loading_weights_bytes, g.loading_workspace_bytes, 0});
    g.loading = -1;
  }
  auto answer = ask();
  g = busy;
  return answer;
}

std::optional<WaitingReason> Explainer::reason_of(const OpenJob& job) const {
  if (!job.waiting()) return std::nullopt;
  if (job.state == JobState::held) return of_held(job);
  if (!state_.queue.contains(job.id)) return std::nullopt;
  return state_.uses_amp() ? by_amp(job) : by_simple_policy(job);
}

// The first one that could take the job, were it given work and all of its memory.
const Slot* Explainer::closed_gpu_for(const OpenJob& job, const ModelFacts& model) const {
  const Slot* found = nullptr;
  for (const auto& [uuid, slot] : state_.gpus) {
    const Gpu& gpu = slot.gpu;
    const bool large_enough = model.memory_bytes + state_.policy.worker_overhead_bytes <= gpu.memory_total_bytes &&
                              gpu.memory_total_bytes > job.more_than_bytes;
    const bool allowed = engine_runs_on(model.engine, gpu.kind) && (!job.pin || *job.pin == uuid);
    if (state_.terms_of(uuid).is_open() || !large_enough || !allowed) continue;
    if (found == nullptr || slot.gpu.index < found->gpu.index) found = &slot;
  }
  return found;
}

WaitingReason Explainer::of_held(const OpenJob& job) const {
  WaitingReason held = reason(Kind::held, job);
  held.held = job.held;
  const auto model = state_.models.find(job.model);
  if (job.held != HeldReason::no_gpu || model == state_.models.end()) return held;
  held.kind = Kind::no_gpu_fits;
  held.needed_bytes = model->second.memory_bytes + state_.policy.worker_overhead_bytes;
  for (const GpuUuid& uuid : state_.selected) {
    const Gpu& gpu = state_.gpus.at(uuid).gpu;
    if (!engine_runs_on(model->second.engine, gpu.kind) || (job.pin && *job.pin != uuid)) continue;
    held.largest_bytes = std::max(held.largest_bytes, state_.usable_bytes(gpu));
  }
  if (const Slot* closed = closed_gpu_for(job, model->second)) {
    held.kind = Kind::gpu_closed;
    held.gpu = {closed->gpu.uuid, closed->gpu.index};
  }
  return held;
}

WaitingReason Explainer::by_simple_policy(const OpenJob& job) const {
  if (job.load) {
    const Worker& worker = state_.workers.at(*job.load);
    const auto at = std::find(state_.selected.begin(), state_.selected.end(), worker.gpu) - state_.selected.begin();
    return reason(Kind::model_loading, job, static_cast<int>(at), board_.load_end(static_cast<int>(at)));
  }
  const Kind in_line = state_.uses_v18() ? Kind::behind_jobs : Kind::strict_order;
  if (places_.at(job.id) > 0) return behind_earlier(in_line, job, nullptr);
  GpuMask gpus = 0;
  for (const Slot* slot : state_.candidates(job.lane())) {
    const auto at = std::find(state_.selected.begin(), state_.selected.end(), slot->gpu.uuid);
    gpus |= bit(static_cast<int>(at - state_.selected.begin()));
  }
  if (auto refused = backing_off(job, gpus)) return std::move(*refused);
  const int gpu = first_free(gpus);
  return gpu < 0 ? reason(Kind::runs_next, job) : reason(Kind::runs_next, job, gpu, free_at(gpu));
}

WaitingReason Explainer::by_amp(const OpenJob& job) const {
  const int model = state_.planning.models.at(job.model);
  const BoardJob* entry = board_.find(model, job.id);
  if (entry == nullptr) return behind_earlier(Kind::behind_jobs, job, &job.model);  // the window is full of others
  if (entry->gpus == 0) {
    WaitingReason moved = reason(Kind::behind_moved_job, job);
    moved.other = moved_before(job);
    return moved;
  }
  if (const GpuMask copies = amp_.holders(model) & entry->gpus) return for_copies(job, *entry, copies);
  if (board_.staging == model) {
    WaitingReason staging = reason(Kind::model_staging, job);
    staging.ready_in_s = std::max(0.0, board_.staging_end - board_.now);
    return staging;
  }
  if (const GpuMask idle = board_.idle_gpus() & entry->gpus) return for_idle_gpu(job, *entry, idle);
  return for_first_free_gpu(job, *entry);
}

// Some gpu holds or loads its model: it waits for that one, or behind others that do.
WaitingReason Explainer::for_copies(const OpenJob& job, const BoardJob& entry, GpuMask copies) const {
  int warm = -1;
  double ready = kNever;
  for_each_gpu(copies, [&](int g) {
    const double at = amp_.ready_at(entry.model, g);
    if (at < ready) {
      ready = at;
      warm = g;
    }
  });
  std::vector<JobId> ahead;
  add_warm_before(entry, warm, amp_.warm_value(entry, warm, bit(warm)), ahead);
  if (!ahead.empty()) return behind(Kind::behind_jobs, job, ahead);

  const int elsewhere = first_free(entry.gpus & ~copies);
  if (elsewhere >= 0 && free_at(elsewhere) < ready) {
    WaitingReason waits = reason(Kind::waits_for_warm_gpu, job, warm, ready);
    add_load(waits, entry.model, elsewhere, free_at(elsewhere) - board_.now);
    return waits;
  }
  const bool loading = board_.gpu(warm).loading == entry.model;
  return reason(loading ? Kind::model_loading : Kind::runs_next, job, warm, ready);
}

// No gpu holds its model and some gpu it may use has nothing to run: a load there is out of the question for now.
WaitingReason Explainer::for_idle_gpu(const OpenJob& job, const BoardJob& entry, GpuMask idle) const {
  if (auto refused = backing_off(job, entry.gpus)) return std::move(*refused);
  int loading = -1;
  int keeps = -1;
  for_each_gpu(idle, [&](int g) {
    if (board_.gpu(g).loading >= 0 && (loading < 0 || board_.load_end(g) < board_.load_end(loading))) loading = g;
    if (board_.gpu(g).loading < 0 && keeps < 0) keeps = g;
  });
  if (keeps < 0) {
    WaitingReason waits = reason(Kind::waits_for_gpu, job, loading, board_.load_end(loading));
    add_load(waits, entry.model, loading, 0.0);
    return waits;
  }
  std::vector<int> kept;
  for (const Resident& resident : board_.gpu(keeps).residents) kept.push_back(resident.model);
  if (kept.empty()) return reason(Kind::runs_next, job, keeps, board_.now);
  WaitingReason stays = reason(Kind::gpu_keeps_models, job);
  stays.gpu = name_of(keeps);
  add_models(stays, kept);
  return stays;
}

// All are busy: behind what the first free one will take before, or next there.
WaitingReason Explainer::for_first_free_gpu(const OpenJob& job, const BoardJob& entry) const {
  const int gpu = first_free(entry.gpus);
  if (auto refused = backing_off(job, entry.gpus)) return std::move(*refused);
  const Choice load = when_free(gpu, [&] { return amp_.load_choice(entry.model, gpu, bit(gpu), 0.0); });
  std::vector<JobId> ahead;
  add_warm_before(entry, gpu, load.index / board_.tuning.hysteresis, ahead);
  add_loads_before(entry, gpu, load.index, ahead);
  if (!ahead.empty()) return behind(Kind::behind_jobs, job, ahead);
  WaitingReason waits = reason(Kind::waits_for_gpu, job, gpu, free_at(gpu));
  add_load(waits, entry.model, gpu, 0.0);
  return waits;
}

void Explainer::add_warm_before(const BoardJob& entry, int gpu, double least, std::vector<JobId>& ahead) const {
  const BoardGpu& g = board_.gpu(gpu);
  const auto add_jobs_of = [&](int model) {
    for (const BoardJob& other : board_.model(model).window) {
      if (other.id == entry.id || !(other.gpus & bit(gpu)) || overdue_before(entry, other)) continue;
      const double value = amp_.warm_value(other, gpu, bit(gpu));
      const bool before = value > least || (value == least && other.id < entry.id);
      if (before || overdue_before(other, entry)) ahead.push_back(other.id);
    }
  };
  for (const Resident& resident : g.residents) add_jobs_of(resident.model);
  if (g.loading >= 0) add_jobs_of(g.loading);
}

// Of its own model the jobs of more weight for their time; of models that are nowhere those whose load is worth more.
void Explainer::add_loads_before(const BoardJob& entry, int gpu, double index, std::vector<JobId>& ahead) const {
  const auto value = [&](const BoardJob& job) { return amp_.weight(job) / board_.run_seconds(job, gpu); };
  for (const int model : board_.wanted) {
    if (amp_.holders(model) != 0) continue;
    const bool own = model == entry.model;
    const auto load = [&, wanted = model] { return amp_.load_choice(wanted, gpu, bit(gpu), 0.0); };
    if (!own && when_free(gpu, load).index <= index) continue;
    for (const BoardJob& other : board_.model(model).window) {
      if (other.id == entry.id || !(other.gpus & bit(gpu))) continue;
      if (!own || value(other) > value(entry) || (value(other) == value(entry) && other.id < entry.id)) {
        ahead.push_back(other.id);
      }
    }
  }
}

bool Explainer::overdue_before(const BoardJob& one, const BoardJob& entry) const {
  const double guard = amp_.guard(one);
  return guard <= board_.now && guard < amp_.guard(entry);
}

double Explainer::free_at(int gpu) const {
  const BoardGpu& g = board_.gpu(gpu);
  double at = g.running >= 0 ? board_.run_end(gpu) : board_.now;
  if (g.loading >= 0 && (g.load_excludes_runs || g.running < 0)) at = std::max(at, board_.load_end(gpu));
  return at;
}

int Explainer::first_free(GpuMask gpus) const {
  int first = -1;
  for_each_gpu(gpus, [&](int g) {
    if (board_.gpu(g).usable && (first < 0 || free_at(g) < free_at(first))) first = g;
  });
  return first;
}

// All gpus that it may use have refused its model; the first that will try again.
std::optional<WaitingReason> Explainer::backing_off(const OpenJob& job, GpuMask gpus) const {
  int first = -1;
  Instant retry_at;
  bool all = gpus != 0;
  for_each_gpu(gpus, [&](int g) {
    const GpuUuid& uuid = state_.selected[static_cast<std::size_t>(g)];
    all = all && state_.backing_off(uuid, job.model);
    if (!all) return;
    const Instant at = state_.back_offs.at({uuid, job.model}).retry_at;
    if (first < 0 || at < retry_at) {
      first = g;
      retry_at = at;
    }
  });
  if (!all) return std::nullopt;
  return reason(Kind::backing_off, job, first, board_.now + seconds_between(state_.now, retry_at));
}

// The last one in front of it that is younger: only a move puts it there.
std::optional<JobId> Explainer::moved_before(const OpenJob& job) const {
  for (int place = places_.at(job.id) - 1; place >= 0; --place) {
    const OpenJob& other = state_.jobs.at(order_[static_cast<std::size_t>(place)]);
    if (other.priority == job.priority && job.id < other.id) return other.id;
  }
  return std::nullopt;
}

WaitingReason::GpuName Explainer::name_of(int gpu) const {
  const GpuUuid& uuid = state_.selected[static_cast<std::size_t>(gpu)];
  return {uuid, state_.gpus.at(uuid).gpu.index};
}

WaitingReason Explainer::reason(Kind kind, const OpenJob& job) const {
  WaitingReason reason;
  reason.kind = kind;
  reason.model = job.model;
  return reason;
}

WaitingReason Explainer::reason(Kind kind, const OpenJob& job, int gpu, double ready_at) const {
  WaitingReason named = reason(kind, job);
  named.gpu = name_of(gpu);
  named.ready_in_s = std::max(0.0, ready_at - board_.now);
  return named;
}

WaitingReason Explainer::behind(Kind kind, const OpenJob& job, const std::vector<JobId>& ahead) const {
  WaitingReason behind = reason(kind, job);
  behind.jobs_ahead = static_cast<int>(ahead.size());
  for (const JobId id : ahead) behind.own_jobs_ahead += state_.jobs.at(id).owner == job.owner ? 1 : 0;
  return behind;
}

// Those in front of it in the queue: of one model, or all.
WaitingReason Explainer::behind_earlier(Kind kind, const OpenJob& job, const ModelKey* model) const {
  std::vector<JobId> ahead;
  for (int place = 0; place < places_.at(job.id); ++place) {
    const JobId id = order_[static_cast<std::size_t>(place)];
    if (model == nullptr || state_.jobs.at(id).model == *model) ahead.push_back(id);
  }
  return behind(kind, job, ahead);
}

void Explainer::add_load(WaitingReason& reason, int model, int gpu, double until_free) const {
  const Eviction eviction = when_free(gpu, [&] { return eviction_for(board_, gpu, model); });
  if (eviction.price >= kNever) return;
  reason.load_s = until_free + board_.load_seconds(model, gpu);
  add_models(reason, eviction.victims);
}

void Explainer::add_models(WaitingReason& reason, const std::vector<int>& models) const {
  for (const int model : models) {
    reason.pushes_out.push_back(state_.planning.model_keys[static_cast<std::size_t>(model)]);
    reason.jobs_waiting += board_.model(model).queued;
  }
}

std::optional<WaitingReason> Scheduler::explain(JobId job, Instant now) const {
  State copy(*state_);
  copy.now = std::max(copy.now, now);
  const auto found = copy.jobs.find(job);
  return found == copy.jobs.end() ? std::nullopt : Explainer(copy).reason_of(found->second);
}

std::map<JobId, WaitingReason> Scheduler::explain_all(Instant now) const {
  State copy(*state_);
  copy.now = std::max(copy.now, now);
  const Explainer explainer(copy);
  std::map<JobId, WaitingReason> reasons;
  for (const auto& [id, job] : copy.jobs) {
    if (auto reason = explainer.reason_of(job)) reasons.emplace_hint(reasons.end(), id, std::move(*reason));
  }
  return reasons;
}

}  // namespace pixelfleet::scheduler
