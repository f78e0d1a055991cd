// Nvml: NVIDIA's management library, loaded at run time.
//
// Lives in the monitor process only: its calls can hang for ever when the driver is sick. Every value is optional:
// cards without a sensor, and old drivers without a function, leave a gap, never an error. One gpu that fails is left
// out of the list; the others stay. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "gpu/report.h"

namespace pixelfleet::gpu {

namespace nvml {
struct Functions;
}

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

class Nvml {
 public:
  // Null when the library is missing or does not initialise; `why_not` then says it.
  static std::unique_ptr<Nvml> open(const std::string& library, Report& why_not);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // All gpus of the machine, by index.
  Report read();

 private:
  Nvml(void* library, std::unique_ptr<nvml::Functions> functions);

  void* const library_;
  const std::unique_ptr<nvml::Functions> functions_;
};

// A device's name as text that is fit to show: printable, valid UTF-8, never empty. `size` bounds a missing NUL.
std::string sane_name(const char* bytes, std::size_t size);

}  // namespace pixelfleet::gpu
