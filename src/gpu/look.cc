#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "gpu/gpu_source.h"
#include "gpu/host_cpu.h"
#include "gpu/monitor_process.h"

namespace pixelfleet::gpu {
namespace {

GpuStatus status_of(const Gpu& gpu) {
  GpuStatus status;
  status.gpu = gpu;
  status.sample = gpu.kind == GpuKind::cpu ? HostCpu().sample(gpu.uuid) : GpuSample{};
  status.sample.uuid = gpu.uuid;
  return status;
}

// The monitor's first report, or why there is none.
Result<Report> first_report(const std::vector<std::string>& command, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto monitor = MonitorProcess::start(command);
  if (!monitor) return fail(monitor.error());
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return fail(ErrorCode::unavailable, "the NVIDIA driver does not answer");
    pollfd watched{monitor->fd(), POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(left)) < 0 && errno != EINTR) {
      return fail(system_error("cannot wait for the gpu monitor", errno));
    }
    auto received = monitor->read_reports();
    if (!received.reports.empty()) return std::move(received.reports.front());
    if (received.ended) return fail(ErrorCode::unavailable, "the gpu monitor ended without a report");
  }
}

}  // namespace

Result<std::vector<GpuStatus>> look_at_gpus(const GpuSource::Options& options, std::chrono::milliseconds timeout) {
  std::vector<GpuStatus> statuses;
  if (!options.instead.empty()) {
    for (const Gpu& gpu : options.instead) statuses.push_back(status_of(gpu));
    return statuses;
  }
  const auto report = first_report(options.monitor_command, timeout);
  if (!report) log::warn("gpu", "{}", report.error().message);
  if (report && report->driver == Driver::failing) log::warn("gpu", "{}", report->reason);
  if (report) {
    for (const Reading& reading : report->readings) {
      GpuStatus status;
      status.gpu = reading.gpu;
      status.sample = reading.sample;
      statuses.push_back(std::move(status));
    }
  }
  if (statuses.empty()) statuses.push_back(status_of(HostCpu::describe()));
  return statuses;
}

}  // namespace pixelfleet::gpu
