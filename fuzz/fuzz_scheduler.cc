// Any sequence of events into Scheduler::step, watched by the simulation's auditor.
//
// Two bytes or so make an event about a small world (4 gpus, 4 models, the last 8 jobs, chunks and workers), so that
// the fuzzer finds interleavings that the seeded histories do not.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

#include "auditor.h"
#include "byte_source.h"
#include "scheduler/trace.h"

namespace pixelfleet::fuzz {
namespace {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class Decoder {
 public:
  explicit Decoder(ByteSource& bytes) : bytes_(bytes) {}

  Event event() {
    switch (bytes_.below(19)) {
      case 0: return PolicyChanged{policy()};
      case 1: {
        static constexpr GpuKind kKinds[] = {GpuKind::nvidia, GpuKind::cpu, GpuKind::virtual_gpu};
        const int index = bytes_.below(4);
        return GpuArrived{
            {"gpu-" + std::to_string(index), index, "", kKinds[bytes_.below(3)], bytes_.below(40) * kGiB}};
      }
      case 2: return GpuLost{gpu()};
      case 3:
        return ModelKnown{{model(), bytes_.below(2) == 0 ? Engine::synthetic : Engine::sdcpp, bytes_.below(32) * kGiB}};
      case 4: return ModelForgotten{model()};
      case 5:
      case 6: return JobSubmitted{job()};
      case 7: return JobCancelRequested{recent_job()};
      case 8: return JobHeld{recent_job(), static_cast<HeldReason>(bytes_.below(6))};
      case 9: return JobReleased{recent_job()};
      case 10:
      case 11: return WorkerReady{recent_worker()};
      case 12:
        return WorkerLost{
            recent_worker(), {"engine_died", "signal 11", {"log"}}, bytes_.below(2) == 0 ? Blame::job : Blame::none};
      case 13: return ModelUnloadable{recent_worker(), {"model_unreadable", "truncated", {}}};
      case 14: return ImageMade{recent_chunk(), bytes_.below(4)};
      case 15: {
        static const char* const kCodes[] = {"out_of_memory", "bad_request", "invalid_output", "engine_error"};
        const ChunkId chunk = recent_chunk();
        const auto outcome = static_cast<ChunkOutcome>(bytes_.below(3));
        return ChunkEnded{chunk, outcome, {kCodes[bytes_.below(4)], "said the worker", {}}};
      }
      case 16: {
        const JobId id = recent_job();
        const int index = bytes_.below(4);
        switch (bytes_.below(4)) {
          case 0: return ImageRejected{id, index};
          case 1: return JobUnpublishable{id, {"not_writable", "no permission", {}}};
          default: return ImagePublished{id, index};
        }
      }
      case 17:
        switch (bytes_.below(4)) {
          case 0: return GpuOpened{gpu(), bytes_.below(2) == 0 ? Trust::full : Trust::probation};
          case 1: return GpuMemoryPlanned{gpu(), std::nullopt};
          case 2: return GpuMemoryPlanned{gpu(), bytes_.below(40) * kGiB};
          default: return GpuClosed{gpu(), static_cast<GpuClosed::Workers>(bytes_.below(3))};
        }
      default: return order();
    }
  }

  void saw(const Action& action) {
    if (const auto* worker = std::get_if<StartWorker>(&action)) last_worker_ = worker->worker.value;
    if (const auto* chunk = std::get_if<StartChunk>(&action)) last_chunk_ = chunk->chunk.value;
  }

 private:
  Policy policy() {
    Policy policy;
    policy.multi_gpu = bytes_.below(2) == 1;
    policy.max_gpus = 1 + bytes_.below(8);
    if (bytes_.below(3) == 0) policy.single_gpu = gpu();
    policy.resident_limit = bytes_.below(5) - 1;
    if (bytes_.below(4) == 0) policy.gpus = {gpu()};
    return policy;
  }
  Event order() {
    const auto owner = [this] { return bytes_.below(2) == 0 ? std::nullopt : std::optional<std::string>("ada"); };
    switch (bytes_.below(8)) {
      case 0: return JobMoved{recent_job(), recent_job(), JobMoved::Side::before};
      case 1: return JobMoved{recent_job(), recent_job(), JobMoved::Side::after};
      case 2: return JobReprioritised{recent_job(), static_cast<Priority>(bytes_.below(3))};
      case 3: return JobPinned{recent_job(), bytes_.below(2) == 0 ? std::nullopt : std::optional<GpuUuid>(gpu())};
      case 4: return QueuePaused{owner()};
      case 5: return QueueResumed{owner()};
      default: return TimerFired{};
    }
  }

  GpuUuid gpu() { return "gpu-" + std::to_string(bytes_.below(4)); }
  ModelKey model() { return "model-" + std::to_string(bytes_.below(4)); }
  JobId recent_job() { return JobId{std::max<std::int64_t>(1, last_job_ - bytes_.below(8))}; }
  WorkerId recent_worker() { return WorkerId{std::max<std::int64_t>(1, last_worker_ - bytes_.below(8))}; }
  ChunkId recent_chunk() { return ChunkId{std::max<std::int64_t>(1, last_chunk_ - bytes_.below(8))}; }

  JobFacts job() {
    JobFacts facts;
    facts.id = JobId{++last_job_};
    facts.model = model();
    facts.priority = static_cast<Priority>(bytes_.below(3));
    const int extras = bytes_.byte();
    if ((extras & 3) == 3) facts.rank = bytes_.below(5) - 2.5;
    if ((extras & 12) == 12) facts.pin = gpu();
    if ((extras & 64) == 64) facts.owner = "ada";
    if ((extras & 48) == 48) facts.held = static_cast<HeldReason>(bytes_.below(6));
    for (int index = 0, count = bytes_.below(5); index < count; ++index) facts.missing.push_back(index);
    return facts;
  }

  ByteSource& bytes_;
  std::int64_t last_job_ = 0;
  std::int64_t last_worker_ = 0;
  std::int64_t last_chunk_ = 0;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

void run(ByteSource bytes) {
  Scheduler scheduler;
  sim::Auditor auditor;
  Decoder decoder(bytes);
  Instant now{std::chrono::seconds{1'700'000'000}};
  std::string trace;
  while (!bytes.empty()) {
    now += std::chrono::milliseconds{bytes.byte()};
    const Event event = decoder.event();
    trace += describe(event) + "\n";
    auditor.begin(event, now);
    for (const Action& action : scheduler.step(event, now)) {
      trace += "    -> " + describe(action) + "\n";
      decoder.saw(action);
      auditor.apply(action);
    }
    auditor.end(scheduler);
    if (auditor.violation()) give_up(trace + *auditor.violation());
  }

  // What health and sharing say of the gpus is not the scheduler's to keep.
  for (const auto& [uuid, gpu] : auditor.gpus()) {
    (void)scheduler.step(GpuOpened{uuid, Trust::full}, now);
    (void)scheduler.step(GpuMemoryPlanned{uuid, std::nullopt}, now);
  }
  Scheduler rebuilt;
  (void)rebuilt.step(PolicyChanged{auditor.policy()}, now);
  for (const auto& [key, model] : auditor.models()) (void)rebuilt.step(ModelKnown{model}, now);
  for (const auto& [uuid, gpu] : auditor.gpus()) (void)rebuilt.step(GpuArrived{gpu}, now);
  for (const auto& owner : auditor.pauses()) (void)rebuilt.step(QueuePaused{owner}, now);
  for (const auto& [id, row] : auditor.open()) (void)rebuilt.step(JobSubmitted{sim::Auditor::facts_of(row)}, now);
  (void)scheduler.step(ServerRestarted{}, now);
  if (scheduler.durable_digest() != rebuilt.durable_digest()) {
    give_up(trace + "the rebuilt state differs:\n" + scheduler.durable_digest() + "---\n" + rebuilt.durable_digest());
  }
}

}  // namespace
}  // namespace pixelfleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pixelfleet::fuzz::run({data, size});
  return 0;
}
