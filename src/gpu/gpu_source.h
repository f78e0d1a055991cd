// GpuSource: tells the control loop which gpus there are and how they are.
//
// Detection runs in the monitor process (monitor.h), watched by one thread here: a round that takes too long costs the
// monitor its life, and it is replaced. Machines without an NVIDIA gpu have one gpu, cpu-0. A given list (virtual gpus)
// replaces detection altogether.
//
// A monitor that is lost, whatever the reason, is replaced at once when none was replaced within the last minute. Else
// telemetry is unavailable, the gpus seen so far stay in use, and another is tried when that minute is over. A process
// that hangs in the driver outlives its kill: when the last such has ended the driver answers again, and another is
// tried at once. Never do more than two live, those included: with two that linger, only their end brings a third.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "control/ports.h"
#include "gpu/report.h"

namespace pixelfleet::gpu {

class Lingering;
class MonitorProcess;

class GpuSource {
 public:
  struct Options {
    std::vector<Gpu> instead;                       // from parse_gpu_spec; empty: detect
    std::vector<std::string> monitor_command;       // this program and "gpu-monitor"
    std::chrono::milliseconds first_round{10'000};  // a cold driver takes seconds to wake all cards
    std::chrono::milliseconds round{3'000};         // beyond the pause between two rounds
    std::chrono::milliseconds replacement{60'000};  // between two replacements of a monitor
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

// Looks at the gpus without a server, as often as it is asked: their condition by the newest report of a monitor
// process that lives as long as this object. Not thread-safe.
class GpuLook {
 public:
  // `timeout`: for the first report, and after it for the age of the last one.
  GpuLook(GpuSource::Options options, std::chrono::milliseconds timeout);
  ~GpuLook();
  GpuLook(GpuLook&&) noexcept;
  GpuLook& operator=(GpuLook&&) = delete;

  // Waits for the very first report only. A driver that is absent, or says nothing from the start, leaves the CPU, with
  // a warning in the log when that is news; one that falls silent later is unavailable until it answers again. No
  // monitor is started while one hangs in the driver.
  Result<std::vector<GpuStatus>> look();

 private:
  Result<Report> newest_report();
  void end_monitor();
  void warn_once(const std::string& reason);

  GpuSource::Options options_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<MonitorProcess> monitor_;
  std::unique_ptr<Lingering> lingering_;
  std::optional<Report> report_;                    // the last one
  std::chrono::steady_clock::time_point heard_at_;  // or started, before that
  bool has_reported_ = false;                       // any monitor, ever
  std::string warned_of_;
};

}  // namespace pixelfleet::gpu
