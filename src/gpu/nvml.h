// Nvml: NVIDIA's management library, loaded at run time.
//
// Lives in the monitor process only: its calls can hang for ever when the driver is sick. Every value is optional:
// cards without a sensor, old drivers without a function and drivers that talk nonsense leave a gap, never an error. A
// gpu that does not answer is told apart from the others, which stay. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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

  // All gpus of the machine, by index, with the Xids that came since the last call.
  Report read();

 private:
  Nvml(void* library, std::unique_ptr<nvml::Functions> functions);

  void read_versions(Report& report) const;
  void read_device(unsigned index, Report& report);
  int read_identity(unsigned index, void*& device, Gpu& gpu) const;
  int read_names(void* device, Gpu& gpu) const;
  bool read_instances(void* device, const Reading& whole, Report& report);
  void read_instance(void* instance, int index, const Reading& whole, Report& report);
  void add(Reading reading, std::optional<std::int64_t> memory_bytes, Report& report);
  std::vector<std::vector<GpuXid>*> receivers(Report& report, const GpuUuid& uuid, unsigned instance) const;
  void watch_for_xids(void* device, const GpuUuid& uuid);
  void take_xids(Report& report);

  void* const library_;
  const std::unique_ptr<nvml::Functions> functions_;
  void* events_ = nullptr;             // null: this driver cannot tell Xids
  std::map<void*, GpuUuid> watched_;   // the gpus whose Xids are told, by NVML's handle
  std::map<unsigned, GpuUuid> known_;  // who was last seen at an index
  std::map<GpuUuid, std::int64_t> memory_bytes_;
  std::map<GpuUuid, unsigned> instance_ids_;  // of MIG, as Xids name them
};

// A device's name as text that is fit to show: printable, valid UTF-8, never empty. `size` bounds a missing NUL.
std::string sane_name(const char* bytes, std::size_t size);

}  // namespace pixelfleet::gpu
