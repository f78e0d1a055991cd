// What durations teach the cost model, and what progress says of the one under way.
#include <algorithm>
#include <utility>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr double kTellsSomething = 0.02;  // a chunk less far than this says nothing of its end
constexpr double kMostSeconds = 1e6;      // that a run is expected to take

}  // namespace

void Scheduler::State::on(const CostRemembered& event) { planning.costs.remember(event.record); }

void Scheduler::State::learn_load(const Worker& worker) {
  const auto model = models.find(worker.model);
  if (model == models.end() || worker.prior_seconds <= 0.0) return;
  const auto record = planning.costs.learn_load(model->second, gpus.at(worker.gpu).gpu.name, worker.tier,
                                                seconds_between(worker.since, now), worker.prior_seconds);
  if (record) actions.emplace_back(RememberCost{*record});
  planning.stale.insert(worker.model);
}

void Scheduler::State::expect_run(Worker& worker, OpenJob& job, int images) {
  worker.since = worker.expected_end = now;
  worker.told = Worker::Told::no;
  worker.prior_seconds = worker.expected_seconds = 0.0;
  const auto model = models.find(worker.model);
  if (model == models.end()) return;
  const Slot& slot = gpus.at(worker.gpu);
  const auto type = static_cast<std::size_t>(gpu_type(slot.gpu.name));
  const CostPrior& prior = CostModel::prior_for(model->second, slot.gpu.name);
  const double seconds = CostModel::prior_run_seconds(prior.run, job.shape, images);
  const double expected = seconds * static_cast<double>(pace_of(job).ratio[type]);
  worker.expected_seconds = std::min(kMostSeconds, expected);
  if (std::exchange(worker.loras, job.estimate.loras) == job.estimate.loras) {
    worker.prior_seconds = seconds;
  } else {  // the time it takes is not that of the run alone
    worker.expected_seconds += std::clamp(prior.load.lora_seconds, 0.0, kMostSeconds);
  }
  worker.expected_end = now + Duration{static_cast<std::int64_t>(worker.expected_seconds * 1e6)};
}

// From the disk, unless it is staged; where another load reads, too, the time it took teaches nothing.
void Scheduler::State::expect_load(Worker& worker) {
  const ModelFacts& model = models.at(worker.model);
  const std::string& gpu = gpus.at(worker.gpu).gpu.name;
  const bool alone = std::none_of(workers.begin(), workers.end(), [&worker](const auto& entry) {
    return entry.second.phase == WorkerPhase::starting && &entry.second != &worker;
  });
  worker.tier = model.file_bytes == 0 || is_staged(worker.model) ? Tier::host : Tier::disk;
  const double prior =
      CostModel::prior_load_seconds(CostModel::prior_for(model, gpu).load, static_cast<double>(model.file_bytes),
                                    worker.tier, policy.disk_bytes_per_second);
  if (alone) worker.prior_seconds = prior;
  const double expected = prior * planning.costs.load_ratio(model, gpu, worker.tier);
  worker.expected_seconds = std::min(kMostSeconds, expected);
  worker.expected_end = now + Duration{static_cast<std::int64_t>(worker.expected_seconds * 1e6)};
}

void Scheduler::State::learn_run(const Chunk& chunk) {
  const Worker& worker = workers.at(chunk.worker);
  const auto model = models.find(worker.model);
  const auto job = jobs.find(chunk.job);
  if (model == models.end() || job == jobs.end() || worker.prior_seconds <= 0.0) return;
  const auto record = planning.costs.learn_run(model->second, job->second.shape.sampler, gpus.at(worker.gpu).gpu.name,
                                               seconds_between(worker.since, now), worker.prior_seconds);
  if (record) actions.emplace_back(RememberCost{*record});
}

void Scheduler::State::on(const ChunkProgress& event) {
  const auto found = chunks.find(event.chunk);
  if (found == chunks.end() || event.steps <= 0 || event.step < 0 || event.step > event.steps) return;
  const Chunk& chunk = found->second;
  Worker& worker = workers.at(chunk.worker);
  const auto made = static_cast<double>(chunk.images - chunk.left.size());
  const double done = (made + static_cast<double>(event.step) / event.steps) / static_cast<double>(chunk.images);
  if (done < kTellsSomething) return;
  const double total = seconds_between(worker.since, now) / std::min(done, 1.0);
  worker.expected_end = std::max(now, worker.since + Duration{static_cast<std::int64_t>(total * 1e6)});
  worker.told = Worker::Told::yes;
}

}  // namespace pixelfleet::scheduler
