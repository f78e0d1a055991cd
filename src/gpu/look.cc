#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

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

}  // namespace

GpuLook::GpuLook(GpuSource::Options options, std::chrono::milliseconds timeout)
    : options_(std::move(options)), timeout_(timeout) {}
GpuLook::~GpuLook() = default;
GpuLook::GpuLook(GpuLook&&) noexcept = default;

void GpuLook::end_monitor() {
  if (auto lingering = monitor_->end()) lingering_ = std::make_unique<Lingering>(std::move(*lingering));
  monitor_.reset();
}

// Where none lives, because it ended or was silent for too long, this starts another.
Result<Report> GpuLook::newest_report() {
  if (!monitor_) {
    if (lingering_ && !lingering_->has_ended())
      return fail(ErrorCode::unavailable, "the NVIDIA driver does not answer");
    lingering_.reset();
    auto started = MonitorProcess::start(options_.monitor_command);
    if (!started) return fail(started.error());
    monitor_ = std::make_unique<MonitorProcess>(std::move(*started));
    report_.reset();
    heard_at_ = std::chrono::steady_clock::now();
  }
  for (;;) {
    auto received = monitor_->read_reports();
    const auto now = std::chrono::steady_clock::now();
    if (!received.reports.empty()) {
      report_ = std::move(received.reports.back());
      has_reported_ = true;
      heard_at_ = now;
    } else if (received.ended) {
      end_monitor();
      return fail(ErrorCode::unavailable, "the gpu monitor ended without a report");
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(heard_at_ + timeout_ - now).count();
    if (left <= 0) end_monitor();
    if (left > 0 && report_) return *report_;
    if (left <= 0 || has_reported_) return fail(ErrorCode::unavailable, "the NVIDIA driver does not answer");
    pollfd watched{monitor_->fd(), POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(left)) < 0 && errno != EINTR) {
      return fail(system_error("cannot wait for the gpu monitor", errno));
    }
  }
}

void GpuLook::warn_once(const std::string& reason) {
  if (warned_of_ != reason) log::warn("gpu", "{}", reason);
  warned_of_ = reason;
}

Result<std::vector<GpuStatus>> GpuLook::look() {
  std::vector<GpuStatus> statuses;
  if (!options_.instead.empty()) {
    for (const Gpu& gpu : options_.instead) statuses.push_back(status_of(gpu));
    return statuses;
  }
  const auto report = newest_report();
  if (!report && has_reported_) return fail(report.error());
  if (!report) warn_once(report.error().message);
  if (report && report->driver == Driver::failing) warn_once(report->reason);
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
