// Small traces for tests, built by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "simulator/trace.h"

namespace pixelfleet::simulator {

// Models 0 to 3, in the order of machine.cc's table: an SD15, an SDXL, an SD35L, a FLUX8.
inline std::vector<TraceModel> one_of_each_family() {
  return {{"SD15", 2.1e9}, {"SDXL", 6.9e9}, {"SD35L", 18e9}, {"FLUX8", 17e9}};
}

inline Trace small_trace(std::vector<std::string> gpus) {
  Trace trace;
  trace.name = "small";
  trace.machine.gpus = std::move(gpus);
  trace.models = one_of_each_family();
  return trace;
}

// One picture of 1024 x 1024 in 20 steps, unless said otherwise.
inline TraceJob& add_job(Trace& trace, double arrival_s, int model, int images = 1) {
  TraceJob job;
  job.arrival_s = arrival_s;
  job.model = model;
  job.images = images;
  trace.jobs.push_back(job);
  return trace.jobs.back();
}

}  // namespace pixelfleet::simulator
