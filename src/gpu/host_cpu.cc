#include "gpu/host_cpu.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "gpu/nvml.h"

namespace pixelfleet::gpu {
namespace {

// "KEY : value" or "KEY: value" of a /proc file.
std::optional<std::string> value_of(const char* file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || !line.starts_with(key)) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? std::string() : line.substr(start);
  }
  return std::nullopt;
}

std::optional<std::int64_t> number_in(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

std::optional<std::int64_t> memory_bytes(std::string_view key) {
  const auto text = value_of("/proc/meminfo", key);
  const auto kibibytes = text ? number_in(*text) : std::nullopt;
  if (!kibibytes) return std::nullopt;
  return *kibibytes * 1024;
}

// A file of our own cgroup (version 2) that holds one number; "max" and absence are nothing.
std::optional<std::int64_t> cgroup_number(const char* name) {
  std::ifstream membership("/proc/self/cgroup");
  std::string line;
  while (std::getline(membership, line)) {
    if (!line.starts_with("0::")) continue;
    for (const std::string& directory : {"/sys/fs/cgroup" + line.substr(3), std::string("/sys/fs/cgroup")}) {
      std::ifstream in(directory + "/" + name);
      std::string text;
      if (in >> text) return number_in(text);
    }
  }
  return std::nullopt;
}

}  // namespace

Gpu HostCpu::describe() {
  const auto name = value_of("/proc/cpuinfo", "model name");
  Gpu gpu{"cpu-0", 0, name ? sane_name(name->data(), name->size()) : "CPU", GpuKind::cpu, 0};
  gpu.memory_total_bytes = memory_bytes("MemTotal").value_or(0);
  if (const auto limit = cgroup_number("memory.max"); limit && *limit > 0) {
    gpu.memory_total_bytes = std::min(gpu.memory_total_bytes, *limit);
  }
  return gpu;
}

GpuSample HostCpu::sample(const GpuUuid& uuid) {
  GpuSample sample;
  sample.uuid = uuid;
  const auto total = memory_bytes("MemTotal"), available = memory_bytes("MemAvailable");
  if (total && available) {
    sample.memory_used_bytes = *total - *available;
    sample.memory_free_bytes = *available;
  }
  const auto limit = cgroup_number("memory.max"), current = cgroup_number("memory.current");
  if (limit && current && total && *limit < *total) {
    sample.memory_used_bytes = *current;
    sample.memory_free_bytes = std::clamp<std::int64_t>(*limit - *current, 0, available.value_or(*limit));
  }

  // cpu user nice system idle iowait irq softirq steal ...
  std::ifstream stat("/proc/stat");
  std::string label;
  std::int64_t busy = 0, sum = 0, ticks = 0;
  stat >> label;
  for (int field = 0; field < 8 && stat >> ticks; ++field) {
    sum += ticks;
    if (field != 3 && field != 4) busy += ticks;
  }
  if (total_ >= 0 && sum > total_) {
    sample.utilization_ratio =
        std::clamp(static_cast<double>(busy - busy_) / static_cast<double>(sum - total_), 0.0, 1.0);
  }
  busy_ = busy;
  total_ = sum;
  return sample;
}

}  // namespace pixelfleet::gpu
