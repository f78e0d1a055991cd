#include "domain/gpu_detail.h"

namespace pixelfleet {

std::string_view name(GpuRecovery recovery) {
  switch (recovery) {
    case GpuRecovery::none: return "none";
    case GpuRecovery::reset: return "reset";
    case GpuRecovery::reboot: return "reboot";
    case GpuRecovery::drain_p2p: return "drain_p2p";
    case GpuRecovery::drain_and_reset: return "drain_and_reset";
  }
  return "none";
}

std::optional<GpuRecovery> gpu_recovery_from(std::string_view text) {
  for (const GpuRecovery recovery : {GpuRecovery::none, GpuRecovery::reset, GpuRecovery::reboot, GpuRecovery::drain_p2p,
                                     GpuRecovery::drain_and_reset}) {
    if (text == name(recovery)) return recovery;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
