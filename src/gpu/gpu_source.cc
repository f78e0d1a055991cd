#include "gpu/gpu_source.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/log.h"
#include "gpu/host_cpu.h"
#include "gpu/monitor_process.h"

namespace pixelfleet::gpu {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kSampleInterval{1000};
constexpr std::size_t kMostMonitors = 2;

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
  bool wait(int stop_fd) const;
  std::optional<SteadyClock::time_point> next_time() const;
  void start_monitor();
  void end_monitor();
  void hear_monitor();
  void on_absent(const Report& report);
  void on_report(const Report& report);
  void on_monitor_lost(const std::string& reason);
  void replace_lost_monitor();
  bool has_ended_lingering();
  bool has_room_for_monitor() const { return lingering_.size() + (monitor_ ? 1 : 0) < kMostMonitors; }
  void see(std::vector<Gpu> gpus);
  void log_news(const Report& report);
  void offer_samples(const Report& report);
  void tell(Telemetry telemetry);
  void offer_cpu_samples();

  const Options options_;
  control::Inbox& inbox_;
  HostCpu cpu_;
  std::optional<MonitorProcess> monitor_;
  SteadyClock::time_point deadline_;                          // of the monitor's current round
  SteadyClock::time_point next_sample_ = SteadyClock::now();  // of the CPU
  bool lost_ = false;                                         // and not replaced yet
  SteadyClock::time_point next_replacement_ = SteadyClock::now();
  std::vector<Lingering> lingering_;
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
  while (wait(stop_fd)) {
    hear_monitor();
    if (has_ended_lingering() || SteadyClock::now() >= next_replacement_) replace_lost_monitor();
    if (has_cpu_ && SteadyClock::now() >= next_sample_) offer_cpu_samples();
  }
}

// For whatever comes next. False when it is the end.
bool GpuSource::Watch::wait(int stop_fd) const {
  std::vector<pollfd> watched = {{stop_fd, POLLIN, 0}, {monitor_ ? monitor_->fd() : -1, POLLIN, 0}};
  for (const Lingering& each : lingering_) watched.push_back({each.fd(), POLLIN, 0});
  const auto next = next_time();
  const int ready = ::poll(watched.data(), watched.size(), next ? milliseconds_until(*next) : -1);
  return ready < 0 ? errno == EINTR : watched[0].revents == 0;
}

std::optional<SteadyClock::time_point> GpuSource::Watch::next_time() const {
  std::optional<SteadyClock::time_point> next;
  const auto note = [&next](SteadyClock::time_point time) { next = next ? std::min(*next, time) : time; };
  if (monitor_) note(deadline_);
  if (has_cpu_) note(next_sample_);
  if (lost_ && has_room_for_monitor()) note(next_replacement_);
  return next;
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

void GpuSource::Watch::end_monitor() {
  if (!monitor_) return;
  if (auto lingering = monitor_->end()) lingering_.push_back(std::move(*lingering));
  monitor_.reset();
}

void GpuSource::Watch::hear_monitor() {
  if (!monitor_) return;
  const auto received = monitor_->read_reports();
  for (const Report& report : received.reports) {
    if (report.driver == Driver::absent) return on_absent(report);
    on_report(report);
  }
  if (received.ended) return on_monitor_lost("the gpu monitor ended");
  if (SteadyClock::now() < deadline_) return;
  on_monitor_lost("the NVIDIA driver does not answer; look at nvidia-smi and the kernel log, a restart may be needed");
}

void GpuSource::Watch::on_monitor_lost(const std::string& reason) {
  end_monitor();
  lost_ = true;
  if (SteadyClock::now() >= next_replacement_ && has_room_for_monitor()) {
    log::warn("gpu", "{}; starting another monitor", reason);
    return replace_lost_monitor();
  }
  if (!seen_) see({HostCpu::describe()});
  tell({false, reason + "; it is asked again from time to time"});
}

void GpuSource::Watch::replace_lost_monitor() {
  if (!lost_ || !has_room_for_monitor()) return;
  lost_ = false;
  next_replacement_ = SteadyClock::now() + options_.replacement;
  start_monitor();
}

// True when the last of those that hung has ended.
bool GpuSource::Watch::has_ended_lingering() {
  return std::erase_if(lingering_, [](Lingering& each) { return each.has_ended(); }) > 0 && lingering_.empty();
}

// The monitor ends by itself after such a report.
void GpuSource::Watch::on_absent(const Report& report) {
  if (had_nvidia_) return on_monitor_lost(report.reason);  // as one started during an upgrade finds it
  end_monitor();
  log::info("gpu", "{}; the CPU takes the jobs", report.reason);
  see({HostCpu::describe()});
}

void GpuSource::Watch::on_report(const Report& report) {
  deadline_ = SteadyClock::now() + kSampleInterval + options_.round;
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
