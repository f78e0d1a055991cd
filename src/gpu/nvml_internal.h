// Our own declarations of the NVML functions we use, after its documented interface, and how they are found.
//
// Only nvml.cc includes this. A function that an old driver lacks stays null; v2 comes before its older form.
#pragma once

namespace pixelfleet::gpu::nvml {

using Device = struct OpaqueDevice*;

enum Code : int {
  kSuccess = 0,
  kNoPermission = 4,
  kDriverNotLoaded = 9,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kOperatingSystem = 17,
  kVersionMismatch = 18,
  kNoGpu = 28,
};

inline constexpr unsigned kCoreTemperature = 0;
inline constexpr unsigned kTextBytes = 96;
inline constexpr unsigned kMaxDevices = 64;

struct Memory {
  unsigned long long total, free, used;
};
struct MemoryV2 {  // never to be passed to the older function
  unsigned version;
  unsigned long long total, reserved, free, used;
};
inline constexpr unsigned kMemoryV2 = static_cast<unsigned>(sizeof(MemoryV2)) | (2u << 24);
struct Utilization {
  unsigned gpu, memory;  // per cent
};

struct Functions {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, Device*) = nullptr;
  int (*uuid)(Device, char*, unsigned) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  int (*memory_v2)(Device, MemoryV2*) = nullptr;
  int (*utilization)(Device, Utilization*) = nullptr;
  int (*temperature)(Device, unsigned, unsigned*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;  // milliwatts

  bool usable() const { return init && shutdown && count && handle && uuid; }
};

Functions find_functions(void* library);

}  // namespace pixelfleet::gpu::nvml
