// HostCpu: the machine's own processor as a gpu of kind cpu, for machines without one and for people who ask for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "domain/gpu.h"

namespace pixelfleet::gpu {

class HostCpu {
 public:
  // "cpu-0" with the processor's name; memory is the machine's, or less where a cgroup limits us.
  static Gpu describe();

  // Memory and load now. The load is that of all processors since the last call; absent at the first.
  GpuSample sample(const GpuUuid& uuid);

 private:
  std::int64_t busy_ = -1;  // of /proc/stat, in ticks
  std::int64_t total_ = -1;
};

}  // namespace pixelfleet::gpu
