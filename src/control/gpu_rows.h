// The health of gpus as it is stored and shown.
#pragma once

#include <optional>
#include <vector>

#include "control/gpu_terms.h"
#include "control/ports.h"
#include "health/health.h"

namespace pixelfleet::control {

GpuStateRow row_of(const health::StateChanged& change, Instant at, const std::string& boot_id);
// Nothing for a row of a later program.
std::optional<health::GpuRecord> record_of(const GpuStateRow& row);
GpuHealth shown(const GpuStateRow& row);

// What a restart makes of the state: no action tells it again.
GpuTerms::Verdict verdict_of(health::State state);

// How a worker's end looks to health; nothing for one that says nothing about anybody.
std::optional<health::Exit> exit_of(const WorkerIsGone& gone);
health::GpuSeen seen_of(const GpuSample& sample);

}  // namespace pixelfleet::control
