// Report: one round of the gpu monitor, as a line of JSON between the monitor and the server.
//
//   {"driver_version":"550.163","cuda_version":"12.4","gpus":[{"uuid":"GPU-...","index":0,"name":"...",
//    "memory_total_bytes":...,"memory_used_bytes":null,
//    ...}],"failing":[{"index":1,"uuid":"GPU-...","code":15,"xids":[]}]}
//   {"unavailable":"why","driver":"absent"}
//
// The fields are those of Gpu, GpuSample and GpuDetail; null is unknown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/gpu.h"

namespace pixelfleet::gpu {

// Identity and condition of one NVIDIA gpu.
struct Reading {
  Gpu gpu;
  GpuSample sample;

  friend bool operator==(const Reading&, const Reading&) = default;
};

// A gpu of which the driver knows, but that does not answer.
struct FailingGpu {
  int index = 0;
  GpuUuid uuid;  // empty when it has not answered once
  int code = 0;  // NVML's; 15: lost, 16: reset required
  std::vector<GpuXid> xids;

  friend bool operator==(const FailingGpu&, const FailingGpu&) = default;
};

// MIG instances are numbered behind all gpus: 100, 101 ... are those of gpu 0, 200 ... those of gpu 1.
constexpr int mig_index(int gpu, int instance) { return (gpu + 1) * 100 + instance; }

// A code of ours: MIG is on, and the gpu has no instance.
inline constexpr int kNoMigInstance = -1;

// absent: there is no NVIDIA driver on this machine, which is nothing to worry about. failing: there is one, but it
// does not answer as it should.
enum class Driver { working, absent, failing };

struct Report {
  Driver driver = Driver::working;
  std::string reason;             // unless it works: why, and what to do
  std::vector<Reading> readings;  // the complete list, by index
  std::vector<FailingGpu> failing = {};
  std::string driver_version = {};  // empty when unknown, as the next
  std::string cuda_version = {};

  friend bool operator==(const Report&, const Report&) = default;
};

// What a code of the driver means for one gpu, in words.
std::string failure_text(const FailingGpu& gpu);

std::string to_line(const Report& report);  // without the line's end
Result<Report> report_from_line(std::string_view line);

}  // namespace pixelfleet::gpu
