#include "gpu/nvml.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/format.h"
#include "base/utf8.h"
#include "gpu/nvml_internal.h"

namespace pixelfleet::gpu {
namespace nvml {
namespace {

template <class Function>
void resolve(void* library, Function& function, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (void* symbol = ::dlsym(library, name)) {
      std::memcpy(&function, &symbol, sizeof symbol);
      return;
    }
  }
}

}  // namespace

Functions find_functions(void* library) {
  Functions f;
  resolve(library, f.init, {"nvmlInit_v2", "nvmlInit"});
  resolve(library, f.shutdown, {"nvmlShutdown"});
  resolve(library, f.count, {"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"});
  resolve(library, f.handle, {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"});
  resolve(library, f.uuid, {"nvmlDeviceGetUUID"});
  resolve(library, f.name, {"nvmlDeviceGetName"});
  resolve(library, f.memory, {"nvmlDeviceGetMemoryInfo"});
  resolve(library, f.memory_v2, {"nvmlDeviceGetMemoryInfo_v2"});
  resolve(library, f.utilization, {"nvmlDeviceGetUtilizationRates"});
  resolve(library, f.temperature, {"nvmlDeviceGetTemperature"});
  resolve(library, f.power, {"nvmlDeviceGetPowerUsage"});
  return f;
}

}  // namespace nvml

namespace {

std::string reason_of(int code) {
  switch (code) {
    case nvml::kNoPermission: return "no permission to use the NVIDIA driver; check the rights of /dev/nvidia*";
    case nvml::kDriverNotLoaded:
      return "the NVIDIA driver is not loaded; load it (modprobe nvidia) or restart the machine";
    case nvml::kOperatingSystem:
      return "the operating system blocks the NVIDIA driver, as happens to containers; restart the container";
    case nvml::kVersionMismatch:
      return "the NVIDIA driver was upgraded while it was in use (library and kernel module differ); restart the "
             "machine";
    default: return format("NVIDIA's management library failed with code {}; try nvidia-smi", code);
  }
}

bool is_gone(int code) { return code == nvml::kGpuIsLost || code == nvml::kResetRequired; }

// Values that no card has are garbage of a sick driver, not readings.
std::optional<std::int64_t> sane_bytes(unsigned long long bytes, unsigned long long most) {
  if (bytes > most) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

struct MemoryReading {
  int code = nvml::kSuccess;
  std::optional<std::int64_t> total, used, free;
};

MemoryReading read_memory(const nvml::Functions& f, nvml::Device device) {
  constexpr unsigned long long kMost = 1ull << 48;
  MemoryReading reading;
  if (f.memory_v2 != nullptr) {
    nvml::MemoryV2 memory{};
    memory.version = nvml::kMemoryV2;
    reading.code = f.memory_v2(device, &memory);
    if (reading.code == nvml::kSuccess) {
      // What the driver keeps for itself is nobody's to use.
      if (memory.reserved < memory.total) memory.total -= memory.reserved;
      reading.total = sane_bytes(memory.total, kMost);
      reading.used = sane_bytes(memory.used, memory.total);
      reading.free = sane_bytes(memory.free, memory.total);
      return reading;
    }
    if (is_gone(reading.code)) return reading;
  }
  if (f.memory == nullptr) return reading;
  nvml::Memory memory{};
  reading.code = f.memory(device, &memory);
  if (reading.code == nvml::kSuccess) {
    reading.total = sane_bytes(memory.total, kMost);
    reading.used = sane_bytes(memory.used, memory.total);
    reading.free = sane_bytes(memory.free, memory.total);
  }
  return reading;
}

std::int64_t physical_memory_bytes() {
  return static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
}

void read_sensors(const nvml::Functions& f, nvml::Device device, GpuSample& sample) {
  nvml::Utilization utilization{};
  if (f.utilization != nullptr && f.utilization(device, &utilization) == nvml::kSuccess && utilization.gpu <= 100) {
    sample.utilization_ratio = utilization.gpu / 100.0;
  }
  unsigned celsius = 0;
  if (f.temperature != nullptr && f.temperature(device, nvml::kCoreTemperature, &celsius) == nvml::kSuccess &&
      celsius <= 150) {
    sample.temperature_celsius = celsius;
  }
  unsigned milliwatts = 0;
  if (f.power != nullptr && f.power(device, &milliwatts) == nvml::kSuccess && milliwatts <= 5'000'000) {
    sample.power_watts = milliwatts / 1000.0;
  }
}

// Nothing when the gpu does not answer any more.
std::optional<Reading> read_device(const nvml::Functions& f, unsigned index) {
  nvml::Device device = nullptr;
  char text[nvml::kTextBytes] = {};
  if (f.handle(index, &device) != nvml::kSuccess) return std::nullopt;
  if (f.uuid(device, text, sizeof text) != nvml::kSuccess) return std::nullopt;
  Reading reading;
  reading.gpu.uuid = reading.sample.uuid = sane_name(text, sizeof text);
  reading.gpu.index = static_cast<int>(index);
  reading.gpu.kind = GpuKind::nvidia;
  std::memset(text, 0, sizeof text);
  if (f.name != nullptr && is_gone(f.name(device, text, sizeof text))) return std::nullopt;
  reading.gpu.name = sane_name(text, sizeof text);
  const MemoryReading memory = read_memory(f, device);
  if (is_gone(memory.code)) return std::nullopt;
  // Machines whose gpu shares the memory of the host tell no size of their own.
  reading.gpu.memory_total_bytes = memory.total.value_or(physical_memory_bytes());
  reading.sample.memory_used_bytes = memory.used;
  reading.sample.memory_free_bytes = memory.free;
  read_sensors(f, device, reading.sample);
  return reading;
}

}  // namespace

std::string sane_name(const char* bytes, std::size_t size) {
  std::string name(bytes, ::strnlen(bytes, size));
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  while (const auto bad = find_invalid_utf8(name)) name[*bad] = '?';
  const auto first = name.find_first_not_of(' ');
  if (first == std::string::npos) return "NVIDIA gpu";
  return name.substr(first, name.find_last_not_of(' ') - first + 1);
}

Nvml::Nvml(void* library, std::unique_ptr<nvml::Functions> functions)
    : library_(library), functions_(std::move(functions)) {}

Nvml::~Nvml() {
  functions_->shutdown();
  ::dlclose(library_);
}

std::unique_ptr<Nvml> Nvml::open(const std::string& name, Report& why_not) {
  void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    why_not = {Driver::absent, format("no NVIDIA driver is installed: {}", ::dlerror()), {}};
    return nullptr;
  }
  auto functions = std::make_unique<nvml::Functions>(nvml::find_functions(library));
  why_not = {Driver::failing, format("{} lacks functions of NVIDIA's management library", name), {}};
  if (functions->usable()) {
    const int code = functions->init();
    if (code == nvml::kSuccess) return std::unique_ptr<Nvml>(new Nvml(library, std::move(functions)));
    why_not.reason = reason_of(code);
  }
  ::dlclose(library);
  return nullptr;
}

Report Nvml::read() {
  unsigned count = 0;
  const int code = functions_->count(&count);
  if (code == nvml::kNoGpu) return {};
  if (code != nvml::kSuccess) return {Driver::failing, reason_of(code), {}};
  Report report;
  for (unsigned i = 0; i < std::min(count, nvml::kMaxDevices); ++i) {
    if (auto reading = read_device(*functions_, i)) report.readings.push_back(std::move(*reading));
  }
  return report;
}

}  // namespace pixelfleet::gpu
