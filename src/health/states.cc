// The state that follows from what is known of a gpu, its row and its work; and what time brings.
#include <algorithm>
#include <array>
#include <utility>

#include "health/turn_internal.h"

namespace pixelfleet::health {
namespace {

using Permission = GpuMemory::Permission;
using Service = GpuMemory::Service;

constexpr std::array<Duration, 5> kBackOffs = {std::chrono::seconds{30}, std::chrono::minutes{1},
                                               std::chrono::minutes{5}, std::chrono::minutes{15},
                                               std::chrono::minutes{60}};
constexpr int kMostLevel = static_cast<int>(kBackOffs.size());

Duration back_off(int level) { return kBackOffs[static_cast<std::size_t>(std::clamp(level, 0, kMostLevel - 1))]; }

Reason reason_of(Hardware hardware) {
  if (hardware == Hardware::lost) return Reason::lost;
  return hardware == Hardware::reset_needed ? Reason::reset_needed : Reason::reboot_needed;
}

FaultClass fault_of(Hardware hardware) {
  if (hardware == Hardware::lost) return FaultClass::lost;
  return hardware == Hardware::reset_needed ? FaultClass::reset : FaultClass::reboot;
}

// All but the words: since, reason, and who was at hand.
bool same_condition(const GpuRecord& a, const GpuRecord& b) {
  return a.state == b.state && a.until == b.until && a.back_off_level == b.back_off_level && a.hold == b.hold &&
         a.hardware == b.hardware && a.workers == b.workers;
}

}  // namespace

State Turn::state_of(const GpuMemory& gpu) {
  if (gpu.hold == Hold::retired || gpu.hardware != Hardware::sound) return State::failed;
  if (gpu.workers == Workers::unreapable) return State::stuck;
  if (gpu.hold == Hold::drained) return State::draining;
  if (gpu.service == Service::out) return gpu.running ? State::draining : State::quarantined;
  if (gpu.service == Service::proving) return State::probation;
  return gpu.faults.empty() ? State::healthy : State::suspect;
}

Permission Turn::permission_of(State state) {
  switch (state) {
    case State::healthy:
    case State::suspect: return Permission::full;
    case State::probation: return Permission::probation;
    case State::draining:
    case State::quarantined: return Permission::finish;
    case State::failed:
    case State::stuck: return Permission::abandon;
  }
  return Permission::full;
}

// Its fault or breakdown is at hand: out of service, for the next longer time unless a clean day lies behind it.
void Turn::take_out(GpuMemory& gpu, BackOff length) {
  gpu.canary_since.reset();
  gpu.canary_retry_at.reset();
  if (gpu.service == Service::out) return;
  gpu.service = Service::out;
  gpu.verdict.reset();
  gpu.until = now_;
  if (length == BackOff::none) return;
  if (gpu.told.state == State::healthy && now_ - gpu.told.since >= kCleanTime) gpu.back_off_level = 0;
  gpu.until = now_ + back_off(gpu.back_off_level);
  gpu.back_off_level = std::min(gpu.back_off_level + 1, kMostLevel);
}

void Turn::break_down(GpuMemory& gpu, Hardware hardware, Lines evidence) {
  if (static_cast<int>(hardware) <= static_cast<int>(gpu.hardware)) return;  // known, or worse is
  if (takes_work(gpu.told.state)) count_departure(gpu, fault_of(hardware), gpu.running_model, Phase::running);
  take_out(gpu, BackOff::longer);
  gpu.hardware = hardware;
  settle(gpu, reason_of(hardware), std::move(evidence));
}

void Turn::back_in_quarantine(GpuMemory& gpu, Reason reason, Lines evidence) {
  gpu.service = Service::in;
  take_out(gpu, BackOff::longer);
  settle(gpu, reason, std::move(evidence));
}

void Turn::settle(GpuMemory& gpu, Reason reason, Lines evidence) {
  const State from = gpu.told.state;
  GpuRecord record;
  record.gpu = gpu.told.gpu;
  record.state = state_of(gpu);
  record.reason = reason;
  record.since = record.state == from ? gpu.told.since : now_;
  if (gpu.service == Service::out) record.until = gpu.until;
  record.back_off_level = gpu.back_off_level;
  record.hold = gpu.hold;
  record.hardware = gpu.hardware;
  record.workers = gpu.workers;
  if (!gpu.faults.empty()) {
    if (gpu.faults.back().accuser == Fault::Accuser::job) record.job = gpu.faults.back().job;
    record.model = gpu.faults.back().model;
  }
  if (same_condition(record, gpu.told)) return;
  gpu.told = record;
  evidence.insert(evidence.end(), gpu.notes.begin(), gpu.notes.end());
  gpu.notes.clear();
  actions_.push_back(StateChanged{from, std::move(record), std::move(evidence)});
  permit(gpu);
  if (takes_work(from) && !takes_work(gpu.told.state)) try_another_gpu();
}

void Turn::permit(GpuMemory& gpu) {
  const Permission wanted = permission_of(gpu.told.state);
  gpu.deadline.reset();
  if (wanted == Permission::finish && gpu.running) gpu.deadline = now_ + kDrainDeadline;
  if (wanted == Permission::abandon) gpu.running.reset();
  if (wanted == gpu.permission) return;
  if (wanted == Permission::finish && gpu.permission == Permission::abandon) return;  // nothing is left to finish
  gpu.permission = wanted;
  const GpuUuid& uuid = gpu.told.gpu;
  switch (wanted) {
    case Permission::full: return actions_.push_back(GiveWork{uuid, Trust::full});
    case Permission::probation: return actions_.push_back(GiveWork{uuid, Trust::probation});
    case Permission::finish: return actions_.push_back(StopWork{uuid, Running::finish});
    case Permission::abandon: return actions_.push_back(StopWork{uuid, Running::abandon});
  }
}

bool Turn::awaits_canary(const GpuMemory& gpu) {
  return gpu.told.state == State::quarantined && !gpu.canary_since && !gpu.running;
}

// None gets work: rather than wait, try the one that would be next.
void Turn::try_another_gpu() {
  GpuMemory* next = nullptr;
  for (auto& [uuid, gpu] : memory_.gpus) {
    if (takes_work(gpu.told.state)) return;
    if (awaits_canary(gpu) && (next == nullptr || gpu.until < next->until)) next = &gpu;
  }
  if (next == nullptr || next->until <= now_) return;
  next->until = now_;
  settle(*next, Reason::no_other_gpu);
}

// --- time -----------------------------------------------------------------------------------------------------

void Turn::pass_time() {
  for (auto& [uuid, gpu] : memory_.gpus) pass_time(gpu);
  clear_alarms();
}

void Turn::pass_time(GpuMemory& gpu) {
  if (gpu.running && gpu.deadline && *gpu.deadline <= now_) {
    gpu.running.reset();
    gpu.deadline.reset();
    gpu.permission = Permission::abandon;
    actions_.push_back(StopWork{gpu.told.gpu, Running::abandon});
  }
  if (gpu.told.state == State::draining) settle(gpu, Reason::drained);
  if (gpu.service != Service::out) {
    std::erase_if(gpu.faults, [this](const Fault& fault) { return fault.at + kFaultWindow <= now_; });
    if (gpu.told.state == State::suspect) settle(gpu, Reason::faults_expired);
  }
  if (gpu.canary_since && *gpu.canary_since + kCanaryDeadline <= now_) {
    back_in_quarantine(gpu, Reason::canary_unanswered, {});
  }
  if (awaits_canary(gpu) && gpu.until <= now_ && (!gpu.canary_retry_at || *gpu.canary_retry_at <= now_)) {
    gpu.canary_since = now_;
    gpu.canary_retry_at.reset();
    actions_.push_back(RunCanary{gpu.told.gpu});
  }
}

void Turn::ask_to_wake() {
  std::optional<Instant> earliest;
  const auto also = [&earliest](Instant at) {
    if (!earliest || at < *earliest) earliest = at;
  };
  for (const auto& [fault, last] : memory_.alarms) also(last + kBreakerWindow);
  for (const auto& [uuid, gpu] : memory_.gpus) {
    if (gpu.running && gpu.deadline) also(*gpu.deadline);
    if (gpu.canary_since) also(*gpu.canary_since + kCanaryDeadline);
    if (awaits_canary(gpu)) also(std::max(gpu.until.value_or(now_), gpu.canary_retry_at.value_or(now_)));
    if (gpu.service == Service::out) continue;
    for (const Fault& fault : gpu.faults) also(fault.at + kFaultWindow);
  }
  if (earliest == memory_.wake_at) return;
  memory_.wake_at = earliest;
  if (earliest) actions_.push_back(WakeAt{*earliest});
}

}  // namespace pixelfleet::health
