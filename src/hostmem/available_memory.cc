#include "hostmem/available_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace pixelfleet::hostmem {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

std::optional<std::int64_t> machine_bytes(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/meminfo");
  std::string key;
  std::int64_t kib = 0;
  while (file >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// A number, or "max" for none.
std::int64_t limit_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : kNoLimit;
}

// Of this cgroup and all above it: each may be the narrow one.
std::int64_t limit_along(const std::filesystem::path& mount, std::string group, const char* name) {
  std::int64_t limit = limit_in(mount / name);  // inside a container its own group is the mount itself
  for (;;) {
    const std::size_t start = group.find_first_not_of('/');
    if (start == std::string::npos) return limit;
    limit = std::min(limit, limit_in(mount / group.substr(start) / name));
    group.erase(std::min(group.find_last_of('/'), group.size()));
  }
}

std::int64_t cgroup_bytes(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  std::int64_t limit = kNoLimit;
  for (std::string line; std::getline(file, line);) {  // NUMBER:CONTROLLERS:GROUP
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") {
      limit = std::min(limit, limit_along(root / "sys/fs/cgroup", group, "memory.max"));
    } else if (controllers.find(",memory,") != std::string::npos) {
      limit = std::min(limit, limit_along(root / "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

}  // namespace

std::int64_t available_bytes(const std::filesystem::path& root) {
  const std::int64_t bytes = std::min(machine_bytes(root).value_or(kNoLimit), cgroup_bytes(root));
  return bytes == kNoLimit ? 0 : bytes;
}

std::int64_t default_limit_bytes(const std::filesystem::path& root) { return available_bytes(root) / 2; }

}  // namespace pixelfleet::hostmem
