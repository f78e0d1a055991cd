// Ledger: the jobs that have not ended, with their images, as the loop works on them; a mirror of the store's rows.
//
// Every change goes through a method that also yields the row change, so memory and disk cannot drift apart.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "control/ports.h"

namespace pixelfleet::control {

struct OpenJob {
  Job job;
  std::vector<Image> images;      // by index
  std::vector<ChunkId> attempts;  // by index: the attempt that may publish it
  int pictures_in_flight = 0;     // handed over by a worker, not yet written
};

class Ledger {
 public:
  explicit Ledger(JobCounts counts) : counts_(counts) {}

  OpenJob& add(Job job, std::vector<Image> images);      // a new job: counted
  OpenJob& restore(Job job, std::vector<Image> images);  // counted already
  OpenJob* find(JobId id);
  void remove(JobId id) { jobs_.erase(id); }

  UpdateJob set_state(OpenJob& open, JobState state, std::optional<HeldReason> held, std::optional<JobError> error,
                      int worker_deaths, Instant now);
  // Says that somebody asked; whether it ends now or later is the scheduler's to tell.
  UpdateJob request_cancel(OpenJob& open);
  UpdateJobOrder set_order(OpenJob& open, Priority priority, double rank, std::optional<GpuUuid> gpu);
  // An ended job waits again, as if it had never been tried; what is published stays.
  UpdateJob reopen(OpenJob& open);
  // Nothing when `attempt` is not the image's current one, or it is published already.
  std::optional<PublishImage> publish(OpenJob& open, int index, ChunkId attempt, std::int64_t bytes,
                                      const EffectiveImage& effective, Instant now);

  const JobCounts& counts() const { return counts_; }
  const std::map<JobId, OpenJob>& jobs() const { return jobs_; }

 private:
  std::int64_t& count_of(JobState state);

  std::map<JobId, OpenJob> jobs_;
  JobCounts counts_;
};

}  // namespace pixelfleet::control
