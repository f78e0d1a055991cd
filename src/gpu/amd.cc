#include "gpu/amd.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "base/format.h"
#include "gpu/nvml.h"

namespace pixelfleet::gpu {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kVendor = "0x1002";
constexpr std::int64_t kLeastMemory = std::int64_t{2} << 30;
constexpr std::int64_t kMostMemory = std::int64_t{1} << 48;

// The first line of a file, without blanks around it; empty when there is none.
std::string text_in(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  const auto first = line.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

std::optional<std::int64_t> number_in(const fs::path& file, std::int64_t most) {
  const std::string text = text_in(file);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most) return std::nullopt;
  return value;
}

// The first of several files that holds a number, times `unit`.
std::optional<double> scaled(std::initializer_list<fs::path> files, std::int64_t most, double unit) {
  for (const fs::path& file : files) {
    if (const auto value = number_in(file, most)) return static_cast<double>(*value) * unit;
  }
  return std::nullopt;
}

// Paths in a folder whose names begin with `prefix`, in order; none when it cannot be read.
std::vector<fs::path> entries(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (entry->path().filename().string().starts_with(prefix)) found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool is_card(const fs::path& path) {  // "card0", not its connector "card0-DP-1"
  const std::string name = path.filename().string();
  return name.size() > 4 && std::all_of(name.begin() + 4, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_pci_address(const std::string& text) {  // 0000:03:00.0
  return text.size() == 12 && text[4] == ':' && text[7] == ':' && text[10] == '.';
}

std::string pci_address(const fs::path& device) {
  std::ifstream in(device / "uevent");
  constexpr std::string_view kKey = "PCI_SLOT_NAME=";
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(kKey) && is_pci_address(line.substr(kKey.size()))) return line.substr(kKey.size());
  }
  std::error_code failed;
  const std::string name = fs::canonical(device, failed).filename().string();
  return !failed && is_pci_address(name) ? name : "";
}

std::string unique_id(const fs::path& device) {
  const std::string text = text_in(device / "unique_id");
  const bool hex = text.find_first_not_of("0123456789abcdef") == std::string::npos;
  const bool counts = text.find_first_not_of('0') != std::string::npos;
  return hex && counts && text.size() <= 16 ? text : "";
}

std::string name_of(const fs::path& device) {
  const std::string product = text_in(device / "product_name");
  if (!product.empty()) return sane_name(product.data(), product.size());
  const std::string id = text_in(device / "device");
  return id.empty() ? "AMD gpu" : "AMD gpu " + sane_name(id.data(), id.size());
}

// "16.0 GT/s PCIe"
std::optional<std::int64_t> pcie_generation(const fs::path& file) {
  constexpr std::array<std::string_view, 6> kSpeeds = {"2.5 ", "5.0 ", "8.0 ", "16.0 ", "32.0 ", "64.0 "};
  const std::string text = text_in(file);
  for (std::size_t i = 0; i < kSpeeds.size(); ++i) {
    if (text.starts_with(kSpeeds[i])) return static_cast<std::int64_t>(i) + 1;
  }
  return std::nullopt;
}

void read_sensors(const fs::path& device, GpuSample& sample) {
  constexpr std::int64_t kMostMillidegrees = 150'000, kMostMicrowatts = 5'000'000'000, kMostHertz = 100'000'000'000;
  const auto sensors = entries(device / "hwmon", "hwmon");
  if (sensors.empty()) return;
  const fs::path& hwmon = sensors.front();
  sample.temperature_celsius = scaled({hwmon / "temp1_input"}, kMostMillidegrees, 1e-3);
  sample.power_watts = scaled({hwmon / "power1_average", hwmon / "power1_input"}, kMostMicrowatts, 1e-6);
  GpuDetail& detail = sample.detail;
  detail.temperature_slowdown_celsius = scaled({hwmon / "temp1_crit"}, kMostMillidegrees, 1e-3);
  detail.temperature_shutdown_celsius = scaled({hwmon / "temp1_emergency"}, kMostMillidegrees, 1e-3);
  detail.power_limit_watts = scaled({hwmon / "power1_cap"}, kMostMicrowatts, 1e-6);
  detail.sm_clock_hertz = scaled({hwmon / "freq1_input"}, kMostHertz, 1);
  detail.memory_clock_hertz = scaled({hwmon / "freq2_input"}, kMostHertz, 1);
}

void read_link(const fs::path& device, GpuDetail& detail) {
  constexpr std::int64_t kMostLanes = 64;
  detail.pcie_generation = pcie_generation(device / "current_link_speed");
  detail.pcie_generation_max = pcie_generation(device / "max_link_speed");
  detail.pcie_width = number_in(device / "current_link_width", kMostLanes);
  detail.pcie_width_max = number_in(device / "max_link_width", kMostLanes);
}

std::optional<bool> drives_display(const fs::path& card) {
  const auto connectors = entries(card.parent_path(), card.filename().string() + "-");
  if (connectors.empty()) return std::nullopt;
  return std::any_of(connectors.begin(), connectors.end(),
                     [](const fs::path& connector) { return text_in(connector / "status") == "connected"; });
}

std::optional<Reading> read_card(const fs::path& card) {
  const fs::path device = card / "device";
  if (text_in(device / "vendor") != kVendor) return std::nullopt;
  const auto total = number_in(device / "mem_info_vram_total", kMostMemory);
  if (!total || *total < kLeastMemory) return std::nullopt;
  Reading reading;
  GpuSample& sample = reading.sample;
  reading.gpu.kind = GpuKind::amd;
  reading.gpu.name = name_of(device);
  reading.gpu.memory_total_bytes = *total;
  sample.memory_used_bytes = number_in(device / "mem_info_vram_used", *total);
  if (sample.memory_used_bytes) sample.memory_free_bytes = *total - *sample.memory_used_bytes;
  sample.utilization_ratio = scaled({device / "gpu_busy_percent"}, 100, 0.01);
  sample.detail.memory_utilization_ratio = scaled({device / "mem_busy_percent"}, 100, 0.01);
  sample.detail.pci_bus_id = pci_address(device);
  sample.detail.display_active = drives_display(card);
  read_sensors(device, sample);
  read_link(device, sample.detail);
  const std::string id = unique_id(device);
  const std::string& place = sample.detail.pci_bus_id;
  reading.gpu.uuid = !id.empty() ? "GPU-" + id : "AMD-" + (place.empty() ? card.filename().string() : place);
  return reading;
}

}  // namespace

std::vector<Reading> read_amd_gpus(const fs::path& sysfs) {
  std::vector<Reading> readings;
  for (const fs::path& card : entries(sysfs / "class/drm", "card")) {
    auto reading = is_card(card) ? read_card(card) : std::nullopt;
    if (!reading) continue;
    const bool taken = std::any_of(readings.begin(), readings.end(),
                                   [&](const Reading& other) { return other.gpu.uuid == reading->gpu.uuid; });
    const std::string& place = reading->sample.detail.pci_bus_id;
    if (taken) reading->gpu.uuid = "AMD-" + (place.empty() ? card.filename().string() : place);
    reading->sample.uuid = reading->gpu.uuid;
    readings.push_back(std::move(*reading));
  }
  std::stable_sort(readings.begin(), readings.end(), [](const Reading& a, const Reading& b) {
    return a.sample.detail.pci_bus_id < b.sample.detail.pci_bus_id;
  });
  for (std::size_t i = 0; i < readings.size(); ++i) readings[i].gpu.index = static_cast<int>(i);
  return readings;
}

Report with_amd_gpus(Report nvidia, std::vector<Reading> amd) {
  if (amd.empty()) return nvidia;
  if (nvidia.driver == Driver::absent) nvidia = Report{};
  if (nvidia.driver != Driver::working) return nvidia;
  int next = 0;
  for (const Reading& reading : nvidia.readings) next = std::max(next, reading.gpu.index + 1);
  for (const FailingGpu& failing : nvidia.failing) next = std::max(next, failing.index + 1);
  for (Reading& reading : amd) {
    reading.gpu.index += next;
    nvidia.readings.push_back(std::move(reading));
  }
  return nvidia;
}

}  // namespace pixelfleet::gpu
