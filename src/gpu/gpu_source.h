// GpuSource: tells the control loop which gpus there are and how they are.
//
// Detection runs in the monitor process (monitor.h), watched by one thread here: a round that takes too long costs the
// monitor its life; it is replaced once, then telemetry is unavailable and the gpus seen so far stay in use. Machines
// without an NVIDIA gpu have one gpu, cpu-0. A given list (virtual gpus) replaces detection altogether.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "control/ports.h"

namespace pixelfleet::gpu {

class GpuSource {
 public:
  struct Options {
    std::vector<Gpu> instead;                       // from parse_gpu_spec; empty: detect
    std::vector<std::string> monitor_command;       // this program and "gpu-monitor"
    std::chrono::milliseconds first_round{10'000};  // a cold driver takes seconds to wake all cards
    std::chrono::milliseconds round{3'000};         // beyond the pause between two rounds
  };

  // A given list is posted before this returns. `inbox` must outlive the source.
  static Result<std::unique_ptr<GpuSource>> start(Options options, control::Inbox& inbox);
  ~GpuSource();
  GpuSource(const GpuSource&) = delete;
  GpuSource& operator=(const GpuSource&) = delete;

 private:
  class Watch;
  GpuSource(UniqueFd stop, std::unique_ptr<Watch> watch);

  UniqueFd stop_;  // an eventfd that ends the thread
  std::unique_ptr<Watch> watch_;
  std::thread thread_;
};

// One look without a server: the gpus and their condition. A driver that fails, or is silent for `timeout`, leaves the
// CPU, and a warning in the log.
Result<std::vector<GpuStatus>> look_at_gpus(const GpuSource::Options& options, std::chrono::milliseconds timeout);

}  // namespace pixelfleet::gpu
