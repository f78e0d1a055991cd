// Sharing's settings from ours, and its verdicts as they are shown.
#pragma once

#include "base/result.h"
#include "domain/gpu.h"
#include "domain/settings.h"
#include "sharing/memory_ledger.h"
#include "sharing/sharing.h"

namespace pixelfleet::control {

// What is set when the server starts and not while it runs.
struct SharingLimits {
  std::int64_t idle_memory_bytes = std::int64_t{1} << 30;  // others who use less do not count
  double idle_utilization_ratio = 0.10;
  std::int64_t margin_bytes = std::int64_t{512} << 20;
};

// An error names the field: sharing.gpus, for quiet hours that cannot be read.
Result<sharing::Settings> sharing_settings(const LiveSettings& settings, const SharingLimits& limits);

GpuSharing shown(const sharing::Verdict& verdict);
GpuMemoryAccount shown(const sharing::MemoryPlan& plan);
std::string describe(const sharing::Reason& reason);  // for the log

}  // namespace pixelfleet::control
