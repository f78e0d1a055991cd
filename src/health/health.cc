#include "health/health.h"

#include <utility>

#include "health/turn_internal.h"

namespace pixelfleet::health {
namespace {

GpuMemory::Service service_of(const GpuRecord& record) {
  if (record.until) return GpuMemory::Service::out;
  return record.state == State::probation ? GpuMemory::Service::proving : GpuMemory::Service::in;
}

// What a restart left of the faults: the last one.
std::optional<Fault> fault_of(const GpuRecord& record) {
  if (record.state != State::suspect || (!record.job && record.model.empty())) return std::nullopt;
  Fault fault;
  fault.at = record.since;
  fault.accuser = record.job ? Fault::Accuser::job : Fault::Accuser::model;
  fault.job = record.job.value_or(JobId{});
  fault.model = record.model;
  fault.phase = record.job ? Phase::running : Phase::loading;
  return fault;
}

}  // namespace

Health::Health(const std::vector<GpuRecord>& records) {
  for (const GpuRecord& record : records) {
    GpuMemory& gpu = memory_.gpus[record.gpu];
    gpu.told = record;
    gpu.service = service_of(record);
    gpu.hold = record.hold;
    gpu.hardware = record.hardware;
    gpu.workers = record.workers;
    gpu.until = record.until;
    gpu.back_off_level = record.back_off_level;
    gpu.permission = Turn::permission_of(record.state);
    gpu.arrival = record.hardware == Hardware::lost ? GpuMemory::Arrival::fresh : GpuMemory::Arrival::after_restart;
    const std::optional<Fault> fault = fault_of(record);
    if (!fault) continue;
    gpu.faults.push_back(*fault);
    if (fault->accuser != Fault::Accuser::job) continue;
    JobMemory& job = memory_.jobs[fault->job];
    job.failed_on.insert(record.gpu);
    job.last = record.since;
  }
}

std::vector<Action> Health::step(const Event& event, Instant now) {
  std::vector<Action> actions;
  Turn(memory_, now, actions).run(event);
  return actions;
}

std::vector<GpuRecord> Health::gpus() const {
  std::vector<GpuRecord> records;
  for (const auto& [uuid, gpu] : memory_.gpus) records.push_back(gpu.told);
  return records;
}

std::vector<FaultClass> Health::alarms() const {
  std::vector<FaultClass> raised;
  for (const auto& [fault, last] : memory_.alarms) raised.push_back(fault);
  return raised;
}

}  // namespace pixelfleet::health
