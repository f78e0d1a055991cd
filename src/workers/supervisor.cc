#include "workers/supervisor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <map>
#include <set>
#include <thread>
#include <variant>

#include "base/check.h"
#include "base/format.h"
#include "base/log.h"
#include "base/mutex.h"
#include "workers/attendant.h"
#include "workers/spawn.h"
#include "workers/worker_main.h"

namespace pixelfleet::workers {
namespace {

using Time = Attendant::Time;
using State = Attendant::State;

struct CancelOrder {
  WorkerId worker;
  ChunkId chunk;
};
struct AckOrder {
  WorkerId worker;
  ChunkId chunk;
  int index;
};
struct StopOrder {
  WorkerId worker;
};
struct QuitOrder {};
using Order = std::variant<control::WorkerSpec, control::ChunkRequest, CancelOrder, AckOrder, StopOrder, QuitOrder>;

// Orders from any thread to the supervisor's. Pictures may outlive the supervisor and then talk to nobody.
class Orders {
 public:
  explicit Orders(UniqueFd wake) : wake_(std::move(wake)) {}

  void put(Order order) {
    {
      MutexLock lock(mutex_);
      orders_.push_back(std::move(order));
    }
    const std::uint64_t one = 1;
    CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
  }
  std::deque<Order> take() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = read(wake_.get(), &count, sizeof(count));  // would block: nothing was put
    MutexLock lock(mutex_);
    return std::exchange(orders_, {});
  }
  int fd() const { return wake_.get(); }

 private:
  const UniqueFd wake_;
  Mutex mutex_;
  std::deque<Order> orders_ GUARDED_BY(mutex_);
};

// Which of a worker's descriptors an epoll event is about; the worker's id stands above it.
enum class Source : std::uint64_t { socket = 0, output = 1, exit = 2, orders = 3 };

std::uint64_t key(WorkerId worker, Source source) {
  return (static_cast<std::uint64_t>(worker.value) << 2) | static_cast<std::uint64_t>(source);
}

class RealSupervisor final : public Supervisor {
 public:
  RealSupervisor(SupervisorOptions options, control::Inbox& inbox, UniqueFd epoll, UniqueFd wake)
      : options_(std::move(options)),
        inbox_(inbox),
        epoll_(std::move(epoll)),
        orders_(std::make_shared<Orders>(std::move(wake))) {
    watch(orders_->fd(), EPOLLIN, key(WorkerId(), Source::orders));
    thread_ = std::thread([this] { run_loop(); });
  }
  ~RealSupervisor() override {
    orders_->put(QuitOrder{});
    thread_.join();
  }

  void start(const control::WorkerSpec& spec) override { orders_->put(spec); }
  void run(const control::ChunkRequest& request) override { orders_->put(request); }
  void cancel(WorkerId worker, ChunkId chunk) override { orders_->put(CancelOrder{worker, chunk}); }
  void image_taken(WorkerId worker, ChunkId chunk, int index) override { orders_->put(AckOrder{worker, chunk, index}); }
  void stop(WorkerId worker) override { orders_->put(StopOrder{worker}); }

  std::vector<WorkerProcess> processes() const override {
    MutexLock lock(mutex_);
    return processes_;
  }

 private:
  struct Watched {
    Attendant attendant;
    bool writable_watched = false;
  };

  void run_loop() {
    while (true) {
      std::array<epoll_event, 64> events;
      const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
      CHECK(count >= 0 || errno == EINTR);
      const Time now = std::chrono::steady_clock::now();
      for (int i = 0; i < count; ++i) dispatch(events[static_cast<std::size_t>(i)], now);
      carry_out_orders(now);
      // After the sockets: progress that came while this process was stopped counts before any deadline.
      for (auto& [id, watched] : workers_) watched.attendant.on_deadline(now);
      tidy_up(now);
      if (quit_by_ && (workers_.empty() || now >= *quit_by_)) return;
    }
  }

  int wait_ms() const {
    Time earliest = quit_by_.value_or(Time::max());
    for (const auto& [id, watched] : workers_) earliest = std::min(earliest, watched.attendant.deadline());
    if (earliest == Time::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(earliest - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  }

  void dispatch(const epoll_event& event, Time now) {
    const auto source = static_cast<Source>(event.data.u64 & 3);
    if (source == Source::orders) return;  // they are carried out in every round
    const auto found = workers_.find(WorkerId(static_cast<std::int64_t>(event.data.u64 >> 2)));
    if (found == workers_.end()) return;
    Attendant& attendant = found->second.attendant;
    if (attendant.state() == State::gone) return;  // by another event of this round
    switch (source) {
      case Source::socket: return attendant.on_socket(now);
      case Source::output: return attendant.on_output();
      case Source::exit: return attendant.on_exit(now);
      case Source::orders: return;
    }
  }

  void carry_out_orders(Time now) {
    for (Order& order : orders_->take()) {
      std::visit([&](auto& o) { carry_out(o, now); }, order);
    }
  }

  void carry_out(const control::WorkerSpec& spec, Time now) {
    CHECK(spec.id && !workers_.contains(spec.id));
    const Attendant* leaving = old_worker_on(spec.gpu.uuid);
    if (leaving == nullptr) return launch(spec, now);
    if (leaving->state() == State::stuck) return refuse_stuck(spec);
    // Its memory comes back when the old process is gone, which is a matter of milliseconds.
    waiting_.push_back(spec);
  }
  void carry_out(const control::ChunkRequest& request, Time now) {
    if (Attendant* attendant = find(request.worker)) attendant->run(request, now);
  }
  void carry_out(const CancelOrder& order, Time now) {
    if (Attendant* attendant = find(order.worker)) attendant->cancel(order.chunk, now);
  }
  void carry_out(const AckOrder& order, Time now) {
    if (Attendant* attendant = find(order.worker)) attendant->acknowledge(order.chunk, order.index, now);
  }
  void carry_out(const StopOrder& order, Time now) {
    std::erase_if(waiting_, [&](const control::WorkerSpec& spec) { return spec.id == order.worker; });
    if (Attendant* attendant = find(order.worker)) attendant->stop(now);
  }
  void carry_out(const QuitOrder&, Time now) {
    waiting_.clear();
    for (auto& [id, watched] : workers_) watched.attendant.stop(now);
    quit_by_ = now + options_.stop_grace + std::chrono::seconds(2);
  }

  // A process on this gpu that was stopped and has not ended yet.
  const Attendant* old_worker_on(const GpuUuid& gpu) const {
    const Attendant* found = nullptr;
    for (const auto& [id, watched] : workers_) {
      const Attendant& attendant = watched.attendant;
      if (attendant.spec().gpu.uuid != gpu || !attendant.is_stopped()) continue;
      if (attendant.state() == State::stuck) return &attendant;
      found = &attendant;
    }
    return found;
  }

  void launch(const control::WorkerSpec& spec, Time now) {
    auto process = spawn(command_for(spec));
    if (!process) {
      log::error("workers", "worker {} ({} on {}): {}", spec.id.value, spec.model.key, spec.gpu.uuid,
                 process.error().message);
      return inbox_.post(control::WorkerIsGone{spec.id, {"engine_error", process.error().message, {}}, false});
    }
    auto pixels_released = [orders = orders_, worker = spec.id](ChunkId chunk, int index) {
      orders->put(AckOrder{worker, chunk, index});
    };
    const auto [place, added] = workers_.try_emplace(
        spec.id, Watched{Attendant(spec, *std::move(process), options_, inbox_, std::move(pixels_released), now)});
    const Attendant& attendant = place->second.attendant;
    inbox_.post(control::WorkerIsSpawned{spec.id, attendant.pid()});
    watch(attendant.socket(), EPOLLIN, key(spec.id, Source::socket));
    watch(attendant.output(), EPOLLIN, key(spec.id, Source::output));
    watch(attendant.pidfd(), EPOLLIN, key(spec.id, Source::exit));
    changed_ = true;
  }

  void refuse_stuck(const control::WorkerSpec& spec) {
    inbox_.post(control::WorkerIsGone{
        spec.id,
        {"gpu_stuck",
         format("no worker can start on {}: an earlier one does not end although it was killed, so the driver is "
                "stuck. Reset the gpu or reboot",
                spec.gpu.uuid),
         {}},
        false});
  }

  void tell_reaped() {
    std::set<GpuUuid> stuck;
    for (const auto& [id, watched] : workers_) {
      if (watched.attendant.state() == State::stuck) stuck.insert(watched.attendant.spec().gpu.uuid);
    }
    for (const GpuUuid& gpu : stuck_gpus_) {
      if (!stuck.contains(gpu)) inbox_.post(control::GpuReaped{gpu});
    }
    stuck_gpus_ = std::move(stuck);
  }

  // Keeps what epoll watches in step with what the workers need, forgets ended ones, starts those that waited for them.
  void tidy_up(Time now) {
    for (auto& [id, watched] : workers_) {
      const bool wanted = watched.attendant.wants_to_write();
      if (watched.attendant.socket() < 0 || wanted == watched.writable_watched) continue;
      epoll_event event{.events = EPOLLIN | (wanted ? static_cast<std::uint32_t>(EPOLLOUT) : 0u),
                        .data = {.u64 = key(id, Source::socket)}};
      epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, watched.attendant.socket(), &event);
      watched.writable_watched = wanted;
    }
    const auto is_gone = [this](const auto& entry) {
      if (entry.second.attendant.state() != State::gone) return false;
      inbox_.post(control::WorkerHasEnded{entry.first});
      return true;
    };
    if (std::erase_if(workers_, is_gone) > 0) changed_ = true;
    tell_reaped();
    start_waiting(now);
    if (std::exchange(changed_, false)) publish();
  }

  void start_waiting(Time now) {
    std::vector<control::WorkerSpec> waiting;
    waiting.swap(waiting_);
    for (const control::WorkerSpec& spec : waiting) carry_out(spec, now);
  }

  void publish() {
    std::vector<WorkerProcess> processes;
    for (const auto& [id, watched] : workers_) {
      const auto& spec = watched.attendant.spec();
      processes.push_back({id, watched.attendant.pid(), spec.gpu.uuid, spec.model.key});
    }
    MutexLock lock(mutex_);
    processes_.swap(processes);
  }

  Command command_for(const control::WorkerSpec& spec) const {
    Command command{options_.program, options_.arguments, {}};
    auto& environment = command.environment;
    const std::string index = std::to_string(spec.gpu.index);
    environment = {{"OMP_WAIT_POLICY", "passive"},  // spinning barriers cost 10x on a busy machine
                   {"GGML_NO_BACKTRACE", "1"},      // an abort would fork a debugger
                   {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"},
                   {"CUDA_VISIBLE_DEVICES", spec.gpu.kind == GpuKind::nvidia ? spec.gpu.uuid : ""},
                   {worker_environment::kDevices, std::string(name(spec.gpu.kind))},
                   {worker_environment::kModel, spec.model.key}};
    if (spec.gpu.kind == GpuKind::amd) {
      // ROCm knows the card by its own name; only where it has none, and with Vulkan, by its place among them.
      const bool named = spec.gpu.uuid.starts_with("GPU-");
      environment.emplace_back(named ? "ROCR_VISIBLE_DEVICES" : "HIP_VISIBLE_DEVICES", named ? spec.gpu.uuid : index);
      environment.emplace_back("GGML_VK_VISIBLE_DEVICES", index);
    }
    if (options_.sandbox == SandboxPolicy::off) environment.emplace_back(worker_environment::kSandbox, "off");
    return command;
  }

  Attendant* find(WorkerId id) {
    const auto found = workers_.find(id);
    return found == workers_.end() ? nullptr : &found->second.attendant;
  }

  void watch(int fd, std::uint32_t events, std::uint64_t data) {
    epoll_event event{.events = events, .data = {.u64 = data}};
    CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }

  // Constant.
  const SupervisorOptions options_;
  control::Inbox& inbox_;
  const UniqueFd epoll_;
  const std::shared_ptr<Orders> orders_;

  // The thread's own.
  std::map<WorkerId, Watched> workers_;
  std::set<GpuUuid> stuck_gpus_;              // with a process that does not end
  std::vector<control::WorkerSpec> waiting_;  // for an old process on their gpu to end
  std::optional<Time> quit_by_;
  bool changed_ = false;

  mutable Mutex mutex_;
  std::vector<WorkerProcess> processes_ GUARDED_BY(mutex_);

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

Result<std::unique_ptr<Supervisor>> make_supervisor(SupervisorOptions options, control::Inbox& inbox) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(system_error("creating an epoll instance", errno));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail(system_error("creating an eventfd", errno));
  return std::unique_ptr<Supervisor>(
      std::make_unique<RealSupervisor>(std::move(options), inbox, std::move(epoll), std::move(wake)));
}

}  // namespace pixelfleet::workers
