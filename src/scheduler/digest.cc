// The durable state as text.
#include <string>

#include "base/format.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {

// A running job reads as a queued one: that it runs is what a restart forgets.
std::string Scheduler::State::digest() const {
  std::string text =
      format("policy multi_gpu={} max_gpus={} gpus={} single_gpu={} resident_limit={}\n", policy.multi_gpu,
             policy.max_gpus, join(policy.gpus, ","), policy.single_gpu, policy.resident_limit);
  for (const auto& [uuid, slot] : gpus) {
    text += format("gpu {} index={} kind={} memory_total_bytes={}\n", uuid, slot.gpu.index, name(slot.gpu.kind),
                   slot.gpu.memory_total_bytes);
  }
  for (const auto& [key, model] : models) {
    text += format("model {} engine={} memory_bytes={}\n", key, model.engine == Engine::sdcpp ? "sdcpp" : "synthetic",
                   model.memory_bytes);
  }
  for (const auto& owner : pauses) text += format("paused {}\n", owner ? *owner : "everybody");
  for (const auto& [id, job] : jobs) {
    text += format("job {} state={} priority={} rank={} owner={} model={} pin={} worker_deaths={} missing=", id.value,
                   job.held ? name(*job.held) : "queued", name(job.priority), job.rank, job.owner, job.model,
                   job.pin.value_or("any"), job.worker_deaths);
    for (const int index : job.missing) text += format("{},", index);
    if (job.wish == OpenJob::Wish::cancel) text += " cancel_requested";
    text += '\n';
  }
  return text;
}

}  // namespace pixelfleet::scheduler
