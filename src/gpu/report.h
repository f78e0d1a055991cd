// Report: one round of the gpu monitor, as a line of JSON between the monitor and the server.
//
//   {"gpus":[{"uuid":"GPU-...","index":0,"name":"...","memory_total_bytes":...,"memory_used_bytes":null, ...}]}
//   {"unavailable":"why","driver":"absent"}
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

// absent: there is no NVIDIA driver on this machine, which is nothing to worry about. failing: there is one, but it
// does not answer as it should.
enum class Driver { working, absent, failing };

struct Report {
  Driver driver = Driver::working;
  std::string reason;             // unless it works: why, and what to do
  std::vector<Reading> readings;  // the complete list, by index

  friend bool operator==(const Report&, const Report&) = default;
};

std::string to_line(const Report& report);  // without the line's end
Result<Report> report_from_line(std::string_view line);

}  // namespace pixelfleet::gpu
