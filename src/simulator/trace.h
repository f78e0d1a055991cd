// Trace: what arrives when, on which machine; read from files, or generated from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "domain/job_spec.h"

namespace pixelfleet::simulator {

struct TraceModel {
  std::string family;  // SD15, SDXL, SD35L, FLUX8: a row of machine.cc's table
  double bytes = 0.0;  // of weights: on the disk, in host memory and on a gpu
};

struct TraceJob {
  double arrival_s = 0.0;
  int user = 0;
  int model = 0;  // index into Trace::models
  int images = 1;
  int steps = 20;
  double pixels = 1024.0 * 1024.0;
  int lora_set = 0;  // 0: none; another set than the gpu's last costs a patch (T11)
  Priority priority = Priority::normal;
};

struct MachineSpec {
  std::vector<std::string> gpus;  // types of machine.cc's table, such as 4090-24
  double host_bytes = 64e9;
  double disk_bytes_per_second = 1e9;
  double fast_disk_bytes_per_second = 3e9;  // in regime fast
};

struct Failures {
  double out_of_memory = 0.0;  // probability per chunk
  int lost_gpu = -1;           // index; -1: none
  double lost_from_s = 0.0;
  double lost_until_s = 0.0;
};

struct Trace {
  std::string name;
  MachineSpec machine;
  std::vector<TraceModel> models;
  std::vector<TraceJob> jobs;  // by arrival
  Failures failures;
};

}  // namespace pixelfleet::simulator
