// From State to the board of the amp policy, and from its choices to actions.
//
// The board is the scheduler's state in the units of the policy: gpus are copied at every decision, a model's window
// (window.cc) only after its jobs or the machine have changed.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "scheduler/amp.h"
#include "scheduler/rollout.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr double kRateSeconds = 900.0;
constexpr std::size_t kRecent = 8;  // jobs of a model that are remembered as examples

Duration from_seconds(double seconds) { return Duration{static_cast<std::int64_t>(std::min(1e9, seconds) * 1e6)}; }

Instant to_instant(double seconds) {
  return Instant{Duration{static_cast<std::int64_t>(std::min(1e12, seconds) * 1e6)}};
}

int intern(std::map<std::string, int>& names, const std::string& name) {
  return names.emplace(name, static_cast<int>(names.size())).first->second;
}

}  // namespace

double to_seconds(Instant instant) { return static_cast<double>(instant.time_since_epoch().count()) * 1e-6; }

double seconds_between(Instant from, Instant to) { return static_cast<double>((to - from).count()) * 1e-6; }

int Scheduler::State::model_index(const ModelKey& key) {
  const auto [found, inserted] = planning.models.emplace(key, static_cast<int>(planning.model_keys.size()));
  if (inserted) {
    planning.model_keys.push_back(key);
    planning.board.models.emplace_back();
    planning.windows.emplace_back();
    queue.touch(key);
  }
  return found->second;
}

int Scheduler::State::gpu_type(const std::string& name) {
  const auto found = std::find(planning.gpu_types.begin(), planning.gpu_types.end(), name);
  if (found != planning.gpu_types.end()) return static_cast<int>(found - planning.gpu_types.begin());
  if (planning.gpu_types.size() == kMaxGpuTypes) return static_cast<int>(kMaxGpuTypes - 1);
  planning.gpu_types.push_back(name);
  return static_cast<int>(planning.gpu_types.size() - 1);
}

void Scheduler::State::forget_plans() {
  planning.board = {};
  planning.models.clear();
  planning.windows.clear();
  planning.model_keys.clear();
  planning.owners.clear();
  planning.submitted.clear();
  planning.staged.clear();
  planning.staging.reset();
  planning.unreadable_until.clear();
  planning.used_at.clear();
  planning.pace_index.clear();
  planning.paces.clear();
  planning.recent.clear();
  planning.arrivals = 0;
  ++planning.machine;
}

void Scheduler::State::note_arrival(OpenJob& job) {
  Estimate& estimate = job.estimate;
  estimate.owner = intern(planning.owners, job.owner);
  const auto owner = static_cast<std::size_t>(estimate.owner);
  if (owner == planning.submitted.size()) {
    planning.submitted.push_back(0);
    planning.board.owners.emplace_back();
  }
  estimate.place = planning.submitted[owner]++;
  estimate.loras = job.shape.loras.empty() ? 0 : 1 + intern(planning.loras, job.shape.loras);
  planning.board.now = to_seconds(now);
  estimate.backlog_at_arrival = backlog_of(planning.board);

  BoardModel& model = planning.board.model(model_index(job.model));
  const double at = to_seconds(job.arrived_at);
  model.rate = model.rate * std::exp(std::min(0.0, (model.rate_at - at) / kRateSeconds)) + 1.0 / kRateSeconds;
  model.rate_at = std::max(model.rate_at, at);

  if (planning.arrivals++ == 0) planning.first_arrival = now;
  JobFacts facts;
  facts.owner = job.owner;
  facts.priority = job.priority;
  facts.model = job.model;
  facts.missing.assign(job.missing.begin(), job.missing.end());
  facts.shape = job.shape;
  std::vector<JobFacts>& recent = planning.recent[job.model];
  if (recent.size() < kRecent) {
    recent.push_back(std::move(facts));
  } else {
    recent[planning.arrivals % kRecent] = std::move(facts);
  }
}

void Scheduler::State::sync_model(const ModelKey& key) {
  const auto facts = models.find(key);
  BoardModel& model = planning.board.model(model_index(key));
  if (facts == models.end()) {
    model.rate = 0.0;  // nobody can ask for it
    return;
  }
  const ModelFacts& m = facts->second;
  model.weights_bytes = static_cast<double>(m.memory_bytes - m.workspace_bytes + policy.worker_overhead_bytes);
  model.workspace_bytes = static_cast<double>(m.workspace_bytes);
  model.file_bytes = static_cast<double>(m.file_bytes);
  model.in_host = m.file_bytes == 0 || is_staged(key);
  model.pinned = policy.pinned_models.contains(key);
  for (std::size_t type = 0; type < planning.gpu_types.size(); ++type) {
    const std::string& name = planning.gpu_types[type];
    const LoadPrior& prior = CostModel::prior_for(m, name).load;
    const auto seconds = [&](Tier tier) {
      const double expected =
          CostModel::prior_load_seconds(prior, model.file_bytes, tier, policy.disk_bytes_per_second);
      return static_cast<float>(sane_seconds(expected * planning.costs.load_ratio(m, name, tier)));
    };
    model.load_from_host[type] = seconds(Tier::host);
    model.load_from_disk[type] = seconds(Tier::disk);
    model.lora_seconds = sane_seconds(prior.lora_seconds);
  }
}

void Scheduler::State::sync_gpu(int index) {
  BoardGpu& gpu = planning.board.gpu(index);
  const Slot& slot = gpus.at(selected[static_cast<std::size_t>(index)]);
  gpu.residents.clear();
  gpu.running = gpu.loading = gpu.running_owner = -1;
  gpu.load_reads_disk = false;
  gpu.tenure = slot.tenure_seconds;
  gpu.paid = slot.paid_seconds;
  gpu.refused.clear();
  for (const WorkerId id : slot.workers) {
    const Worker& worker = workers.at(id);
    const int model = worker.model_index;
    if (worker.phase == WorkerPhase::starting) {
      gpu.loading = model;
      gpu.load_end = to_seconds(worker.expected_end);
      gpu.load_excludes_runs = policy.load_beside_run == LoadBesideRun::no;
      gpu.load_blocks = worker.blocks == Worker::Blocks::yes;
      // One that joined the staging of its model is no reader of its own.
      gpu.load_reads_disk = worker.tier == Tier::disk && planning.staging != worker.model && !is_staged(worker.model);
      gpu.loading_weights_bytes = static_cast<double>(worker.bytes);
      gpu.loading_workspace_bytes = static_cast<double>(worker.workspace_bytes);
      continue;
    }
    gpu.residents.push_back(
        {model, static_cast<double>(worker.bytes), static_cast<double>(worker.workspace_bytes), worker.loras});
    if (worker.phase != WorkerPhase::running) continue;
    gpu.running = model;
    gpu.run_end = to_seconds(worker.expected_end);
    const auto job = jobs.find(chunks.at(*worker.chunk).job);
    if (job != jobs.end()) gpu.running_owner = job->second.estimate.owner;
  }
  if (slot.running) gpu.tenure += seconds_between(workers.at(*slot.running).since, now);
  for (auto at = back_offs.lower_bound({slot.gpu.uuid, ""}); at != back_offs.end(); ++at) {
    if (at->first.first != slot.gpu.uuid) break;
    if (at->second.retry_at > now) gpu.refused.push_back(model_index(at->first.second));
  }
}

void Scheduler::State::sync_board() {
  planning.board.now = to_seconds(now);
  if (std::exchange(planning.board_machine, planning.machine) != planning.machine) sync_machine();
  for (int g = 0; g < static_cast<int>(selected.size()); ++g) sync_gpu(g);
  sync_models();
}

void Scheduler::State::sync_machine() {
  Board& board = planning.board;
  board.tuning = policy.tuning;
  board.fairness.set_exponent(policy.tuning.user_exponent);
  board.throughput = policy.objective == Objective::throughput ? 1.0 : 0.0;
  board.load_beside_run = policy.load_beside_run == LoadBesideRun::yes;
  board.most_residents = policy.resident_limit < 0 ? static_cast<std::size_t>(-1)
                                                   : static_cast<std::size_t>(std::max(1, policy.resident_limit));
  board.disk_bytes_per_second = policy.disk_bytes_per_second;
  board.host_limit = static_cast<double>(policy.host_memory_bytes);
  for (const auto& [uuid, slot] : gpus) gpu_type(slot.gpu.name);
  board.gpus.resize(selected.size());
  for (std::size_t g = 0; g < selected.size(); ++g) {
    const Gpu& gpu = gpus.at(selected[g]).gpu;
    board.gpus[g].type = gpu_type(gpu.name);
    board.gpus[g].memory_bytes = static_cast<double>(usable_bytes(gpu));
  }
  for (const auto& [key, facts] : models) {
    model_index(key);
    planning.stale.insert(key);
    queue.touch(key);
  }
}

// With the gpus done: whoever else reads from the disk, the models and what waits for them.
void Scheduler::State::sync_models() {
  Board& board = planning.board;
  board.disk_readers = static_cast<int>(
      std::count_if(board.gpus.begin(), board.gpus.end(), [](const BoardGpu& gpu) { return gpu.load_reads_disk; }));
  board.staging = planning.staging ? model_index(*planning.staging) : -1;
  board.staging_end = to_seconds(planning.staging_end);
  for (const ModelKey& key : std::exchange(planning.stale, {})) sync_model(key);
  // What moved jobs keep others from changes with every job; also when the last of them has just left.
  if (std::exchange(planning.any_moved, queue.any_moved()) || planning.any_moved) {
    for (const int model : board.wanted) queue.touch(planning.model_keys[static_cast<std::size_t>(model)]);
  }
  const auto changes = queue.take_changes();
  for (const auto& [key, of_model] : changes) sync_window(key, of_model);
  if (changes.empty()) return;
  board.wanted.clear();
  for (std::size_t m = 0; m < board.models.size(); ++m) {
    if (!board.models[m].window.empty()) board.wanted.push_back(static_cast<int>(m));
  }
}

void Scheduler::State::plan() {
  sync_board();
  Board& board = planning.board;
  Amp amp(board);
  const auto take = [&](const Choice& choice) {
    carry_out(choice);
    sync_gpu(choice.gpu);
    sync_models();
    amp.refresh();
  };
  std::vector<Choice> others;
  for (;;) {
    others.clear();
    const Choice base = amp.next(policy.tuning.rollout == Part::on ? &others : nullptr);
    Choice choice = base;
    if (worth_a_rollout(board, choice, others)) choice = best_by_rollout(board, choice, others);
    note_choice(choice, base, others);
    if (choice.kind == Choice::Kind::none) break;
    take(choice);
  }
  for (;;) {
    const Choice choice = amp.next_behind();
    if (choice.kind == Choice::Kind::none) break;
    note_choice(choice, choice, {});
    take(choice);
  }
  stage();
  queue.drop_empty_lanes();
}

void Scheduler::State::carry_out(const Choice& choice) {
  Slot& slot = gpus.at(selected[static_cast<std::size_t>(choice.gpu)]);
  const ModelKey& key = planning.model_keys[static_cast<std::size_t>(choice.model)];
  OpenJob& job = jobs.at(choice.job);
  const auto worker_of = [&](int model) {
    for (const WorkerId id : slot.workers) {
      if (workers.at(id).model == planning.model_keys[static_cast<std::size_t>(model)]) return id;
    }
    return WorkerId{};
  };
  if (choice.kind == Choice::Kind::run) {
    return start_chunk(job, worker_of(choice.model), images_to_start(job, choice));
  }
  const double seconds = planning.board.load_seconds(choice.model, choice.gpu);
  for (const int victim : eviction_for(planning.board, choice.gpu, choice.model).victims)
    stop_worker(worker_of(victim));
  const ModelFacts& facts = models.at(key);
  Worker& worker = workers.at(start_worker(slot, facts, job));
  worker.tier = planning.board.model(choice.model).in_host ? Tier::host : Tier::disk;
  const bool alone = planning.board.disk_readers == 0 && !planning.staging;
  if (worker.blocks == Worker::Blocks::yes && (worker.tier == Tier::host || alone)) {
    worker.prior_seconds =
        CostModel::prior_load_seconds(CostModel::prior_for(facts, slot.gpu.name).load,
                                      static_cast<double>(facts.file_bytes), worker.tier, policy.disk_bytes_per_second);
  }
  worker.expected_seconds = seconds * (worker.blocks == Worker::Blocks::no ? kSlowerBesideRun : 1.0);
  worker.expected_end = now + from_seconds(worker.expected_seconds);
}

// All of them, unless few jobs wait and other gpus hold its model, too: then its share.
std::size_t Scheduler::State::images_to_start(const OpenJob& job, const Choice& choice) const {
  const Board& board = planning.board;
  const BoardJob& entry = *board.find(choice.model, job.id);
  const auto images = static_cast<std::size_t>(entry.images);
  if (policy.tuning.splitting == Part::off || queue.size() > static_cast<std::size_t>(kFewJobs) || images < 2)
    return images;
  std::vector<std::pair<double, int>> ready;  // when, gpu
  for (int g = 0; g < static_cast<int>(board.gpus.size()); ++g) {
    const BoardGpu& gpu = board.gpu(g);
    if (!(entry.gpus & bit(g)) || !gpu.usable || !(board.holders(choice.model) & bit(g))) continue;
    double at = gpu.running >= 0 ? board.run_end(g) : board.now;
    if (gpu.loading == choice.model) at = std::max(at, board.load_end(g));
    ready.emplace_back(at, g);
  }
  std::size_t here = 0;
  for (std::size_t i = 0; i < images; ++i) {
    std::pair<double, int>* first = nullptr;
    double least = kNever;
    for (auto& candidate : ready) {
      const double end = candidate.first + board.run_seconds(entry, candidate.second) / entry.images;
      if (end < least) {
        least = end;
        first = &candidate;
      }
    }
    first->first = least;
    here += first->second == choice.gpu ? 1 : 0;
  }
  return std::max<std::size_t>(here, 1);
}

std::optional<Instant> Scheduler::State::next_guard() {
  if (!uses_amp()) return std::nullopt;
  const bool any = std::any_of(planning.board.gpus.begin(), planning.board.gpus.end(),
                               [](const BoardGpu& gpu) { return gpu.idle() && gpu.loading < 0; });
  if (!any || planning.board.wanted.empty()) return std::nullopt;
  const double at = Amp(planning.board).next_guard();
  if (at >= kNever) return std::nullopt;
  return std::max(now + std::chrono::milliseconds{1}, to_instant(at) + std::chrono::milliseconds{1});
}

}  // namespace pixelfleet::scheduler
