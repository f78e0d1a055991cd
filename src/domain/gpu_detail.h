// GpuDetail: what a gpu tells beyond its memory, load and heat. As in GpuSample, absent means unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pixelfleet {

// A process on a gpu, of anybody. Inside a container the pid may be of another namespace.
struct GpuProcess {
  enum class Kind { compute, graphics };
  std::int64_t pid = 0;
  Kind kind = Kind::compute;
  std::optional<std::int64_t> memory_used_bytes;
  std::string name = {};  // empty when unknown

  friend bool operator==(const GpuProcess&, const GpuProcess&) = default;
};

// An error that the driver reported, and how often, since the last sample.
struct GpuXid {
  int code = 0;
  int count = 0;

  friend bool operator==(const GpuXid&, const GpuXid&) = default;
};

// What the driver asks for; drivers before 2024 do not say.
enum class GpuRecovery { none, reset, reboot, drain_p2p, drain_and_reset };

struct GpuDetail {
  std::string pci_bus_id;   // empty when unknown
  std::string parent_uuid;  // of a MIG instance: the gpu that it is a part of; empty for whole ones
  std::optional<std::int64_t> memory_reserved_bytes;
  std::optional<double> memory_utilization_ratio;  // of the memory's bandwidth
  std::optional<double> temperature_slowdown_celsius;
  std::optional<double> temperature_shutdown_celsius;
  std::optional<double> power_limit_watts;
  std::optional<double> energy_joules;  // since the driver was loaded
  std::optional<double> sm_clock_hertz;
  std::optional<double> memory_clock_hertz;
  std::optional<std::vector<std::string>> throttle_reasons;  // "hw_thermal" and so on; empty: runs freely
  std::optional<std::int64_t> pcie_generation;
  std::optional<std::int64_t> pcie_width;
  std::optional<std::int64_t> pcie_generation_max;
  std::optional<std::int64_t> pcie_width_max;
  std::optional<std::int64_t> ecc_corrected;  // memory errors since the driver was loaded
  std::optional<std::int64_t> ecc_uncorrected;
  std::optional<std::int64_t> rows_remapped_corrected;
  std::optional<std::int64_t> rows_remapped_uncorrected;
  std::optional<bool> rows_remapping_pending;  // done at the next reset
  std::optional<bool> rows_remapping_failed;
  std::optional<bool> mig_enabled;
  std::optional<bool> display_active;  // it drives a display
  std::optional<std::vector<GpuProcess>> processes;
  std::optional<GpuRecovery> recovery_action;
  std::vector<GpuXid> xids;
  std::optional<int> driver_code;  // NVML's code when the gpu does not answer (15: lost, 16: reset required)

  friend bool operator==(const GpuDetail&, const GpuDetail&) = default;
};

// Every plain value of a detail with its name.
template <class Detail, class Visit>
void for_each_value(Detail& detail, Visit visit) {
  visit("memory_reserved_bytes", detail.memory_reserved_bytes);
  visit("memory_utilization_ratio", detail.memory_utilization_ratio);
  visit("temperature_slowdown_celsius", detail.temperature_slowdown_celsius);
  visit("temperature_shutdown_celsius", detail.temperature_shutdown_celsius);
  visit("power_limit_watts", detail.power_limit_watts);
  visit("energy_joules", detail.energy_joules);
  visit("sm_clock_hertz", detail.sm_clock_hertz);
  visit("memory_clock_hertz", detail.memory_clock_hertz);
  visit("pcie_generation", detail.pcie_generation);
  visit("pcie_width", detail.pcie_width);
  visit("pcie_generation_max", detail.pcie_generation_max);
  visit("pcie_width_max", detail.pcie_width_max);
  visit("ecc_corrected", detail.ecc_corrected);
  visit("ecc_uncorrected", detail.ecc_uncorrected);
  visit("rows_remapped_corrected", detail.rows_remapped_corrected);
  visit("rows_remapped_uncorrected", detail.rows_remapped_uncorrected);
  visit("rows_remapping_pending", detail.rows_remapping_pending);
  visit("rows_remapping_failed", detail.rows_remapping_failed);
  visit("mig_enabled", detail.mig_enabled);
  visit("display_active", detail.display_active);
}

std::string_view name(GpuRecovery recovery);
std::optional<GpuRecovery> gpu_recovery_from(std::string_view text);

}  // namespace pixelfleet
