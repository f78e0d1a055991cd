// Our own declarations of the NVML functions we use, after its documented interface, and how they are found.
//
// Only the nvml*.cc files include this. Every function is looked up by itself, so that an old driver lacks single ones
// and not all; where a function has versions, the newest comes first.
#pragma once

#include <optional>
#include <string>

#include "domain/gpu.h"

namespace pixelfleet::gpu::nvml {

using Device = struct OpaqueDevice*;
using EventSet = struct OpaqueEventSet*;

enum Code : int {
  kSuccess = 0,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kFunctionNotFound = 13,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kOperatingSystem = 17,
  kVersionMismatch = 18,
  kNoGpu = 28,
  kUnknown = 999,
};

inline constexpr unsigned kTextBytes = 96;
inline constexpr unsigned kMaxDevices = 64;
inline constexpr unsigned kCoreTemperature = 0;
inline constexpr unsigned kShutdownThreshold = 0, kSlowdownThreshold = 1;
inline constexpr unsigned kSmClock = 1, kMemoryClock = 2;
inline constexpr unsigned kCorrectedErrors = 0, kUncorrectedErrors = 1, kSinceDriverLoad = 0;
inline constexpr unsigned kRecoveryActionField = 230;
inline constexpr unsigned long long kXidEvents = 8;
inline constexpr unsigned kMaxInstances = 7;
inline constexpr unsigned kNoInstance = 0xFFFFFFFF;

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
struct Pci {  // the older function fills the fields up to the last one only
  char legacy_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
struct Process {
  unsigned pid;
  unsigned long long used;
};
struct ProcessV2 {  // also of version 3; never to be passed to the older function
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};
struct FieldValue {
  unsigned field, scope;
  long long timestamp, latency;
  int type, code;
  union {
    double as_double;
    unsigned as_unsigned;
    unsigned long long as_unsigned_long_long;
  } value;
};
struct EventData {
  Device device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};

// A function in its newest version and, for drivers without that, an older one of the same parameters. One that is in
// neither answers kFunctionNotFound, as NVML itself does.
template <class... Parameters>
struct Function {
  int (*newest)(Parameters...) = nullptr;
  int (*older)(Parameters...) = nullptr;

  bool found() const { return newest != nullptr || older != nullptr; }
  int operator()(Parameters... parameters) const {
    const int code = newest != nullptr ? newest(parameters...) : kFunctionNotFound;
    return code == kFunctionNotFound && older != nullptr ? older(parameters...) : code;
  }
};

struct Functions {
  Function<> init, shutdown;
  Function<char*, unsigned> driver_version;
  Function<int*> cuda_version;
  Function<unsigned*> count;
  Function<unsigned, Device*> handle;
  Function<Device, char*, unsigned> uuid, name;
  Function<Device, Pci*> pci, old_pci;
  Function<Device, Memory*> memory;
  Function<Device, MemoryV2*> memory_v2;
  Function<Device, Utilization*> utilization;
  Function<Device, unsigned, unsigned*> temperature, threshold, clock;
  Function<Device, unsigned*> power, power_limit;          // milliwatts
  Function<Device, unsigned long long*> energy, throttle;  // millijoules; bits
  Function<Device, unsigned*> pcie_generation, pcie_width, pcie_generation_max, pcie_width_max;
  Function<Device, unsigned, unsigned, unsigned long long*> ecc;
  Function<Device, unsigned*, unsigned*, unsigned*, unsigned*> remapped_rows;
  Function<Device, unsigned*, unsigned*> mig;
  Function<Device, unsigned*> most_instances, instance_id;
  Function<Device, unsigned, Device*> instance;
  Function<Device, int*> display_active, display_attached;
  Function<unsigned, char*, unsigned> process_name;
  Function<Device, unsigned*, ProcessV2*> compute, graphics;
  Function<Device, unsigned*, Process*> old_compute, old_graphics;
  Function<Device, int, FieldValue*> fields;
  Function<EventSet*> create_events;
  Function<EventSet> free_events;
  Function<Device, unsigned long long, EventSet> register_events;
  Function<EventSet, EventData*, unsigned> wait_for_event;

  bool usable() const { return init.found() && shutdown.found() && count.found() && handle.found() && uuid.found(); }
};

Functions find_functions(void* library);

inline bool is_gone(int code) { return code == kGpuIsLost || code == kResetRequired; }

// The size of a gpu's memory: unknown, and then why (kSuccess: the driver told nonsense).
struct MemorySize {
  std::optional<std::int64_t> bytes;
  int code = kFunctionNotFound;
};

// Everything but the identity of a gpu that answers. kSuccess, or the code with which it stopped answering: then the
// sample is worth nothing.
int read_sample(const Functions& functions, Device device, GpuSample& sample, MemorySize& memory);

}  // namespace pixelfleet::gpu::nvml
