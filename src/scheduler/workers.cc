// Chunks on workers: started, answered, closed.
#include <algorithm>
#include <iterator>
#include <utility>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {

void Scheduler::State::on(const WorkerReady& event) {
  const auto found = workers.find(event.worker);
  if (found == workers.end() || found->second.phase != WorkerPhase::starting) return;
  Worker& worker = found->second;
  worker.phase = WorkerPhase::ready;
  worker.last_used = ++uses;
  worker.idle_since = planning.used_at[worker.model] = now;
  if (worker.claimed_by) jobs.at(*worker.claimed_by).load.reset();
  worker.claimed_by.reset();
  worker.started_for.reset();
  Slot& slot = gpus.at(worker.gpu);
  slot.loading.reset();
  if (worker.blocks == Worker::Blocks::yes) {
    slot.tenure_seconds = 0.0;
    slot.paid_seconds = seconds_between(worker.since, now);
  }
  learn_load(worker);
  back_offs.erase({worker.gpu, worker.model});
}

void Scheduler::State::start_chunk(OpenJob& job, WorkerId worker_id, std::size_t images) {
  std::set<int> indices = job.remaining();
  if (indices.size() <= images) {
    leave_queue(job);
  } else {
    queue.touch(job.id);
    while (indices.size() > images) indices.erase(std::prev(indices.end()));
  }
  const ChunkId id = next_chunk;
  ++next_chunk.value;
  Worker& worker = workers.at(worker_id);
  worker.phase = WorkerPhase::running;
  worker.chunk = id;
  expect_run(worker, job, static_cast<int>(indices.size()));
  gpus.at(worker.gpu).running = worker_id;
  job.chunks.insert(id);
  job.in_chunks.insert(indices.begin(), indices.end());
  tell(job, JobState::running);
  actions.emplace_back(StartChunk{id, worker_id, worker.gpu, job.id, {indices.begin(), indices.end()}});
  const std::size_t count = indices.size();
  chunks.emplace(id, Chunk{worker_id, job.id, std::move(indices), count});
}

void Scheduler::State::on(const ImageMade& event) {
  const auto found = chunks.find(event.chunk);
  if (found == chunks.end() || found->second.left.erase(event.index) == 0) return;
  const auto job = jobs.find(found->second.job);
  if (job == jobs.end() || !job->second.missing.contains(event.index)) return;
  job->second.in_chunks.erase(event.index);
  job->second.in_flight.insert(event.index);
}

// Of what its job still misses.
bool Scheduler::State::handed_over_all(const Chunk& chunk) const {
  const auto job = jobs.find(chunk.job);
  return job == jobs.end() || std::none_of(chunk.left.begin(), chunk.left.end(),
                                           [&job](int index) { return job->second.missing.contains(index); });
}

OpenJob* Scheduler::State::close_chunk(ChunkId id) {
  const auto chunk = chunks.find(id);
  Worker& worker = workers.at(chunk->second.worker);
  worker.phase = WorkerPhase::ready;
  worker.chunk.reset();
  worker.last_used = ++uses;
  worker.idle_since = planning.used_at[worker.model] = now;
  ++worker.chunks_run;
  Slot& slot = gpus.at(worker.gpu);
  slot.running.reset();
  slot.tenure_seconds += seconds_between(worker.since, now);
  const auto job = jobs.find(chunk->second.job);
  if (job != jobs.end()) {
    job->second.chunks.erase(id);
    for (const int index : chunk->second.left) job->second.in_chunks.erase(index);
  }
  chunks.erase(chunk);
  return job == jobs.end() ? nullptr : &job->second;
}

OpenJob* Scheduler::State::abandon_chunk(ChunkId id, const JobError& failure) {
  actions.emplace_back(AbandonChunk{id, failure});
  return close_chunk(id);
}

void Scheduler::State::on(const ChunkEnded& event) {
  const auto chunk = chunks.find(event.chunk);
  if (chunk == chunks.end()) return;
  const GpuUuid gpu = workers.at(chunk->second.worker).gpu;
  const bool all_handed_over = handed_over_all(chunk->second);
  if (event.outcome == ChunkOutcome::done && chunk->second.left.empty()) learn_run(chunk->second);
  OpenJob* const job = close_chunk(event.chunk);
  tidy_up(gpus.at(gpu));
  if (job == nullptr) return;
  if (job->wish == OpenJob::Wish::cancel || job->remaining().empty()) return go_on(*job);

  if (event.outcome == ChunkOutcome::failed) {
    if (event.failure.code == "out_of_memory") return out_of_memory(*job, gpu, event.failure);
    return end(*job, JobState::failed, event.failure);
  }
  // Rejected pictures are a reason to run again; pictures that the worker says it made, but never handed over, are a
  // fault that could repeat for ever.
  if (all_handed_over) return settle(*job);
  charge(*job, gpu, JobError{"protocol", "the worker ended its chunk without handing over every picture", {}});
}

}  // namespace pixelfleet::scheduler
