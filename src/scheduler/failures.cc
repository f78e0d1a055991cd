// What a failure costs: one job's attempt and one gpu's time, nothing else.
#include <algorithm>
#include <utility>

#include "base/format.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr Duration kFirstBackOff = std::chrono::milliseconds{200};
constexpr Duration kLongestBackOff = std::chrono::seconds{30};
constexpr std::size_t kMaxEvidenceLines = 60;

}  // namespace

void Scheduler::State::on(const WorkerLost& event) {
  const auto found = workers.find(event.worker);
  if (found == workers.end()) return;
  const Worker worker = found->second;
  OpenJob* job = nullptr;
  // A worker that dies after it handed over all of its chunk has done its work.
  const bool did_its_work = worker.chunk && handed_over_all(chunks.at(*worker.chunk));
  if (worker.chunk) job = abandon_chunk(*worker.chunk, event.failure);
  if (worker.claimed_by) job = &jobs.at(*worker.claimed_by);
  if (worker.started_for && job == nullptr) {
    const auto found_job = jobs.find(*worker.started_for);
    if (found_job != jobs.end() && queue.contains(found_job->first)) job = &found_job->second;
  }
  erase_worker(event.worker);
  if (worker.phase == WorkerPhase::starting) back_off(worker.gpu, worker.model);
  if (job == nullptr) return;
  if (job->wish == OpenJob::Wish::cancel) return go_on(*job);
  if (event.blame == Blame::job && !did_its_work) return charge(*job, worker.gpu, event.failure);
  settle(*job);
}

void Scheduler::State::charge(OpenJob& job, const GpuUuid& gpu, const JobError& failure) {
  ++job.worker_deaths;
  job.evidence.push_back(format("{}: {}", gpu, failure.message));
  job.evidence.insert(job.evidence.end(), failure.evidence.begin(), failure.evidence.end());
  if (job.evidence.size() > kMaxEvidenceLines) {
    job.evidence.erase(job.evidence.begin(), job.evidence.end() - static_cast<std::ptrdiff_t>(kMaxEvidenceLines));
  }
  if (job.worker_deaths >= kMaxWorkerDeaths) {
    JobError error{
        "engine_died",
        format("{} workers died at this job, the last one on {}: {}. Change the job, or look at the evidence "
               "and at the worker's log.",
               job.worker_deaths, gpu, failure.message),
        std::move(job.evidence)};
    return end(job, JobState::failed, std::move(error));
  }
  queue.erase(job.id);  // its lane changes
  job.avoid.insert(gpu);
  settle(job);
}

void Scheduler::State::out_of_memory(OpenJob& job, const GpuUuid& gpu, const JobError& failure) {
  Lane larger = job.lane();
  larger.more_than_bytes = gpus.at(gpu).gpu.memory_total_bytes;
  if (job.more_than_bytes < 0 && models.contains(job.model) && any_selected_can_take(larger)) {
    queue.erase(job.id);  // its lane changes
    job.more_than_bytes = larger.more_than_bytes;
    return settle(job);
  }
  JobError error = failure;
  error.message +=
      format(" ({} ran out of memory, and no larger gpu is left to try. Choose a smaller size or model.)", gpu);
  end(job, JobState::failed, std::move(error));
}

void Scheduler::State::on(const ModelUnloadable& event) {
  const auto found = workers.find(event.worker);
  if (found == workers.end() || found->second.phase != WorkerPhase::starting) return;
  const ModelKey model = found->second.model;
  erase_worker(event.worker);
  // The file will not get better for the other loads of it either.
  std::vector<WorkerId> loads;
  for (const auto& [id, worker] : workers) {
    if (worker.model == model && worker.phase == WorkerPhase::starting) loads.push_back(id);
  }
  for (const WorkerId id : loads) stop_worker(id);
  for (const JobId id : queue.of_model(model)) end(jobs.at(id), JobState::failed, event.failure);
}

void Scheduler::State::back_off(const GpuUuid& gpu, const ModelKey& model) {
  BackOff& entry = back_offs[{gpu, model}];
  Duration delay = kFirstBackOff;
  for (int i = 0; i < entry.failures && delay < kLongestBackOff; ++i) delay *= 2;
  ++entry.failures;
  entry.retry_at = now + std::min(delay, kLongestBackOff);
}

bool Scheduler::State::backing_off(const GpuUuid& gpu, const ModelKey& model) const {
  const auto found = back_offs.find({gpu, model});
  return found != back_offs.end() && found->second.retry_at > now;
}

void Scheduler::State::forget_back_offs_of(const ModelKey& model) {
  std::erase_if(back_offs, [&model](const auto& entry) { return entry.first.second == model; });
}

void Scheduler::State::on(const TimerFired&) {
  wake_at.reset();
  unload_idle();
}

void Scheduler::State::ask_to_wake() {
  std::optional<Instant> earliest = next_idle_end();
  const auto also = [&earliest](std::optional<Instant> at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  if (queue.size() > 0) {
    also(next_guard());
    for (const auto& [key, entry] : back_offs) {
      if (entry.retry_at > now) also(entry.retry_at);
    }
  }
  if (!earliest || wake_at == earliest) return;
  wake_at = earliest;
  actions.emplace_back(WakeAt{*earliest});
}

}  // namespace pixelfleet::scheduler
