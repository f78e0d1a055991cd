#include "gpu/gpu_source.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include "base/log.h"
#include "gpu/host_cpu.h"
#include "gpu/monitor_process.h"

namespace pixelfleet::gpu {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kSampleInterval{1000};
constexpr int kMaxReplacements = 1;

int milliseconds_until(SteadyClock::time_point time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

std::vector<Gpu> gpus_of(const Report& report) {
  std::vector<Gpu> gpus;
  for (const Reading& reading : report.readings) gpus.push_back(reading.gpu);
  return gpus;
}

// What a gpu that does not answer is for the others: one of which nothing is known but that.
GpuSample sample_of(const FailingGpu& failing) {
  GpuSample sample;
  sample.uuid = failing.uuid;
  sample.detail.driver_code = failing.code;
  sample.detail.xids = failing.xids;
  return sample;
}

}  // namespace

// What the thread knows. Everything here belongs to it, once it runs.
class GpuSource::Watch {
 public:
  Watch(Options options, control::Inbox& inbox) : options_(std::move(options)), inbox_(inbox) {}

  bool detects() const { return options_.instead.empty(); }
  void see_given_list() { see(options_.instead); }
  // Detects, if that is what it does. Returns when `stop_fd` becomes readable.
  void run(int stop_fd);

 private:
  void start_monitor();
  void on_report(const Report& report);
  void on_monitor_lost(const std::string& reason);
  void see(std::vector<Gpu> gpus);
  void log_news(const Report& report);
  void offer_samples(const Report& report);
  void tell(Telemetry telemetry);
  void offer_cpu_samples();
  std::optional<SteadyClock::time_point> next_time() const;

  const Options options_;
  control::Inbox& inbox_;
  HostCpu cpu_;
  std::optional<MonitorProcess> monitor_;
  SteadyClock::time_point deadline_;                          // of the monitor's current round
  SteadyClock::time_point next_sample_ = SteadyClock::now();  // of the CPU
  int replacements_ = 0;
  bool has_cpu_ = false;
  bool had_nvidia_ = false;
  std::optional<std::vector<Gpu>> seen_;
  Telemetry telemetry_;
  std::string driver_version_;
  std::set<std::string> troubles_;  // of gpus that do not answer, already in the log
  std::map<GpuUuid, std::vector<GpuXid>> untold_xids_;
};

void GpuSource::Watch::run(int stop_fd) {
  if (detects()) start_monitor();
  while (true) {
    pollfd watched[2] = {{stop_fd, POLLIN, 0}, {monitor_ ? monitor_->fd() : -1, POLLIN, 0}};
    const auto next = next_time();
    if (::poll(watched, 2, next ? milliseconds_until(*next) : -1) < 0 && errno != EINTR) return;
    if (watched[0].revents != 0) return;
    if (monitor_ && watched[1].revents != 0) {
      const auto received = monitor_->read_reports();
      for (const Report& report : received.reports) on_report(report);
      if (received.ended && monitor_) on_monitor_lost("the gpu monitor ended");
    } else if (monitor_ && SteadyClock::now() >= deadline_) {
      on_monitor_lost(
          "the NVIDIA driver does not answer; look at nvidia-smi and the kernel log, a restart may be needed");
    }
    if (has_cpu_ && SteadyClock::now() >= next_sample_) offer_cpu_samples();
  }
}

std::optional<SteadyClock::time_point> GpuSource::Watch::next_time() const {
  if (monitor_ && has_cpu_) return std::min(deadline_, next_sample_);
  if (monitor_) return deadline_;
  if (has_cpu_) return next_sample_;
  return std::nullopt;
}

void GpuSource::Watch::start_monitor() {
  auto started = MonitorProcess::start(options_.monitor_command);
  deadline_ = SteadyClock::now() + options_.first_round;
  if (started) {
    monitor_.emplace(std::move(*started));
  } else {
    on_monitor_lost(started.error().message);
  }
}

void GpuSource::Watch::on_report(const Report& report) {
  deadline_ = SteadyClock::now() + kSampleInterval + options_.round;
  if (report.driver == Driver::absent) {
    monitor_.reset();
    if (had_nvidia_) return tell({false, report.reason});
    log::info("gpu", "{}; the CPU takes the jobs", report.reason);
    see({HostCpu::describe()});
    return;
  }
  if (report.driver == Driver::failing) {
    // What was seen stays in use: jobs run on while the telemetry is sick.
    if (!seen_) see({HostCpu::describe()});
    tell({false, report.reason});
    return;
  }
  // Only a machine that never had a gpu falls back to its CPU: lost ones may come back, and their jobs wait for them.
  had_nvidia_ = had_nvidia_ || !report.readings.empty();
  see(had_nvidia_ ? gpus_of(report) : std::vector<Gpu>{HostCpu::describe()});
  tell({true, ""});
  log_news(report);
  offer_samples(report);
}

void GpuSource::Watch::log_news(const Report& report) {
  if (report.driver_version != driver_version_) {
    log::info("gpu", "NVIDIA driver {}, CUDA {}", report.driver_version, report.cuda_version);
    driver_version_ = report.driver_version;
  }
  std::set<std::string> troubles;
  for (const FailingGpu& failing : report.failing) troubles.insert(failure_text(failing));
  for (const std::string& trouble : troubles) {
    if (!troubles_.contains(trouble)) log::warn("gpu", "{}", trouble);
  }
  troubles_ = std::move(troubles);
}

void GpuSource::Watch::offer_samples(const Report& report) {
  control::GpuSamples samples;
  for (const Reading& reading : report.readings) samples.samples.push_back(reading.sample);
  for (const FailingGpu& failing : report.failing) {
    if (!failing.uuid.empty()) samples.samples.push_back(sample_of(failing));
  }
  if (samples.samples.empty()) return;
  // A sample that finds no room is worth nothing a second later; its Xids are, and go with the next one.
  for (GpuSample& sample : samples.samples) {
    auto& xids = untold_xids_[sample.uuid];
    xids.insert(xids.end(), sample.detail.xids.begin(), sample.detail.xids.end());
    sample.detail.xids = xids;
  }
  if (inbox_.offer(std::move(samples))) untold_xids_.clear();
}

void GpuSource::Watch::on_monitor_lost(const std::string& reason) {
  monitor_.reset();
  if (replacements_ < kMaxReplacements) {
    ++replacements_;
    log::warn("gpu", "{}; starting another monitor", reason);
    start_monitor();
    return;
  }
  if (!seen_) see({HostCpu::describe()});
  tell({false, reason + "; no further tries are made until the server is restarted"});
}

void GpuSource::Watch::see(std::vector<Gpu> gpus) {
  has_cpu_ = std::any_of(gpus.begin(), gpus.end(), [](const Gpu& gpu) { return gpu.kind == GpuKind::cpu; });
  if (seen_ == gpus) return;
  seen_ = gpus;
  inbox_.post(control::GpusSeen{std::move(gpus)});
}

void GpuSource::Watch::tell(Telemetry telemetry) {
  if (telemetry == telemetry_) return;
  telemetry_ = telemetry;
  if (!telemetry.available) log::warn("gpu", "telemetry is unavailable: {}", telemetry.reason);
  if (telemetry.available) log::info("gpu", "telemetry is available");
  inbox_.post(control::TelemetryChanged{std::move(telemetry)});
}

void GpuSource::Watch::offer_cpu_samples() {
  next_sample_ = SteadyClock::now() + kSampleInterval;
  control::GpuSamples samples;
  for (const Gpu& gpu : *seen_) {
    if (gpu.kind != GpuKind::cpu) continue;
    // One machine, one reading, whatever number of gpus it stands for.
    samples.samples.push_back(samples.samples.empty() ? cpu_.sample(gpu.uuid) : samples.samples.front());
    samples.samples.back().uuid = gpu.uuid;
  }
  inbox_.offer(std::move(samples));
}

Result<std::unique_ptr<GpuSource>> GpuSource::start(Options options, control::Inbox& inbox) {
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail(system_error("cannot make an eventfd", errno));
  auto watch = std::make_unique<Watch>(std::move(options), inbox);
  if (!watch->detects()) watch->see_given_list();
  return std::unique_ptr<GpuSource>(new GpuSource(std::move(stop), std::move(watch)));
}

GpuSource::GpuSource(UniqueFd stop, std::unique_ptr<Watch> watch) : stop_(std::move(stop)), watch_(std::move(watch)) {
  // The monitor dies with the thread that started it, so that must be the thread that stays.
  thread_ = std::thread([this] { watch_->run(stop_.get()); });
}

GpuSource::~GpuSource() {
  const std::uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) != sizeof one) log::error("gpu", "cannot tell the gpu thread to end");
  thread_.join();
}

}  // namespace pixelfleet::gpu
