// What each event means.
#include <algorithm>
#include <utility>

#include "base/format.h"
#include "health/turn_internal.h"
#include "health/xid.h"

namespace pixelfleet::health {
namespace {

constexpr std::size_t kMostNotes = 8;
constexpr std::size_t kMostEvidenceLines = 60;  // of one worker's end: the last ones

std::string describe(const WorkerFailed& failure) {
  const std::string_view doing = failure.phase == Phase::loading ? "loading" : "running";
  if (!failure.job) return format("{} while {} model {}", name(failure.exit), doing, failure.model);
  return format("{} while {} job {} with model {}", name(failure.exit), doing, failure.job->value, failure.model);
}

std::vector<std::string> evidence_of(const WorkerFailed& failure) {
  std::vector<std::string> lines{describe(failure)};
  const std::size_t skipped = failure.evidence.size() - std::min(failure.evidence.size(), kMostEvidenceLines);
  lines.insert(lines.end(), failure.evidence.begin() + static_cast<std::ptrdiff_t>(skipped), failure.evidence.end());
  return lines;
}

std::string describe(const GpuMemory& gpu) {
  switch (gpu.hardware) {
    case Hardware::sound: break;
    case Hardware::lost: return "it is not there; resume it when `pixelfleet gpus` lists it again";
    case Hardware::reset_needed: return "the driver asks for a reset of this gpu; reset it, then resume it";
    case Hardware::reboot_needed: return "the driver asks for a reboot; reboot the machine";
  }
  return "a worker on it cannot be ended; end the process or reboot the machine";
}

}  // namespace

void Turn::run(const Event& event) {
  if (memory_.wake_at && *memory_.wake_at <= now_) pass_time();  // before that nothing is due
  std::visit([this](const auto& happened) { on(happened); }, event);
  pass_time();
  ask_to_wake();
}

GpuMemory* Turn::find(const GpuUuid& gpu) {
  const auto found = memory_.gpus.find(gpu);
  return found == memory_.gpus.end() ? nullptr : &found->second;
}

GpuMemory* Turn::find_for_operator(const GpuUuid& gpu) {
  GpuMemory* found = find(gpu);
  if (found == nullptr) actions_.push_back(RefuseOrder{gpu, format("no gpu {} is known", gpu)});
  return found;
}

void Turn::refuse(const GpuMemory& gpu, std::string why) {
  actions_.push_back(RefuseOrder{gpu.told.gpu, std::move(why)});
}

void Turn::note(GpuMemory& gpu, std::string line) {
  if (!gpu.notes.empty() && gpu.notes.back() == line) return;
  if (gpu.notes.size() == kMostNotes) gpu.notes.erase(gpu.notes.begin());
  gpu.notes.push_back(std::move(line));
}

// --- what the monitor tells -----------------------------------------------------------------------------------

void Turn::on(const GpuSeen& event) {
  if (event.telemetry == Telemetry::unavailable) return;
  if (event.telemetry == Telemetry::gpu_lost) return on(GpuLost{event.gpu});
  const auto [found, is_new] = memory_.gpus.try_emplace(event.gpu);
  GpuMemory& gpu = found->second;
  if (is_new) {
    gpu.told.gpu = event.gpu;
    gpu.told.reason = Reason::seen_clean;
    gpu.told.since = now_;
  }
  const bool wants_reset = event.telemetry == Telemetry::reset_required || event.recovery == RecoveryAction::reset ||
                           event.recovery == RecoveryAction::drain_and_reset;
  if (wants_reset || event.recovery == RecoveryAction::reboot) {
    gpu.clean = false;
    gpu.arrival = GpuMemory::Arrival::fresh;  // when it no longer asks, it was done
    if (event.recovery == RecoveryAction::reboot) {
      return break_down(gpu, Hardware::reboot_needed, {"the driver asks for a reboot"});
    }
    return break_down(gpu, Hardware::reset_needed, {"the driver asks for a reset"});
  }
  gpu.clean = true;
  const bool mended = gpu.arrival == GpuMemory::Arrival::fresh ||
                      (gpu.arrival == GpuMemory::Arrival::after_restart && event.recovery == RecoveryAction::none);
  if (gpu.hardware != Hardware::sound && mended) {
    gpu.hardware = Hardware::sound;
    settle(gpu, Reason::seen_clean);
    try_another_gpu();
  }
  if (gpu.hardware == Hardware::sound) gpu.arrival = GpuMemory::Arrival::same;
}

void Turn::on(const GpuLost& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  gpu->clean = false;
  gpu->arrival = GpuMemory::Arrival::fresh;
  break_down(*gpu, Hardware::lost, {"the driver no longer finds it"});
}

void Turn::on(const MachineBooted&) {
  for (auto& [uuid, gpu] : memory_.gpus) {
    gpu.arrival = GpuMemory::Arrival::fresh;
    if (gpu.workers == Workers::reapable) continue;
    gpu.workers = Workers::reapable;
    settle(gpu, Reason::reaped);
  }
}

void Turn::on(const XidReported& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  const XidClass xid = xid_class(event.number);
  const std::string line = format("Xid {} ({})", event.number, name(xid));
  if (xid == XidClass::reset_gpu) return break_down(*gpu, Hardware::reset_needed, {line});
  if (xid == XidClass::restart_machine) return break_down(*gpu, Hardware::reboot_needed, {line});
  std::optional<JobId> job = gpu->running;
  if (!job && gpu->last_failed && now_ - gpu->last_failed_at <= kXidAfterEnd) job = gpu->last_failed;
  // Without a job of ours it was somebody else's process.
  if (!job || !counts_against_gpu(event.number)) return note(*gpu, line);
  accuse_by_xid(*gpu, *job, event.number);
}

void Turn::on(const Throttled& event) {
  if (GpuMemory* gpu = find(event.gpu)) note(*gpu, format("throttled: {}", event.why));
}

// --- what the workers tell ------------------------------------------------------------------------------------

void Turn::on(const ChunkStarted& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  if (!takes_work(gpu->told.state) && gpu->told.state != State::draining) return;
  gpu->running = event.job;
  gpu->running_model = event.model;
  if (gpu->told.state == State::draining) gpu->deadline = now_ + kDrainDeadline;
}

void Turn::on(const StepMade& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu != nullptr && gpu->deadline) gpu->deadline = now_ + kDrainDeadline;
}

void Turn::on(const ChunkDone& event) {
  memory_.jobs.erase(event.job);
  on(ModelWorked{event.gpu, event.model});
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  gpu->running.reset();
  if (gpu->service != GpuMemory::Service::proving || gpu->told.state != State::probation) return;
  gpu->proven.insert(event.job);
  if (gpu->proven.size() < kProbationJobs) return;
  gpu->service = GpuMemory::Service::in;
  settle(*gpu, Reason::probation_passed);
}

void Turn::on(const ChunkDropped& event) {
  if (GpuMemory* gpu = find(event.gpu)) gpu->running.reset();
}

void Turn::on(const WorkerFailed& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  if (event.phase == Phase::running && event.job) {
    if (gpu->running == event.job) gpu->running.reset();  // a load beside it does not end it
    gpu->last_failed = event.job;
    gpu->last_failed_at = now_;
  }
  accuse(*gpu, event, evidence_of(event));
}

void Turn::on(const WorkersReaped& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr || gpu->workers == Workers::reapable) return;
  gpu->workers = Workers::reapable;
  settle(*gpu, Reason::reaped);
}

void Turn::on(const CanaryEnded& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr || !gpu->canary_since) return;
  switch (event.result) {
    case Canary::not_run:
      gpu->canary_since.reset();
      gpu->canary_retry_at = now_ + kCanaryRetry;
      return;
    case Canary::failed: return back_in_quarantine(*gpu, Reason::canary_failed, event.evidence);
    case Canary::passed:
      gpu->canary_since.reset();
      gpu->service = GpuMemory::Service::proving;
      gpu->proven.clear();
      gpu->faults.clear();
      gpu->verdict.reset();
      return settle(*gpu, Reason::canary_passed, event.evidence);
  }
}

// --- what people say ------------------------------------------------------------------------------------------

void Turn::on(const OperatorDrained& event) {
  GpuMemory* gpu = find_for_operator(event.gpu);
  if (gpu == nullptr) return;
  if (gpu->hold == Hold::retired) return refuse(*gpu, format("{} is retired; resume it first", event.gpu));
  gpu->hold = Hold::drained;
  gpu->canary_since.reset();
  settle(*gpu, Reason::operator_drained);
}

void Turn::on(const OperatorRetired& event) {
  GpuMemory* gpu = find_for_operator(event.gpu);
  if (gpu == nullptr) return;
  gpu->hold = Hold::retired;
  gpu->canary_since.reset();
  settle(*gpu, Reason::operator_retired);
}

void Turn::on(const OperatorResumed& event) {
  GpuMemory* gpu = find_for_operator(event.gpu);
  if (gpu == nullptr) return;
  const bool broken = gpu->hardware != Hardware::sound && !gpu->clean;
  if (gpu->hold == Hold::none && (broken || gpu->workers == Workers::unreapable)) {
    return refuse(*gpu, format("{} cannot get work: {}", event.gpu, describe(*gpu)));
  }
  const Hold before = std::exchange(gpu->hold, Hold::none);
  if (!broken) gpu->hardware = Hardware::sound;  // the operator's word counts as an arrival
  if (before == Hold::retired) take_out(*gpu, BackOff::none);
  if (gpu->service == GpuMemory::Service::out && before != Hold::drained) {
    gpu->until = now_;
    gpu->canary_retry_at.reset();
  }
  settle(*gpu, Reason::operator_resumed);
}

void Turn::on(const ModelWorked& event) {
  ModelMemory& model = memory_.models[event.model];
  model.failed_loads.clear();
  model.good_on.insert(event.gpu);
}

void Turn::on(const ModelReplaced& event) { memory_.models.erase(event.model); }

void Turn::on(const JobForgotten& event) { memory_.jobs.erase(event.job); }

}  // namespace pixelfleet::health
