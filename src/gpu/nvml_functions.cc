#include <dlfcn.h>

#include <cstring>

#include "gpu/nvml_internal.h"

namespace pixelfleet::gpu::nvml {
namespace {

// Finds functions in a library; a name that is not there leaves the pointer null.
struct Finder {
  void* library;

  template <class Pointer>
  void find(Pointer& pointer, const char* name) const {
    if (void* symbol = ::dlsym(library, name)) std::memcpy(&pointer, &symbol, sizeof symbol);
  }
  template <class... Parameters>
  void operator()(Function<Parameters...>& function, const char* newest, const char* older = nullptr) const {
    find(function.newest, newest);
    if (older != nullptr) find(function.older, older);
  }
};

}  // namespace

Functions find_functions(void* library) {
  const Finder find{library};
  Functions f;
  find(f.init, "nvmlInit_v2", "nvmlInit");
  find(f.shutdown, "nvmlShutdown");
  find(f.driver_version, "nvmlSystemGetDriverVersion");
  find(f.cuda_version, "nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion");
  find(f.count, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount");
  find(f.handle, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex");
  find(f.uuid, "nvmlDeviceGetUUID");
  find(f.name, "nvmlDeviceGetName");
  find(f.pci, "nvmlDeviceGetPciInfo_v3");
  find(f.old_pci, "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo");
  find(f.memory, "nvmlDeviceGetMemoryInfo");
  find(f.memory_v2, "nvmlDeviceGetMemoryInfo_v2");
  find(f.utilization, "nvmlDeviceGetUtilizationRates");
  find(f.temperature, "nvmlDeviceGetTemperature");
  find(f.threshold, "nvmlDeviceGetTemperatureThreshold");
  find(f.clock, "nvmlDeviceGetClockInfo");
  find(f.power, "nvmlDeviceGetPowerUsage");
  find(f.power_limit, "nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementLimit");
  find(f.energy, "nvmlDeviceGetTotalEnergyConsumption");
  find(f.throttle, "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons");
  find(f.pcie_generation, "nvmlDeviceGetCurrPcieLinkGeneration");
  find(f.pcie_width, "nvmlDeviceGetCurrPcieLinkWidth");
  find(f.pcie_generation_max, "nvmlDeviceGetMaxPcieLinkGeneration");
  find(f.pcie_width_max, "nvmlDeviceGetMaxPcieLinkWidth");
  find(f.ecc, "nvmlDeviceGetTotalEccErrors");
  find(f.remapped_rows, "nvmlDeviceGetRemappedRows");
  find(f.mig, "nvmlDeviceGetMigMode");
  find(f.most_instances, "nvmlDeviceGetMaxMigDeviceCount");
  find(f.instance, "nvmlDeviceGetMigDeviceHandleByIndex");
  find(f.instance_id, "nvmlDeviceGetGpuInstanceId");
  find(f.display_active, "nvmlDeviceGetDisplayActive");
  find(f.display_attached, "nvmlDeviceGetDisplayMode");
  find(f.process_name, "nvmlSystemGetProcessName");
  find(f.compute, "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2");
  find(f.old_compute, "nvmlDeviceGetComputeRunningProcesses");
  find(f.graphics, "nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2");
  find(f.old_graphics, "nvmlDeviceGetGraphicsRunningProcesses");
  find(f.fields, "nvmlDeviceGetFieldValues");
  find(f.create_events, "nvmlEventSetCreate");
  find(f.free_events, "nvmlEventSetFree");
  find(f.register_events, "nvmlDeviceRegisterEvents");
  find(f.wait_for_event, "nvmlEventSetWait_v2", "nvmlEventSetWait");
  return f;
}

}  // namespace pixelfleet::gpu::nvml
