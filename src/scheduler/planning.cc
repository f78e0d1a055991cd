// From State to the board of the amp policy, and from its choices to actions.
//
// The board is the scheduler's state in the units of the policy: gpus are copied at every decision, a model's window
// only after its jobs or the machine have changed.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "scheduler/amp.h"
#include "scheduler/rollout.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr std::size_t kScan = 96;  // jobs of a model, first in order, that a window is chosen from
constexpr float kUnknownSeconds = 1e9f;
constexpr double kRateSeconds = 900.0;
constexpr std::size_t kRecent = 8;  // jobs of a model that are remembered as examples

double to_seconds(Instant instant) { return static_cast<double>(instant.time_since_epoch().count()) * 1e-6; }

Duration from_seconds(double seconds) { return Duration{static_cast<std::int64_t>(std::min(1e9, seconds) * 1e6)}; }

Instant to_instant(double seconds) {
  return Instant{Duration{static_cast<std::int64_t>(std::min(1e12, seconds) * 1e6)}};
}

// A prior may say anything; what the policy weighs is positive and finite.
float sane(double seconds) { return seconds >= 1e-3 ? static_cast<float>(std::min(seconds, 1e6)) : 1e-3f; }

int intern(std::map<std::string, int>& names, const std::string& name) {
  return names.emplace(name, static_cast<int>(names.size())).first->second;
}

}  // namespace

double seconds_between(Instant from, Instant to) { return static_cast<double>((to - from).count()) * 1e-6; }

int Scheduler::State::model_index(const ModelKey& key) {
  const auto [found, inserted] = planning.models.emplace(key, static_cast<int>(planning.model_keys.size()));
  if (inserted) {
    planning.model_keys.push_back(key);
    planning.board.models.emplace_back();
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
  estimate.backlog_at_arrival = Amp(planning.board).backlog();

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

const Planning::Pace& Scheduler::State::pace_of(OpenJob& job) {
  const ModelFacts& model = models.at(job.model);
  if (job.estimate.pace < 0) {
    const auto [found, inserted] = planning.pace_index.emplace(std::pair(cost_family(model), job.shape.sampler),
                                                               static_cast<int>(planning.paces.size()));
    if (inserted) planning.paces.push_back({job.shape.sampler, 0, 0, {}});
    job.estimate.pace = found->second;
  }
  Planning::Pace& pace = planning.paces[static_cast<std::size_t>(job.estimate.pace)];
  if (pace.version == planning.costs.version() + 1 && pace.gpu_types == planning.gpu_types.size()) return pace;
  pace.version = planning.costs.version() + 1;
  pace.gpu_types = planning.gpu_types.size();
  for (std::size_t type = 0; type < pace.gpu_types; ++type) {
    pace.ratio[type] = static_cast<float>(planning.costs.run_ratio(model, pace.sampler, planning.gpu_types[type]));
  }
  return pace;
}

BoardJob Scheduler::State::board_job(OpenJob& job, int model) {
  Estimate& estimate = job.estimate;
  const int images = static_cast<int>(job.missing.size() - job.in_flight.size() - job.in_chunks.size());
  if (estimate.images != images || estimate.gpu_types != planning.gpu_types.size()) {
    estimate.images = images;
    estimate.gpu_types = planning.gpu_types.size();
    estimate.seconds.fill(kUnknownSeconds);
    for (std::size_t type = 0; type < estimate.gpu_types; ++type) {
      const CostPrior& prior = CostModel::prior_for(models.at(job.model), planning.gpu_types[type]);
      estimate.seconds[type] = static_cast<float>(CostModel::prior_run_seconds(prior.run, job.shape, images));
    }
  }
  if (estimate.machine != planning.machine) {
    estimate.machine = planning.machine;
    estimate.gpus = 0;
    for (const Slot* slot : candidates(job.lane())) {
      const auto at = std::find(selected.begin(), selected.end(), slot->gpu.uuid) - selected.begin();
      estimate.gpus |= bit(static_cast<int>(at));
    }
  }
  const Planning::Pace& pace = pace_of(job);
  BoardJob entry;
  entry.id = job.id;
  entry.priority = job.priority;
  entry.model = model;
  entry.owner = estimate.owner;
  entry.place = estimate.place;
  entry.images = images;
  entry.loras = estimate.loras;
  entry.arrived = to_seconds(job.arrived_at);
  entry.backlog_at_arrival = estimate.backlog_at_arrival;
  entry.gpus = estimate.gpus;
  entry.seconds.fill(kUnknownSeconds);
  for (std::size_t type = 0; type < estimate.gpu_types; ++type) {
    entry.seconds[type] = sane(static_cast<double>(estimate.seconds[type]) * static_cast<double>(pace.ratio[type]));
  }
  if (queue.any_moved()) {
    for (std::size_t g = 0; g < selected.size(); ++g) {
      if (must_wait_for_moved(job, gpus.at(selected[g]))) entry.gpus &= ~bit(static_cast<int>(g));
    }
  }
  return entry;
}

// The first kScan jobs in order, and the first of each lane and priority wherever it stands, shortened to kWindow.
void Scheduler::State::sync_window(const ModelKey& key) {
  const int index = model_index(key);
  BoardModel& model = planning.board.model(index);
  model.window.clear();
  model.queued = static_cast<int>(queue.count(key));
  model.queued_seconds = 0.0;
  if (model.queued == 0 || !models.contains(key)) return;
  for (Queue::Walk walk(queue, key); !walk.at_end() && model.window.size() < kScan; walk.next()) {
    model.window.push_back(board_job(jobs.at(walk.job()), index));
  }
  std::vector<JobId> firsts;
  if (static_cast<std::size_t>(model.queued) > kWindow) firsts = queue.firsts_of(key);
  if (static_cast<std::size_t>(model.queued) > model.window.size()) {
    for (const JobId first : firsts) {
      if (planning.board.find(index, first) == nullptr) model.window.push_back(board_job(jobs.at(first), index));
    }
  }
  const double scanned = static_cast<double>(model.window.size());
  model.oldest_arrival = kNever;
  for (const BoardJob& job : model.window) {
    model.queued_seconds += *std::min_element(job.seconds.begin(), job.seconds.end()) * (model.queued / scanned);
    model.oldest_arrival = std::min(model.oldest_arrival, job.arrived);
  }
  if (model.window.size() > kWindow) shorten_window(model.window, std::move(firsts));
}

// The older half stays; then the first of each lane and priority, the oldest first, for whoever waits longest for any
// gpu must be seen when it is overdue; then each owner's first. In order, as before.
void Scheduler::State::shorten_window(std::vector<BoardJob>& window, std::vector<JobId> firsts) const {
  std::sort(firsts.begin(), firsts.end());
  using Worth = std::tuple<int, double, int, std::size_t>;  // of staying: the least stay; last their place
  std::vector<Worth> worth;
  for (std::size_t at = 0; at < window.size(); ++at) {
    const BoardJob& job = window[at];
    if (at < kWindow / 2) {
      worth.emplace_back(0, 0.0, 0, at);
    } else if (std::binary_search(firsts.begin(), firsts.end(), job.id)) {
      worth.emplace_back(1, job.arrived, 0, at);
    } else {
      const int ahead = job.place - planning.board.owners[static_cast<std::size_t>(job.owner)].ended;
      worth.emplace_back(2, static_cast<double>(job.priority), std::max(0, ahead), at);
    }
  }
  std::sort(worth.begin(), worth.end());
  worth.resize(kWindow);
  std::sort(worth.begin(), worth.end(), [](const Worth& a, const Worth& b) { return std::get<3>(a) < std::get<3>(b); });
  std::vector<BoardJob> shorter;
  for (const Worth& stays : worth) shorter.push_back(window[std::get<3>(stays)]);
  window = std::move(shorter);
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
      return sane(CostModel::prior_load_seconds(prior, model.file_bytes, tier, policy.disk_bytes_per_second) *
                  planning.costs.load_ratio(m, name, tier));
    };
    model.load_from_host[type] = seconds(Tier::host);
    model.load_from_disk[type] = seconds(Tier::disk);
    model.lora_seconds = static_cast<double>(sane(prior.lora_seconds));
  }
}

void Scheduler::State::sync_gpu(BoardGpu& gpu, const Slot& slot) {
  gpu.type = gpu_type(slot.gpu.name);
  gpu.memory_bytes = static_cast<double>(slot.gpu.memory_total_bytes);
  gpu.residents.clear();
  gpu.running = gpu.loading = gpu.running_owner = -1;
  gpu.load_reads_disk = false;
  gpu.tenure = slot.tenure_seconds;
  gpu.paid = slot.paid_seconds;
  gpu.refused.clear();
  for (const WorkerId id : slot.workers) {
    const Worker& worker = workers.at(id);
    const int model = model_index(worker.model);
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
  Board& board = planning.board;
  board.now = to_seconds(now);
  const bool new_machine = planning.board_machine != planning.machine;
  if (new_machine) {
    planning.board_machine = planning.machine;
    board.tuning = policy.tuning;
    board.fairness.set_exponent(policy.tuning.user_exponent);
    board.throughput = policy.objective == Objective::throughput ? 1.0 : 0.0;
    board.load_beside_run = policy.load_beside_run == LoadBesideRun::yes;
    board.most_residents = policy.resident_limit < 0 ? static_cast<std::size_t>(-1)
                                                     : static_cast<std::size_t>(std::max(1, policy.resident_limit));
    board.disk_bytes_per_second = policy.disk_bytes_per_second;
    board.host_limit = static_cast<double>(policy.host_memory_bytes);
    for (const auto& [uuid, slot] : gpus) gpu_type(slot.gpu.name);
    for (const auto& [key, facts] : models) {
      model_index(key);
      planning.stale.insert(key);
      queue.touch(key);
    }
  }
  // What moved jobs keep others from changes with every job; also when the last of them has just left.
  if (std::exchange(planning.any_moved, queue.any_moved()) || planning.any_moved) {
    for (const int model : board.wanted) queue.touch(planning.model_keys[static_cast<std::size_t>(model)]);
  }
  board.gpus.resize(selected.size());
  board.disk_readers = 0;
  for (std::size_t g = 0; g < selected.size(); ++g) {
    sync_gpu(board.gpus[g], gpus.at(selected[g]));
    if (board.gpus[g].load_reads_disk) ++board.disk_readers;
  }
  board.staging = planning.staging ? model_index(*planning.staging) : -1;
  board.staging_end = to_seconds(planning.staging_end);
  for (const ModelKey& key : std::exchange(planning.stale, {})) sync_model(key);
  for (const ModelKey& key : queue.take_touched()) sync_window(key);
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
    sync_board();
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
