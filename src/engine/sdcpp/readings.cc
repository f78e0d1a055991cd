#include "engine/sdcpp/readings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace pixelfleet::engine::sdcpp {

std::uint64_t resident_bytes() {
  std::FILE* statm = std::fopen("/proc/self/statm", "re");
  if (statm == nullptr) return 0;
  unsigned long total = 0, resident = 0;
  const int fields = std::fscanf(statm, "%lu %lu", &total, &resident);
  std::fclose(statm);
  return fields == 2 ? resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

bool mentions_memory(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    for (const std::string_view sign : {"out of memory", "failed to allocate", "alloc_buffer", "not enough memory",
                                        "cudaMalloc failed", "ErrorOutOfDeviceMemory"}) {
      if (line.find(sign) != std::string::npos) return true;
    }
  }
  return false;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  if (const std::size_t dash = text.find(" - "); dash != std::string_view::npos && dash < 40)
    text.remove_prefix(dash + 3);
  return text;
}

bool is_black(const std::vector<std::uint8_t>& rgb) {
  return std::all_of(rgb.begin(), rgb.end(), [](std::uint8_t value) { return value == 0; });
}

std::vector<std::uint8_t> enlarged(const sd_image_t& from, std::uint32_t factor) {
  const std::uint32_t width = from.width * factor, height = from.height * factor;
  std::vector<std::uint8_t> to(std::size_t{3} * width * height);
  const auto position = [&](std::uint32_t at, std::uint32_t limit, std::uint32_t& low, std::uint32_t& high) {
    const float exact = std::max(0.0f, (static_cast<float>(at) + 0.5f) / static_cast<float>(factor) - 0.5f);
    low = std::min(static_cast<std::uint32_t>(exact), limit - 1);
    high = std::min(low + 1, limit - 1);
    return exact - static_cast<float>(low);
  };
  std::uint8_t* out = to.data();
  for (std::uint32_t y = 0; y < height; ++y) {
    std::uint32_t y0 = 0, y1 = 0;
    const float ty = position(y, from.height, y0, y1);
    for (std::uint32_t x = 0; x < width; ++x) {
      std::uint32_t x0 = 0, x1 = 0;
      const float tx = position(x, from.width, x0, x1);
      for (std::uint32_t c = 0; c < 3; ++c) {
        const auto at = [&](std::uint32_t px, std::uint32_t py) {
          return static_cast<float>(from.data[(std::size_t{py} * from.width + px) * from.channel + c]);
        };
        const float top = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * tx;
        const float bottom = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * tx;
        *out++ = static_cast<std::uint8_t>(top + (bottom - top) * ty + 0.5f);
      }
    }
  }
  return to;
}

}  // namespace pixelfleet::engine::sdcpp
