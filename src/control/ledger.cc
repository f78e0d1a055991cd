#include "control/ledger.h"

#include <utility>

namespace pixelfleet::control {
namespace {

UpdateJob mutable_columns(const Job& job) {
  return {job.id,         job.state,       job.held_reason,     job.error, job.worker_deaths,
          job.started_at, job.finished_at, job.cancel_requested};
}

}  // namespace

OpenJob& Ledger::add(Job job, std::vector<Image> images) {
  ++count_of(job.state);
  return restore(std::move(job), std::move(images));
}

OpenJob& Ledger::restore(Job job, std::vector<Image> images) {
  OpenJob& open = jobs_[job.id];
  open.attempts.resize(images.size());
  open.job = std::move(job);
  open.images = std::move(images);
  return open;
}

OpenJob* Ledger::find(JobId id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

UpdateJob Ledger::set_state(OpenJob& open, JobState state, std::optional<HeldReason> held,
                            std::optional<JobError> error, int worker_deaths, Instant now) {
  Job& job = open.job;
  --count_of(job.state);
  ++count_of(state);
  job.state = state;
  job.held_reason = held;
  job.error = std::move(error);
  job.worker_deaths = worker_deaths;
  if (state == JobState::running && !job.started_at) job.started_at = now;
  if (job.ended()) job.finished_at = now;
  return mutable_columns(job);
}

UpdateJob Ledger::request_cancel(OpenJob& open) {
  open.job.cancel_requested = true;
  return mutable_columns(open.job);
}

UpdateJobOrder Ledger::set_order(OpenJob& open, Priority priority, double rank, std::optional<GpuUuid> gpu) {
  JobSpec& spec = open.job.requested;
  spec.priority = priority;
  spec.rank = rank;
  spec.gpu = std::move(gpu);
  return {open.job.id, spec.priority, spec.rank, spec.gpu};
}

UpdateJob Ledger::reopen(OpenJob& open) {
  Job& job = open.job;
  --count_of(job.state);
  ++count_of(JobState::queued);
  job.state = JobState::queued;
  job.held_reason.reset();
  job.error.reset();
  job.worker_deaths = 0;
  job.cancel_requested = false;
  job.started_at.reset();
  job.finished_at.reset();
  return mutable_columns(job);
}

std::optional<PublishImage> Ledger::publish(OpenJob& open, int index, ChunkId attempt, std::int64_t bytes,
                                            const EffectiveImage& effective, Instant now) {
  const auto at = static_cast<std::size_t>(index);
  if (index < 0 || at >= open.images.size()) return std::nullopt;
  Image& image = open.images[at];
  if (image.state == ImageState::published || open.attempts[at] != attempt) return std::nullopt;
  image.state = ImageState::published;
  image.bytes = bytes;
  image.effective = effective;
  image.published_at = now;
  ++open.job.published;
  return PublishImage{open.job.id, index, attempt, bytes, effective, now};
}

std::int64_t& Ledger::count_of(JobState state) {
  switch (state) {
    case JobState::queued: return counts_.queued;
    case JobState::held: return counts_.held;
    case JobState::running: return counts_.running;
    case JobState::done: return counts_.done;
    case JobState::failed: return counts_.failed;
    case JobState::cancelled: return counts_.cancelled;
  }
  return counts_.queued;
}

}  // namespace pixelfleet::control
