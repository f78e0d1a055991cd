// How much host memory this process may count on: what the machine has available, within its cgroup's limit.
#pragma once

#include <cstdint>
#include <filesystem>

namespace pixelfleet::hostmem {

// The smaller of the two; 0 when neither can be read. `root` is where /proc and /sys are looked for.
std::int64_t available_bytes(const std::filesystem::path& root = "/");

// What staged files may take where nobody says otherwise: half of it.
std::int64_t default_limit_bytes(const std::filesystem::path& root = "/");

}  // namespace pixelfleet::hostmem
