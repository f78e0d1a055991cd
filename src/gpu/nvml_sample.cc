#include <algorithm>
#include <array>
#include <cstring>

#include "gpu/nvml.h"
#include "gpu/nvml_internal.h"

namespace pixelfleet::gpu::nvml {
namespace {

// Values that no card has are garbage of a sick driver, not readings.
constexpr unsigned long long kMostBytes = 1ull << 48;
constexpr unsigned long long kMostCount = 1ull << 50;
constexpr double kMostWatts = 5'000;
constexpr double kMostCelsius = 150;
constexpr double kMostHertz = 1e11;
constexpr double kMostJoules = 1e15;

std::optional<std::int64_t> whole(int code, unsigned long long value, unsigned long long most) {
  if (code != kSuccess || value > most) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<double> scaled(int code, unsigned long long value, double unit, double most) {
  const double result = static_cast<double>(value) * unit;
  if (code != kSuccess || result > most) return std::nullopt;
  return result;
}

std::optional<bool> flag(int code, unsigned value) {
  if (code != kSuccess || value > 1) return std::nullopt;
  return value == 1;
}

// Reads one gpu, and remembers the first call that found it gone.
class DeviceReader {
 public:
  DeviceReader(const Functions& functions, Device device) : f_(functions), device_(device) {}

  int gone() const { return gone_; }
  void read_memory(GpuSample& sample, MemorySize& memory);
  void read_load(GpuSample& sample);
  void read_power(GpuSample& sample);
  void read_clocks(GpuDetail& detail);
  void read_link(GpuDetail& detail);
  void read_errors(GpuDetail& detail);
  void read_display(GpuDetail& detail);
  void read_processes(GpuDetail& detail);
  std::string process_name(std::int64_t pid) const;
  void read_recovery(GpuDetail& detail);

 private:
  // Calls `function` for this gpu, unless it is known to be gone: a lost card makes every call slow.
  template <class... Parameters, class... Arguments>
  int call(const Function<Device, Parameters...>& function, Arguments... arguments) {
    if (gone_ != kSuccess) return gone_;
    const int code = function(device_, arguments...);
    if (is_gone(code)) gone_ = code;
    return code;
  }

  void keep_memory(GpuSample& sample, MemorySize& memory, const MemoryV2& read) const;
  std::optional<double> celsius(const Function<Device, unsigned, unsigned*>& function, unsigned which);
  std::optional<std::int64_t> link(const Function<Device, unsigned*>& function);
  template <class Entry>
  int list(const Function<Device, unsigned*, Entry*>& function, GpuProcess::Kind kind, std::vector<GpuProcess>& to);
  void read_pci(GpuDetail& detail);

  const Functions& f_;
  const Device device_;
  int gone_ = kSuccess;
};

void DeviceReader::keep_memory(GpuSample& sample, MemorySize& memory, const MemoryV2& read) const {
  const auto total = whole(kSuccess, read.total, kMostBytes);
  if (!total || *total == 0) return;
  memory.bytes = total;
  sample.memory_used_bytes = whole(kSuccess, read.used, read.total);
  sample.memory_free_bytes = whole(kSuccess, read.free, read.total);
}

void DeviceReader::read_memory(GpuSample& sample, MemorySize& memory) {
  MemoryV2 newer{};
  newer.version = kMemoryV2;
  memory.code = call(f_.memory_v2, &newer);
  if (memory.code == kSuccess) {
    sample.detail.memory_reserved_bytes = whole(kSuccess, newer.reserved, std::min(newer.total, kMostBytes));
    // What the driver keeps for itself is nobody's to use.
    if (newer.reserved < newer.total && newer.total <= kMostBytes) newer.total -= newer.reserved;
    keep_memory(sample, memory, newer);
    return;
  }
  Memory older{};
  memory.code = call(f_.memory, &older);
  if (memory.code == kSuccess) keep_memory(sample, memory, {0, older.total, 0, older.free, older.used});
}

std::optional<double> DeviceReader::celsius(const Function<Device, unsigned, unsigned*>& function, unsigned which) {
  unsigned value = 0;
  const int code = call(function, which, &value);
  return scaled(code, value, 1, kMostCelsius);
}

void DeviceReader::read_load(GpuSample& sample) {
  Utilization utilization{};
  const int code = call(f_.utilization, &utilization);
  sample.utilization_ratio = scaled(code, utilization.gpu, 0.01, 1);
  sample.detail.memory_utilization_ratio = scaled(code, utilization.memory, 0.01, 1);
  sample.temperature_celsius = celsius(f_.temperature, kCoreTemperature);
  sample.detail.temperature_slowdown_celsius = celsius(f_.threshold, kSlowdownThreshold);
  sample.detail.temperature_shutdown_celsius = celsius(f_.threshold, kShutdownThreshold);
}

void DeviceReader::read_power(GpuSample& sample) {
  unsigned power = 0;
  const int power_code = call(f_.power, &power);
  sample.power_watts = scaled(power_code, power, 0.001, kMostWatts);
  unsigned limit = 0;
  const int limit_code = call(f_.power_limit, &limit);
  sample.detail.power_limit_watts = scaled(limit_code, limit, 0.001, kMostWatts);
  unsigned long long energy = 0;
  const int energy_code = call(f_.energy, &energy);
  sample.detail.energy_joules = scaled(energy_code, energy, 0.001, kMostJoules);
}

std::vector<std::string> throttle_names(unsigned long long bits) {
  // In the order of their bits; the names are those of the driver's own tool, shortened.
  constexpr std::array kNames = {"idle",       "clocks_setting", "sw_power_cap",   "hw_slowdown", "sync_boost",
                                 "sw_thermal", "hw_thermal",     "hw_power_brake", "display"};
  std::vector<std::string> names;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((bits >> bit & 1) != 0) names.emplace_back(kNames[bit]);
  }
  return names;
}

void DeviceReader::read_clocks(GpuDetail& detail) {
  unsigned sm = 0;
  const int sm_code = call(f_.clock, kSmClock, &sm);
  detail.sm_clock_hertz = scaled(sm_code, sm, 1e6, kMostHertz);
  unsigned memory = 0;
  const int memory_code = call(f_.clock, kMemoryClock, &memory);
  detail.memory_clock_hertz = scaled(memory_code, memory, 1e6, kMostHertz);
  unsigned long long reasons = 0;
  if (call(f_.throttle, &reasons) == kSuccess) detail.throttle_reasons = throttle_names(reasons);
}

std::optional<std::int64_t> DeviceReader::link(const Function<Device, unsigned*>& function) {
  constexpr unsigned kMost = 64;
  unsigned value = 0;
  const int code = call(function, &value);
  return value == 0 ? std::nullopt : whole(code, value, kMost);
}

void DeviceReader::read_pci(GpuDetail& detail) {
  Pci pci{};
  if (call(f_.pci, &pci) == kSuccess) {
    detail.pci_bus_id = sane_name(pci.bus_id, sizeof pci.bus_id);
  } else if (call(f_.old_pci, &pci) == kSuccess) {
    detail.pci_bus_id = sane_name(pci.legacy_bus_id, sizeof pci.legacy_bus_id);
  }
}

void DeviceReader::read_link(GpuDetail& detail) {
  read_pci(detail);
  detail.pcie_generation = link(f_.pcie_generation);
  detail.pcie_width = link(f_.pcie_width);
  detail.pcie_generation_max = link(f_.pcie_generation_max);
  detail.pcie_width_max = link(f_.pcie_width_max);
}

void DeviceReader::read_errors(GpuDetail& detail) {
  unsigned long long count = 0;
  int code = call(f_.ecc, kCorrectedErrors, kSinceDriverLoad, &count);
  detail.ecc_corrected = whole(code, count, kMostCount);
  code = call(f_.ecc, kUncorrectedErrors, kSinceDriverLoad, &count);
  detail.ecc_uncorrected = whole(code, count, kMostCount);
  unsigned corrected = 0, uncorrected = 0, pending = 0, failed = 0;
  constexpr unsigned kMostRows = 1u << 20;
  code = call(f_.remapped_rows, &corrected, &uncorrected, &pending, &failed);
  detail.rows_remapped_corrected = whole(code, corrected, kMostRows);
  detail.rows_remapped_uncorrected = whole(code, uncorrected, kMostRows);
  detail.rows_remapping_pending = flag(code, pending);
  detail.rows_remapping_failed = flag(code, failed);
  unsigned mig = 0, mig_pending = 0;
  code = call(f_.mig, &mig, &mig_pending);
  detail.mig_enabled = flag(code, mig);
}

// A screen at it, or a desktop on it: either will do, and either may be all that the driver tells.
void DeviceReader::read_display(GpuDetail& detail) {
  for (const auto* function : {&f_.display_active, &f_.display_attached}) {
    int value = 0;
    const int code = call(*function, &value);
    const auto drives = flag(code, static_cast<unsigned>(value));
    if (drives) detail.display_active = *drives || detail.display_active.value_or(false);
  }
}

template <class Entry>
int DeviceReader::list(const Function<Device, unsigned*, Entry*>& function, GpuProcess::Kind kind,
                       std::vector<GpuProcess>& to) {
  constexpr unsigned kMost = 1024;
  std::vector<Entry> entries(32);
  auto count = static_cast<unsigned>(entries.size());
  int code = call(function, &count, entries.data());
  if (code == kInsufficientSize) {
    // Some may come between two calls.
    entries.resize(std::min(count, kMost) + 16);
    count = static_cast<unsigned>(entries.size());
    code = call(function, &count, entries.data());
  }
  if (code != kSuccess) return code;
  entries.resize(std::min<std::size_t>(count, entries.size()));
  for (const Entry& entry : entries) to.push_back({entry.pid, kind, whole(kSuccess, entry.used, kMostBytes)});
  return kSuccess;
}

void DeviceReader::read_processes(GpuDetail& detail) {
  std::vector<GpuProcess> processes;
  bool compute = list(f_.compute, GpuProcess::Kind::compute, processes) == kSuccess;
  compute = compute || list(f_.old_compute, GpuProcess::Kind::compute, processes) == kSuccess;
  // Who computes is what counts; machines without graphics may not answer the second question.
  if (!compute) return;
  if (list(f_.graphics, GpuProcess::Kind::graphics, processes) != kSuccess) {
    list(f_.old_graphics, GpuProcess::Kind::graphics, processes);
  }
  for (GpuProcess& process : processes) process.name = process_name(process.pid);
  detail.processes = std::move(processes);
}

// The program's name without its path; empty when the driver does not know the process, as in containers.
std::string DeviceReader::process_name(std::int64_t pid) const {
  char text[256] = {};
  if (f_.process_name(static_cast<unsigned>(pid), text, sizeof text) != kSuccess || text[0] == '\0') return "";
  const std::string path = sane_name(text, sizeof text);
  return path.substr(path.find_last_of('/') + 1);
}

void DeviceReader::read_recovery(GpuDetail& detail) {
  FieldValue value{};
  value.field = kRecoveryActionField;
  if (call(f_.fields, 1, &value) != kSuccess || value.code != kSuccess) return;
  if (value.value.as_unsigned <= static_cast<unsigned>(GpuRecovery::drain_and_reset)) {
    detail.recovery_action = static_cast<GpuRecovery>(value.value.as_unsigned);
  }
}

}  // namespace

int read_sample(const Functions& functions, Device device, GpuSample& sample, MemorySize& memory) {
  DeviceReader reader(functions, device);
  reader.read_memory(sample, memory);
  reader.read_load(sample);
  reader.read_power(sample);
  reader.read_clocks(sample.detail);
  reader.read_link(sample.detail);
  reader.read_errors(sample.detail);
  reader.read_display(sample.detail);
  reader.read_processes(sample.detail);
  reader.read_recovery(sample.detail);
  return reader.gone();
}

}  // namespace pixelfleet::gpu::nvml
