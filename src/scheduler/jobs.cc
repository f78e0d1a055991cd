// A job's life outside a gpu: admitted, held, released, cancelled, published.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

// Reasons that the scheduler derives from pauses, models and gpus; others come and go with JobHeld and JobReleased.
bool is_derived(HeldReason reason) {
  return reason == HeldReason::paused || reason == HeldReason::no_gpu || reason == HeldReason::model_disabled;
}

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

}  // namespace

std::set<int> OpenJob::remaining() const {
  std::set<int> indices;
  for (const int index : missing) {
    if (!in_flight.contains(index) && !in_chunks.contains(index)) indices.insert(indices.end(), index);
  }
  return indices;
}

void Scheduler::State::on(const JobSubmitted& event) {
  const JobFacts& facts = event.job;
  OpenJob job;
  job.id = facts.id;
  job.owner = facts.owner;
  job.priority = facts.priority;
  job.rank = std::isnan(facts.rank) ? 0.0 : facts.rank;  // NaN has no place in an order
  job.model = facts.model;
  job.pin = facts.pin;
  job.missing.insert(facts.missing.begin(), facts.missing.end());
  if (facts.held && !is_derived(*facts.held)) job.held_by_others = facts.held;
  job.state = facts.held ? JobState::held : JobState::queued;
  job.held = facts.held;
  job.worker_deaths = job.told_deaths = facts.worker_deaths;
  if (facts.cancel_requested) job.wish = OpenJob::Wish::cancel;
  job.shape = facts.shape;
  job.arrived_at = std::min(facts.arrived_at.value_or(now), now);  // a clock may have been set back before a restart
  admit(std::move(job));
}

void Scheduler::State::admit(OpenJob arrival) {
  const auto [place, inserted] = jobs.emplace(arrival.id, std::move(arrival));
  if (!inserted) return;
  OpenJob& job = place->second;
  if (job.missing.empty()) return end(job, JobState::done);
  if (job.wish == OpenJob::Wish::cancel) return end(job, JobState::cancelled);
  note_arrival(job);
  // Chosen at first need; the one chosen before may have been closed since.
  if (!policy.multi_gpu && selected.empty()) {
    select_gpus();
    tidy_up_all();
  }
  // Refused at the door or never: a job that was accepted waits for the gpu it had in mind to come back.
  if (!job.held) {
    if (auto error = too_big_for_this_machine(job)) return end(job, JobState::failed, std::move(error));
  }
  settle(job);
}

std::optional<JobError> Scheduler::State::too_big_for_this_machine(const OpenJob& job) const {
  const auto model = models.find(job.model);
  if (model == models.end()) return std::nullopt;
  const Gpu* largest = nullptr;
  for (const auto& [uuid, slot] : gpus) {
    if (job.pin && *job.pin != uuid) continue;
    if (!engine_runs_on(model->second.engine, slot.gpu.kind)) continue;
    if (largest == nullptr || slot.gpu.memory_total_bytes > largest->memory_total_bytes) largest = &slot.gpu;
  }
  if (largest == nullptr || model->second.memory_bytes <= largest->memory_total_bytes) return std::nullopt;
  return JobError{"out_of_memory",
                  format("model {} needs {:.1f} GiB of gpu memory; the largest gpu {}, {}, has {:.1f} GiB. {}",
                         job.model, gib(model->second.memory_bytes), job.pin ? "this job may use" : "here",
                         largest->uuid, gib(largest->memory_total_bytes),
                         job.pin ? "Remove the pin or choose a smaller model." : "Choose a smaller model."),
                  {}};
}

std::optional<HeldReason> Scheduler::State::hold_for(const OpenJob& job) const {
  if (job.held_by_others) return job.held_by_others;
  if (is_paused(job)) return HeldReason::paused;
  if (!models.contains(job.model)) return HeldReason::model_disabled;
  if (!any_selected_can_take(job.lane())) return HeldReason::no_gpu;
  return std::nullopt;
}

void Scheduler::State::settle(OpenJob& job) {
  if (job.remaining().empty()) {  // all that is missing is made, or on its way to the disk
    leave_queue(job);
    return tell(job, JobState::running);
  }
  const bool runs = !job.chunks.empty();
  if (const auto reason = hold_for(job)) {
    leave_queue(job);
    return runs ? tell(job, JobState::running) : tell(job, JobState::held, reason);
  }
  tell(job, runs ? JobState::running : JobState::queued);
  if (queue.contains(job.id)) return queue.touch(job.id);  // more or less of it waits than before
  job.estimate.machine = 0;                                // its lane may be another one
  queue.insert({job.priority, job.rank, job.id}, job.lane());
}

void Scheduler::State::settle_all() {
  for (auto& [id, job] : jobs) {
    const bool leaves_pictures = job.missing.size() > job.in_flight.size() + job.in_chunks.size();
    if (job.waiting() || (job.wish == OpenJob::Wish::run && leaves_pictures)) settle(job);
  }
}

void Scheduler::State::go_on(OpenJob& job) {
  if (job.wish == OpenJob::Wish::run) return settle(job);
  if (job.chunks.empty()) end(job, JobState::cancelled);
}

void Scheduler::State::tell(OpenJob& job, JobState state, std::optional<HeldReason> held) {
  if (job.state == state && job.held == held && job.told_deaths == job.worker_deaths) return;
  job.state = state;
  job.held = held;
  job.told_deaths = job.worker_deaths;
  actions.emplace_back(SetJobState{job.id, state, held, std::nullopt, job.worker_deaths});
}

void Scheduler::State::end(OpenJob& job, JobState state, std::optional<JobError> error) {
  leave_queue(job);
  // Chunks outlive their job until their workers answer.
  if (state != JobState::done && job.wish == OpenJob::Wish::run) cancel_chunks(job);
  if (job.estimate.owner >= 0) ++planning.board.owners[static_cast<std::size_t>(job.estimate.owner)].ended;
  actions.emplace_back(SetJobState{job.id, state, std::nullopt, std::move(error), job.worker_deaths});
  jobs.erase(job.id);
}

void Scheduler::State::take_first_jobs_of(const State& other, std::size_t most_waiting) {
  std::size_t held = 0;
  for (const auto& [id, job] : other.jobs) {
    if (job.state == JobState::queued || (job.state == JobState::held && held++ >= most_waiting)) continue;
    jobs.emplace_hint(jobs.end(), id, job);
  }
  std::size_t waiting = 0;
  for (Queue::Walk walk(other.queue); !walk.at_end() && waiting < most_waiting; walk.next(), ++waiting) {
    const OpenJob& job = other.jobs.at(walk.job());
    jobs.emplace(job.id, job);
    queue.insert({job.priority, job.rank, job.id}, job.lane());
  }
  for (const ModelKey& key : planning.model_keys) queue.touch(key);
  for (auto& [id, worker] : workers) {  // loads of the simple policies whose job was left out
    if (worker.claimed_by && !jobs.contains(*worker.claimed_by)) worker.claimed_by.reset();
    if (worker.started_for && !jobs.contains(*worker.started_for)) worker.started_for.reset();
  }
}

void Scheduler::State::cancel_chunks(const OpenJob& job) {
  for (const ChunkId chunk : job.chunks) actions.emplace_back(CancelChunk{chunk, chunks.at(chunk).worker});
}

void Scheduler::State::leave_queue(OpenJob& job) {
  queue.erase(job.id);
  if (!job.load) return;
  const WorkerId load = *job.load;
  job.load.reset();
  workers.at(load).claimed_by.reset();
  hand_on_load(load);
}

void Scheduler::State::on(const JobCancelRequested& event) {
  const auto found = jobs.find(event.job);
  if (found == jobs.end()) return;
  OpenJob& job = found->second;
  if (job.chunks.empty()) return end(job, JobState::cancelled);
  if (job.wish == OpenJob::Wish::cancel) return;
  job.wish = OpenJob::Wish::cancel;
  leave_queue(job);
  cancel_chunks(job);
}

// A job that runs cannot be held any more; it may only be cancelled.
void Scheduler::State::on(const JobHeld& event) {
  const auto found = jobs.find(event.job);
  if (found == jobs.end() || !found->second.waiting() || is_derived(event.reason)) return;
  found->second.held_by_others = event.reason;
  settle(found->second);
}

void Scheduler::State::on(const JobReleased& event) {
  const auto found = jobs.find(event.job);
  if (found == jobs.end() || !found->second.held_by_others) return;
  found->second.held_by_others.reset();
  settle(found->second);
}

void Scheduler::State::on(const ImagePublished& event) {
  const auto found = jobs.find(event.job);
  if (found == jobs.end()) return;
  OpenJob& job = found->second;
  if (job.missing.erase(event.index) == 0) return;
  job.in_flight.erase(event.index);
  job.in_chunks.erase(event.index);
  if (job.missing.empty()) return end(job, JobState::done);
  if (job.waiting()) settle(job);
}

void Scheduler::State::on(const ImageRejected& event) {
  const auto found = jobs.find(event.job);
  if (found == jobs.end()) return;
  OpenJob& job = found->second;
  if (job.in_flight.erase(event.index) == 0) return;
  if (job.wish == OpenJob::Wish::run) settle(job);
}

void Scheduler::State::on(const JobUnpublishable& event) {
  const auto found = jobs.find(event.job);
  if (found == jobs.end()) return;
  OpenJob& job = found->second;
  end(job, JobState::failed, event.failure);
}

void Scheduler::State::on(const ServerRestarted&) {
  workers.clear();
  chunks.clear();
  queue = {};
  single_gpu.reset();
  back_offs.clear();
  wake_at.reset();
  for (auto& [uuid, slot] : gpus) {
    slot.workers.clear();
    slot.running.reset();
    slot.loading.reset();
    slot.tenure_seconds = slot.paid_seconds = 0.0;
  }
  forget_plans();
  auto before = std::exchange(jobs, {});
  select_gpus();
  // Every open job is admitted once more, exactly as from the rows of a store.
  for (auto& [id, job] : before) {
    OpenJob again;
    again.id = id;
    again.owner = std::move(job.owner);
    again.priority = job.priority;
    again.rank = job.rank;
    again.model = std::move(job.model);
    again.pin = std::move(job.pin);
    again.missing = std::move(job.missing);
    again.held_by_others = job.held_by_others;
    again.shape = std::move(job.shape);
    again.arrived_at = job.arrived_at;
    again.state = job.state;
    again.held = job.held;
    again.worker_deaths = again.told_deaths = job.worker_deaths;
    again.wish = job.wish;
    admit(std::move(again));
  }
}

}  // namespace pixelfleet::scheduler
