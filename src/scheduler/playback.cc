#include "scheduler/playback.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr double kToldSigma = 0.02;      // of a run whose own progress has told its end
constexpr double kLeastPart = 0.03;      // of a load or run that should have ended: it takes so much longer
constexpr double kRateSeconds = 900.0;   // memory of the arrival rates
constexpr double kLeastHistory = 300.0;  // seconds that a rate is taken to be made of at least

Duration from_seconds(double seconds) { return Duration{static_cast<std::int64_t>(std::min(1e9, seconds) * 1e6)}; }

}  // namespace

Playback::Playback(Scheduler scheduler, Instant now, const Options& options)
    : scheduler_(std::move(scheduler)),
      now_(std::max(now, scheduler_.state_->now)),
      options_(options),
      rng_(options.seed),
      decisions_left_(options.most_decisions) {
  Scheduler::State& state = *scheduler_.state_;
  state.recording = Scheduler::State::Recording::off;
  state.policy.tuning.rollout = state.planning.board.tuning.rollout = Part::off;
  for (const auto& [id, job] : state.jobs) {
    if (job.state == JobState::held) continue;
    if (job.state == JobState::queued) waiting_.insert(id);
    open_.insert(id);
  }
  if (options_.luck == Luck::drawn) {
    run_sigma_ = state.planning.costs.run_sigma();
    load_sigma_ = state.planning.costs.load_sigma();
    prepare_arrivals();
  }
  begin_with_what_is_under_way();
}

void Playback::begin_with_what_is_under_way() {
  const Scheduler::State& state = *scheduler_.state_;
  for (const auto& [id, worker] : state.workers) {
    if (worker.phase == WorkerPhase::starting) {
      plan(end_of(worker.since, worker.expected_end, load_sigma_), LoadEnds{id});
    } else if (worker.phase == WorkerPhase::running) {
      const bool told = worker.told == Worker::Told::yes;
      plan(end_of(worker.since, worker.expected_end, told ? kToldSigma * run_sigma_ : run_sigma_),
           RunEnds{*worker.chunk});
    }
  }
  if (state.planning.staging) plan(std::max(now_, state.planning.staging_end), StagingEnds{*state.planning.staging});
  if (state.wake_at) plan(std::max(now_, *state.wake_at), Wakes{});
  plan_arrival();
}

void Playback::submit(JobFacts job) {
  waiting_.insert(job.id);
  open_.insert(job.id);
  const JobId id = job.id;
  step(JobSubmitted{std::move(job)});
  const auto submitted = scheduler_.state_->jobs.find(id);
  if (submitted == scheduler_.state_->jobs.end() || submitted->second.state != JobState::held) return;
  waiting_.erase(id);
  open_.erase(id);
}

void Playback::run_until_started() {
  while (!waiting_.empty() && advance()) continue;
}

void Playback::run_until_ended() {
  while (!open_.empty() && advance()) continue;
}

void Playback::run_until_ended(const std::vector<JobId>& jobs) {
  const auto is_open = [this](JobId job) { return open_.contains(job); };
  while (std::any_of(jobs.begin(), jobs.end(), is_open) && advance()) continue;
}

bool Playback::advance() {
  if (agenda_.empty() || decisions_left_ <= 0) return false;
  const auto next = agenda_.begin();
  now_ = next->first.first;
  const Occasion occasion = std::move(next->second);
  agenda_.erase(next);
  std::visit([this](const auto& of_a_kind) { at(of_a_kind); }, occasion);
  return true;
}

void Playback::step(const Event& event) {
  --decisions_left_;
  for (const Action& action : scheduler_.step(event, now_)) {
    std::visit([this](const auto& order) { on(order); }, action);
  }
}

void Playback::plan(Instant when, Occasion occasion) { agenda_.emplace(std::pair(when, ++made_), std::move(occasion)); }

// --- what happens ---------------------------------------------------------------------------------------------

// A worker or chunk that is gone was stopped in the meantime.
void Playback::at(const LoadEnds& occasion) {
  const Scheduler::State& state = *scheduler_.state_;
  const auto worker = state.workers.find(occasion.worker);
  if (worker == state.workers.end()) return;
  const ModelKey model = worker->second.model;
  const bool read = worker->second.tier == Tier::disk && state.policy.host_memory_bytes > 0;
  if (read && !state.is_staged(model)) step(ModelStaged{model});
  step(WorkerReady{occasion.worker});
}

void Playback::at(const RunEnds& occasion) {
  const Scheduler::State& state = *scheduler_.state_;
  const auto found = state.chunks.find(occasion.chunk);
  if (found == state.chunks.end()) return;
  const JobId job = found->second.job;
  const std::set<int> left = found->second.left;
  for (const int index : left) step(ImageMade{occasion.chunk, index});
  step(ChunkEnded{occasion.chunk, ChunkOutcome::done, {}});
  const auto open = state.jobs.find(job);
  if (open == state.jobs.end()) return;
  const std::set<int> on_their_way = open->second.in_flight;
  for (const int index : on_their_way) step(ImagePublished{job, index});
}

void Playback::at(const StagingEnds& occasion) {
  if (scheduler_.state_->planning.staging == occasion.model) step(ModelStaged{occasion.model});
}

void Playback::at(const Wakes&) { step(TimerFired{}); }

void Playback::at(const Arrives&) {
  double at = rng_.unit() * arrivals_per_second_;
  const Source* source = &sources_.back();
  for (const Source& candidate : sources_) {
    if (at < candidate.per_second) {
      source = &candidate;
      break;
    }
    at -= candidate.per_second;
  }
  const auto& examples = scheduler_.state_->planning.recent.at(source->model);
  JobFacts job = examples[rng_.below(examples.size())];
  job.id = next_arrival_;
  ++next_arrival_.value;
  job.arrived_at = now_;
  step(JobSubmitted{std::move(job)});
  plan_arrival();
}

// --- what the scheduler orders --------------------------------------------------------------------------------

void Playback::on(const StartWorker& order) {
  Worker& worker = scheduler_.state_->workers.at(order.worker);
  worker.prior_seconds = 0.0;  // luck teaches nothing
  plan(end_of(now_, worker.expected_end, load_sigma_), LoadEnds{order.worker});
}

void Playback::on(const StartChunk& order) {
  Worker& worker = scheduler_.state_->workers.at(order.worker);
  worker.prior_seconds = 0.0;
  if (waiting_.erase(order.job) > 0) started_.emplace(order.job, now_);
  plan(end_of(now_, worker.expected_end, run_sigma_), RunEnds{order.chunk});
}

void Playback::on(const SetJobState& order) {
  if (order.state != JobState::done && order.state != JobState::failed && order.state != JobState::cancelled) return;
  waiting_.erase(order.job);
  if (open_.erase(order.job) > 0 && order.state == JobState::done) ended_.emplace(order.job, now_);
}

void Playback::on(const StageModel& order) {
  plan(end_of(now_, scheduler_.state_->planning.staging_end, load_sigma_), StagingEnds{order.model});
}

void Playback::on(const WakeAt& order) { plan(std::max(now_, order.at), Wakes{}); }

// --- luck -----------------------------------------------------------------------------------------------------

// Log-normal, median 1.
double Playback::factor(double sigma) {
  if (sigma <= 0.0) return 1.0;
  const double radius = std::sqrt(-2.0 * std::log(1.0 - rng_.unit()));
  return std::exp(sigma * radius * std::cos(2.0 * std::numbers::pi * rng_.unit()));
}

Instant Playback::end_of(Instant since, Instant expected_end, double sigma) {
  const double expected = seconds_between(since, expected_end);
  const Instant end = since + from_seconds(expected * factor(sigma));
  return end > now_ ? end : now_ + from_seconds(kLeastPart * std::max(0.0, expected));
}

void Playback::prepare_arrivals() {
  const Planning& planning = scheduler_.state_->planning;
  const double now = static_cast<double>(now_.time_since_epoch().count()) * 1e-6;
  const double history = std::max(kLeastHistory, seconds_between(planning.first_arrival, now_));
  const double seen = 1.0 - std::exp(-history / kRateSeconds);  // of what the rate would be, had it always been so
  for (const auto& [model, examples] : planning.recent) {
    const auto index = planning.models.find(model);
    if (index == planning.models.end() || !scheduler_.state_->models.contains(model)) continue;
    const BoardModel& facts = planning.board.model(index->second);
    const double rate = facts.rate * std::exp(std::min(0.0, (facts.rate_at - now) / kRateSeconds)) / seen;
    sources_.push_back({model, rate});
    arrivals_per_second_ += rate;
  }
}

void Playback::plan_arrival() {
  if (arrivals_per_second_ <= 0.0) return;
  plan(now_ + from_seconds(-std::log(1.0 - rng_.unit()) / arrivals_per_second_), Arrives{});
}

}  // namespace pixelfleet::scheduler
