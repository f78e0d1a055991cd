// A library of ours with the functions of NVIDIA's management library, for machines without a card: every answer comes
// from the script in FAKE_NVML_SCRIPT (README.md), or from one healthy gpu where there is no script.
//
// Each function is found through a resolver, so that a function the script calls "missing" is absent for dlsym too.
// Not thread-safe, unlike the original: its one user is the gpu monitor.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "driver.h"

namespace fake_nvml {
namespace {

int give_text(const std::string& text, char* to, unsigned size) {
  // As a careless driver does it: a text as long as the buffer has no end.
  std::memset(to, 0, size);
  std::memcpy(to, text.data(), std::min<std::size_t>(text.size(), size));
  return kSuccess;
}

// One of a gpu's numbers as NVML hands it out; negative ones come out as what they are in an unsigned variable.
template <class T>
int give_number(const char* call, void* device, const char* key, T* to, double factor = 1) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu(call, device, gpu); code != kSuccess) return code;
  const auto& curve = gpu->numbers.at(key);
  if (!curve) return kNotSupported;
  *to = static_cast<T>(static_cast<long long>(std::llround(curve->at(script_now()) * factor)));
  return kSuccess;
}

// Layouts after NVML's documented interface.
struct Memory {
  unsigned long long total, free, used;
};
struct MemoryV2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};
struct Utilization {
  unsigned gpu, memory;
};
struct Pci {
  char legacy_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char id[32];
};
struct ProcessV1 {
  unsigned pid;
  unsigned long long bytes;
};
struct ProcessV2 {
  unsigned pid;
  unsigned long long bytes;
  unsigned gpu_instance, compute_instance;
};
struct FieldValue {
  unsigned field, scope;
  long long timestamp, latency;
  int type, code;
  union {
    double d;
    unsigned u;
    unsigned long long ull;
  } value;
};
struct Event {
  void* device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};

template <class Entry>
int give_processes(const char* call, void* device, bool compute, unsigned* count, Entry* to) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu(call, device, gpu); code != kSuccess) return code;
  const unsigned room = *count;
  unsigned n = 0;
  for (const auto& [pid, process] : gpu->processes) {
    if (process.compute != compute) continue;
    if (n < room && to != nullptr) {
      to[n] = {};
      to[n].pid = pid;
      to[n].bytes = process.bytes;
    }
    ++n;
  }
  *count = n;
  return n > room ? kInsufficientSize : kSuccess;
}

constexpr unsigned long long kXidEvents = 8;

void* event_set() {
  static int the_only_one;
  return &the_only_one;
}

}  // namespace
}  // namespace fake_nvml

using namespace fake_nvml;  // NOLINT: the functions below are C's

// FAKE(name, (parameters)) { body }: the function `name`, absent for dlsym where the script calls it missing.
#define FAKE(function, parameters)                                                                        \
  static int fake_##function parameters;                                                                  \
  extern "C" auto resolve_##function()->decltype(&fake_##function) {                                      \
    return is_missing(#function) ? nullptr : &fake_##function;                                            \
  }                                                                                                       \
  extern "C" __attribute__((visibility("default"), ifunc("resolve_" #function))) int function parameters; \
  static int fake_##function parameters

// A function that hands out one number of a gpu.
#define FAKE_NUMBER(function, type, key, factor) \
  FAKE(function, (void* device, type* to)) { return give_number(#function, device, key, to, factor); }

FAKE(nvmlInit, ()) { return initialize("nvmlInit"); }
FAKE(nvmlInit_v2, ()) { return initialize("nvmlInit_v2"); }

FAKE(nvmlShutdown, ()) { return shut_down("nvmlShutdown"); }

FAKE(nvmlSystemGetDriverVersion, (char* text, unsigned size)) {
  if (const int code = enter("nvmlSystemGetDriverVersion"); code != kSuccess) return code;
  return give_text(world().driver, text, size);
}

static int give_cuda(const char* call, int* version) {
  if (const int code = enter(call); code != kSuccess) return code;
  *version = world().cuda;
  return kSuccess;
}
FAKE(nvmlSystemGetCudaDriverVersion, (int* version)) { return give_cuda("nvmlSystemGetCudaDriverVersion", version); }
FAKE(nvmlSystemGetCudaDriverVersion_v2, (int* version)) {
  return give_cuda("nvmlSystemGetCudaDriverVersion_v2", version);
}

static int give_count(const char* call, unsigned* count) {
  if (const int code = enter(call); code != kSuccess) return code;
  *count = static_cast<unsigned>(world().order.size());
  return kSuccess;
}
FAKE(nvmlDeviceGetCount, (unsigned* count)) { return give_count("nvmlDeviceGetCount", count); }
FAKE(nvmlDeviceGetCount_v2, (unsigned* count)) { return give_count("nvmlDeviceGetCount_v2", count); }

static int give_handle(const char* call, unsigned index, void** device) {
  if (const int code = enter(call); code != kSuccess) return code;
  const World& now = world();
  if (index >= now.order.size()) return kInvalidArgument;
  const int key = now.order[index];
  if (const int code = code_for_gpu(call, key); code != kSuccess) return code;
  *device = handle_of(key);
  return kSuccess;
}
FAKE(nvmlDeviceGetHandleByIndex, (unsigned index, void** device)) {
  return give_handle("nvmlDeviceGetHandleByIndex", index, device);
}
FAKE(nvmlDeviceGetHandleByIndex_v2, (unsigned index, void** device)) {
  return give_handle("nvmlDeviceGetHandleByIndex_v2", index, device);
}

FAKE(nvmlDeviceGetUUID, (void* device, char* text, unsigned size)) {
  const Gpu* gpu = nullptr;
  const int code = enter_gpu("nvmlDeviceGetUUID", device, gpu);
  return code != kSuccess ? code : give_text(gpu->uuid, text, size);
}
FAKE(nvmlDeviceGetName, (void* device, char* text, unsigned size)) {
  const Gpu* gpu = nullptr;
  const int code = enter_gpu("nvmlDeviceGetName", device, gpu);
  return code != kSuccess ? code : give_text(gpu->name, text, size);
}
FAKE(nvmlDeviceGetPciInfo_v3, (void* device, Pci* pci)) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceGetPciInfo_v3", device, gpu); code != kSuccess) return code;
  *pci = {};
  return give_text(gpu->pci, pci->id, sizeof pci->id);
}
FAKE(nvmlDeviceGetPciInfo, (void* device, Pci* pci)) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceGetPciInfo", device, gpu); code != kSuccess) return code;
  // The old form has sixteen bytes for the id, and ends before the new one's longer text.
  return give_text(gpu->pci.substr(std::min<std::size_t>(gpu->pci.size(), 4)), pci->legacy_id, sizeof pci->legacy_id);
}

FAKE(nvmlDeviceGetMemoryInfo, (void* device, Memory* memory)) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceGetMemoryInfo", device, gpu); code != kSuccess) return code;
  if (!gpu->has_memory) return kNotSupported;
  *memory = {gpu->total(), gpu->free(), gpu->memory.contains("used") ? gpu->used() : gpu->used() + gpu->reserved()};
  return kSuccess;
}
FAKE(nvmlDeviceGetMemoryInfo_v2, (void* device, MemoryV2* memory)) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceGetMemoryInfo_v2", device, gpu); code != kSuccess) return code;
  if (memory->version != (sizeof *memory | 2u << 24)) return kInvalidArgument;
  if (!gpu->has_memory) return kNotSupported;
  *memory = {memory->version, gpu->total(), gpu->reserved(), gpu->free(), gpu->used()};
  return kSuccess;
}

FAKE(nvmlDeviceGetUtilizationRates, (void* device, Utilization* rates)) {
  Utilization result = {};
  const char* const call = "nvmlDeviceGetUtilizationRates";
  if (const int code = give_number(call, device, "util", &result.gpu); code != kSuccess) return code;
  const auto& memory = world().gpus.at(gpu_of(device)).numbers.at("memutil");
  result.memory = memory ? static_cast<unsigned>(std::llround(memory->at(script_now()))) : 0;
  *rates = result;
  return kSuccess;
}
FAKE(nvmlDeviceGetTemperature, (void* device, unsigned sensor, unsigned* celsius)) {
  if (sensor != 0) return kInvalidArgument;
  return give_number("nvmlDeviceGetTemperature", device, "temp", celsius);
}
FAKE(nvmlDeviceGetTemperatureThreshold, (void* device, unsigned type, unsigned* celsius)) {
  if (type > 1) return kNotSupported;
  return give_number("nvmlDeviceGetTemperatureThreshold", device, type == 0 ? "shutdown" : "slowdown", celsius);
}
FAKE_NUMBER(nvmlDeviceGetPowerUsage, unsigned, "power", 1000)
FAKE_NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, "limit", 1000)
FAKE_NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned, "limit", 1000)
FAKE_NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, "energy", 1000)
FAKE(nvmlDeviceGetClockInfo, (void* device, unsigned type, unsigned* megahertz)) {
  if (type != 1 && type != 2) return kNotSupported;
  return give_number("nvmlDeviceGetClockInfo", device, type == 1 ? "sm_clock" : "mem_clock", megahertz);
}

static int give_throttle(const char* call, void* device, unsigned long long* reasons) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu(call, device, gpu); code != kSuccess) return code;
  if (!gpu->throttle) return kNotSupported;
  *reasons = *gpu->throttle;
  return kSuccess;
}
FAKE(nvmlDeviceGetCurrentClocksThrottleReasons, (void* device, unsigned long long* reasons)) {
  return give_throttle("nvmlDeviceGetCurrentClocksThrottleReasons", device, reasons);
}
FAKE(nvmlDeviceGetCurrentClocksEventReasons, (void* device, unsigned long long* reasons)) {
  return give_throttle("nvmlDeviceGetCurrentClocksEventReasons", device, reasons);
}

FAKE_NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, "pcie_gen", 1)
FAKE_NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned, "pcie_width", 1)
FAKE_NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, "pcie_max_gen", 1)
FAKE_NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned, "pcie_max_width", 1)

FAKE(nvmlDeviceGetTotalEccErrors, (void* device, unsigned type, unsigned, unsigned long long* count)) {
  return give_number("nvmlDeviceGetTotalEccErrors", device, type == 0 ? "ecc_corrected" : "ecc_uncorrected", count);
}
FAKE(nvmlDeviceGetRemappedRows,
     (void* device, unsigned* corrected, unsigned* uncorrected, unsigned* pending, unsigned* failed)) {
  const char* const call = "nvmlDeviceGetRemappedRows";
  if (const int code = give_number(call, device, "rows_corrected", corrected); code != kSuccess) return code;
  give_number(call, device, "rows_uncorrected", uncorrected);
  give_number(call, device, "rows_pending", pending);
  return give_number(call, device, "rows_failed", failed);
}
FAKE(nvmlDeviceGetMaxMigDeviceCount, (void* device, unsigned* count)) {
  unsigned mode = 0;
  const int code = give_number("nvmlDeviceGetMaxMigDeviceCount", device, "mig", &mode);
  if (code == kSuccess) *count = mode == 1 ? kMaxInstances : 0;
  return code;
}
FAKE(nvmlDeviceGetMigDeviceHandleByIndex, (void* device, unsigned index, void** instance)) {
  const char* const call = "nvmlDeviceGetMigDeviceHandleByIndex";
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu(call, device, gpu); code != kSuccess) return code;
  if (index >= gpu->instances.size() || gpu->instances[index].uuid.empty()) return kNotFound;
  *instance = handle_of(gpu_of(device), static_cast<int>(index));
  return kSuccess;
}
FAKE(nvmlDeviceGetGpuInstanceId, (void* device, unsigned* id)) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceGetGpuInstanceId", device, gpu); code != kSuccess) return code;
  if (instance_of(device) == kWhole) return kNotSupported;
  *id = static_cast<unsigned>(instance_of(device));
  return kSuccess;
}
FAKE(nvmlDeviceGetMigMode, (void* device, unsigned* current, unsigned* pending)) {
  const int code = give_number("nvmlDeviceGetMigMode", device, "mig", current);
  if (code == kSuccess) *pending = *current;
  return code;
}

FAKE_NUMBER(nvmlDeviceGetDisplayActive, int, "display_active", 1)
FAKE_NUMBER(nvmlDeviceGetDisplayMode, int, "display_attached", 1)

FAKE(nvmlSystemGetProcessName, (unsigned pid, char* name, unsigned size)) {
  if (const int code = enter("nvmlSystemGetProcessName"); code != kSuccess) return code;
  for (const auto& [key, gpu] : world().gpus) {
    const auto process = gpu.processes.find(pid);
    if (process != gpu.processes.end() && !process->second.name.empty()) {
      return give_text(process->second.name, name, size);
    }
  }
  return kNotFound;
}
FAKE(nvmlDeviceGetComputeRunningProcesses, (void* device, unsigned* count, ProcessV1* to)) {
  return give_processes("nvmlDeviceGetComputeRunningProcesses", device, true, count, to);
}
FAKE(nvmlDeviceGetComputeRunningProcesses_v3, (void* device, unsigned* count, ProcessV2* to)) {
  return give_processes("nvmlDeviceGetComputeRunningProcesses_v3", device, true, count, to);
}
FAKE(nvmlDeviceGetGraphicsRunningProcesses, (void* device, unsigned* count, ProcessV1* to)) {
  return give_processes("nvmlDeviceGetGraphicsRunningProcesses", device, false, count, to);
}
FAKE(nvmlDeviceGetGraphicsRunningProcesses_v3, (void* device, unsigned* count, ProcessV2* to)) {
  return give_processes("nvmlDeviceGetGraphicsRunningProcesses_v3", device, false, count, to);
}

FAKE(nvmlDeviceGetFieldValues, (void* device, int count, FieldValue* values)) {
  constexpr unsigned kRecoveryAction = 230;
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceGetFieldValues", device, gpu); code != kSuccess) return code;
  for (int i = 0; i < count; ++i) {
    const auto& action = gpu->numbers.at("recovery");
    values[i].code = values[i].field == kRecoveryAction && action ? kSuccess : kNotSupported;
    values[i].type = 1;
    if (values[i].code == kSuccess) values[i].value.u = static_cast<unsigned>(action->at(script_now()));
  }
  return kSuccess;
}

FAKE(nvmlEventSetCreate, (void** set)) {
  if (const int code = enter("nvmlEventSetCreate"); code != kSuccess) return code;
  *set = event_set();
  return kSuccess;
}
FAKE(nvmlEventSetFree, (void*)) {
  watch_no_gpu();
  return enter("nvmlEventSetFree");
}
FAKE(nvmlDeviceRegisterEvents, (void* device, unsigned long long types, void* set)) {
  const Gpu* gpu = nullptr;
  if (const int code = enter_gpu("nvmlDeviceRegisterEvents", device, gpu); code != kSuccess) return code;
  if (set != event_set()) return kInvalidArgument;
  if ((types & kXidEvents) != 0) watch_for_xids(gpu_of(device));
  return kSuccess;
}

static int wait_for_event(const char* call, void* set, Event* event, unsigned timeout_ms) {
  if (set != event_set()) return kInvalidArgument;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (true) {
    if (const int code = enter(call); code != kSuccess) return code;
    if (const Xid* xid = next_xid()) {
      *event = {handle_of(xid->gpu), kXidEvents, xid->code, xid->instance, xid->instance};
      return kSuccess;
    }
    if (std::chrono::steady_clock::now() >= give_up) return kTimeout;
    wait_for_ms(5);
  }
}
FAKE(nvmlEventSetWait, (void* set, Event* event, unsigned timeout_ms)) {
  return wait_for_event("nvmlEventSetWait", set, event, timeout_ms);
}
FAKE(nvmlEventSetWait_v2, (void* set, Event* event, unsigned timeout_ms)) {
  return wait_for_event("nvmlEventSetWait_v2", set, event, timeout_ms);
}
