// Chunks on workers: started, answered, closed.
#include <algorithm>
#include <utility>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {

void Scheduler::State::on(const WorkerReady& event) {
  const auto found = workers.find(event.worker);
  if (found == workers.end() || found->second.phase != WorkerPhase::starting) return;
  Worker& worker = found->second;
  worker.phase = WorkerPhase::ready;
  worker.last_used = ++uses;
  jobs.at(*worker.claimed_by).load.reset();
  worker.claimed_by.reset();
  gpus.at(worker.gpu).active.reset();
  back_offs.erase({worker.gpu, worker.model});
}

void Scheduler::State::start_chunk(OpenJob& job, WorkerId worker_id) {
  leave_queue(job);
  const ChunkId id = next_chunk;
  ++next_chunk.value;
  Worker& worker = workers.at(worker_id);
  worker.phase = WorkerPhase::running;
  worker.chunk = id;
  gpus.at(worker.gpu).active = worker_id;
  const std::set<int> indices = job.remaining();
  chunks.emplace(id, Chunk{worker_id, job.id, indices});
  job.chunk = id;
  tell(job, JobState::running);
  actions.emplace_back(StartChunk{id, worker_id, worker.gpu, job.id, {indices.begin(), indices.end()}});
}

void Scheduler::State::on(const ImageMade& event) {
  const auto found = chunks.find(event.chunk);
  if (found == chunks.end() || found->second.left.erase(event.index) == 0) return;
  const auto job = jobs.find(found->second.job);
  if (job == jobs.end() || !job->second.missing.contains(event.index)) return;
  job->second.in_flight.insert(event.index);
}

OpenJob* Scheduler::State::close_chunk(ChunkId id) {
  const auto chunk = chunks.find(id);
  Worker& worker = workers.at(chunk->second.worker);
  worker.phase = WorkerPhase::ready;
  worker.chunk.reset();
  worker.last_used = ++uses;
  ++worker.chunks_run;
  gpus.at(worker.gpu).active.reset();
  const auto job = jobs.find(chunk->second.job);
  chunks.erase(chunk);
  if (job == jobs.end()) return nullptr;
  job->second.chunk.reset();
  return &job->second;
}

OpenJob* Scheduler::State::abandon_chunk(ChunkId id, const JobError& failure) {
  actions.emplace_back(AbandonChunk{id, failure});
  return close_chunk(id);
}

void Scheduler::State::on(const ChunkEnded& event) {
  const auto chunk = chunks.find(event.chunk);
  if (chunk == chunks.end()) return;
  const GpuUuid gpu = workers.at(chunk->second.worker).gpu;
  const std::set<int> left = chunk->second.left;
  OpenJob* const job = close_chunk(event.chunk);
  tidy_up(gpus.at(gpu));
  if (job == nullptr) return;
  if (job->wish == OpenJob::Wish::cancel) return end(*job, JobState::cancelled);
  if (job->remaining().empty()) return settle(*job);

  if (event.outcome == ChunkOutcome::failed) {
    if (event.failure.code == "out_of_memory") return out_of_memory(*job, gpu, event.failure);
    return end(*job, JobState::failed, event.failure);
  }
  // Rejected pictures are a reason to run again; pictures that the worker says it made, but never handed over, are a
  // fault that could repeat for ever.
  const bool all_handed_over =
      std::none_of(left.begin(), left.end(), [job](int index) { return job->missing.contains(index); });
  if (all_handed_over) return settle(*job);
  charge(*job, gpu, JobError{"protocol", "the worker ended its chunk without handing over every picture", {}});
}

}  // namespace pixelfleet::scheduler
