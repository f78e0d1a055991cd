#include "workers/worker_main.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>

#include "base/format.h"
#include "base/log.h"
#include "engine/plugin.h"
#include "ipc/sealed_buffer.h"
#include "workers/exit_status.h"
#include "workers/input_pictures.h"
#include "workers/log_tail.h"
#include "workers/sandbox.h"
#include "workers/server_link.h"

namespace pixelfleet::workers {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Progress of a step that is not the last may be dropped when it comes this soon after the one before.
constexpr std::chrono::milliseconds kProgressPause{50};

void log_engine_line(engine::LogLevel level, std::string_view line) {
  switch (level) {
    case engine::LogLevel::debug: return log::debug("engine", "{}", line);
    case engine::LogLevel::info: return log::info("engine", "{}", line);
    case engine::LogLevel::warn: return log::warn("engine", "{}", line);
    case engine::LogLevel::error: return log::error("engine", "{}", line);
  }
}

protocol::Failure failure_of(const engine::Failure& failure) {
  return {std::string(name(failure.failure_class)), failure.message, failure.lines};
}

int exit_code_of(engine::FailureClass failure_class) {
  switch (failure_class) {
    case engine::FailureClass::bad_request: return exit_code::kBadRequest;
    case engine::FailureClass::out_of_memory: return exit_code::kOutOfMemory;
    case engine::FailureClass::model_unreadable:
    case engine::FailureClass::engine_error: return exit_code::kModelUnreadable;
    case engine::FailureClass::invalid_output: return exit_code::kInvalidOutput;
  }
  return exit_code::kModelUnreadable;
}

// Errors of the device after which every call of this process fails.
bool is_sticky(const engine::Failure& failure) {
  const auto mentions = [](std::string_view text) {
    for (const std::string_view words : {"CUDA error", "illegal memory access", "unspecified launch failure",
                                         "device-side assert", "VK_ERROR_DEVICE_LOST", "ErrorDeviceLost"}) {
      if (text.find(words) != std::string_view::npos) return true;
    }
    return false;
  };
  return failure.failure_class == engine::FailureClass::engine_error &&
         (mentions(failure.message) || std::any_of(failure.lines.begin(), failure.lines.end(), mentions));
}

class LoadSink final : public engine::Sink {
 public:
  explicit LoadSink(ServerLink& link) : link_(link) {}

  void progress(engine::Phase, int step, int steps) override {
    const auto now = SteadyClock::now();
    if (steps <= 0 || (step != steps && now - sent_at_ < kProgressPause)) return;
    sent_at_ = now;
    link_.send(protocol::LoadProgress{std::clamp(static_cast<double>(step) / steps, 0.0, 1.0)});
  }
  void log(engine::LogLevel level, std::string_view line) override { log_engine_line(level, line); }

 private:
  ServerLink& link_;
  SteadyClock::time_point sent_at_{};
};

class ImageSink final : public engine::Sink {
 public:
  ImageSink(ServerLink& link, const protocol::Run& run, int index) : link_(link), run_(run), index_(index) {}

  void progress(engine::Phase phase, int step, int steps) override {
    const auto now = SteadyClock::now();
    const bool notable = phase != phase_ || step == steps;
    if (!notable && now - progress_at_ < kProgressPause) return;
    phase_ = phase;
    progress_at_ = now;
    // engine::Phase and Phase have the same words; the engine's interface must not depend on the domain's.
    link_.send(protocol::Progress{run_.chunk_id, index_, phase_from(name(phase)).value_or(Phase::sample),
                                  std::max(step, 0), std::max(steps, 0)});
  }

  void preview(int step, int steps, std::uint32_t width, std::uint32_t height, const std::uint8_t* rgb) override {
    const auto now = SteadyClock::now();
    if (run_.preview_every_ms <= 0 || width == 0 || height == 0 ||
        now - preview_at_ < std::chrono::milliseconds(run_.preview_every_ms)) {
      return;
    }
    preview_at_ = now;
    const auto memory = ipc::seal({rgb, std::size_t{3} * width * height}, "pixelfleet-preview");
    if (!memory) return;  // a preview is a courtesy
    link_.send(protocol::Preview{run_.chunk_id, index_, std::max(step, 0), std::max(steps, 0), static_cast<int>(width),
                                 static_cast<int>(height)},
               memory->get());
  }

  void log(engine::LogLevel level, std::string_view line) override { log_engine_line(level, line); }

 private:
  ServerLink& link_;
  const protocol::Run& run_;
  const int index_;
  engine::Phase phase_ = engine::Phase::load;
  SteadyClock::time_point progress_at_{};
  SteadyClock::time_point preview_at_{};
};

SandboxReport sandbox_from_environment() {
  const char* wanted = std::getenv(worker_environment::kSandbox);
  if (wanted != nullptr && std::string_view(wanted) == "off") return {SandboxLevel::none, "switched off"};
  const char* kind = std::getenv(worker_environment::kDevices);
  const std::string_view devices = kind != nullptr ? kind : "";
  return enter_sandbox(devices == "nvidia" ? Devices::nvidia : devices == "amd" ? Devices::amd : Devices::none);
}

[[noreturn]] void fail_load(ServerLink& link, const engine::Failure& failure) {
  log::error("worker", "error: {}", failure.message);
  link.send(protocol::LoadFailed{failure_of(failure)});
  leave(exit_code_of(failure.failure_class));
}

// One worker's life after the load message: the engine, and the chunks it makes.
class Worker {
 public:
  Worker(ServerLink& link, const protocol::Load& load) : link_(link), engine_(open_engine(link, load)) {}

  void load(const protocol::Load& order) {
    link_.start_reading([this](std::int64_t chunk) { engine_.cancel(static_cast<std::uint64_t>(chunk)); });
    engine::ModelSpec model{order.model, {}, order.demo ? protocol::demo_text(*order.demo) : std::string()};
    for (const auto& part : order.parts) model.parts.emplace_back(part.role, part.file);
    LoadSink sink(link_);
    const auto loaded = engine_.load(model, sink);
    if (const auto* failure = std::get_if<engine::Failure>(&loaded)) fail_load(link_, *failure);
    const auto& facts = std::get<engine::Loaded>(loaded);
    const engine::Info& info = engine_.info();
    link_.send(protocol::Ready{.engine = info.engine,
                               .engine_version = info.version,
                               .generation = info.generation,
                               .cancel = std::string(name(info.capabilities.cancel)),
                               .preview = info.capabilities.preview,
                               .img2img = info.capabilities.img2img,
                               .inpaint = info.capabilities.inpaint,
                               .lora = info.capabilities.lora,
                               .device_bytes = static_cast<std::int64_t>(facts.device_bytes),
                               .host_bytes = static_cast<std::int64_t>(facts.host_bytes),
                               .load_seconds = facts.load_seconds});
  }

  [[noreturn]] void serve() {
    while (true) {
      malloc_trim(0);  // an idle worker should not hold what its last picture needed
      const ServerLink::Order order = link_.wait_for_run();
      const protocol::Run& run = order.run;
      std::optional<engine::Failure> failure;
      const auto inputs = read_inputs(run, order.inputs);
      if (!inputs) failure = engine::Failure{engine::FailureClass::bad_request, inputs.error().message, {}};
      for (const auto& image : run.images) {
        if (failure || link_.is_cancelled(run.chunk_id)) break;
        failure = make(run, *inputs, image);
      }
      finish(run, failure);
    }
  }

 private:
  static engine::Engine open_engine(ServerLink& link, const protocol::Load& load) {
    const auto plugin = engine::Plugin::open(load.plugin);
    if (!plugin) fail_load(link, {engine::FailureClass::engine_error, plugin.error().message, {}});
    auto started = plugin->start({load.engine_library, load.gpu_kind, 0, load.time_scale});
    if (const auto* failure = std::get_if<engine::Failure>(&started)) fail_load(link, *failure);
    return std::get<engine::Engine>(std::move(started));
  }

  // Makes one picture and hands it over. A cancelled one leaves nothing.
  std::optional<engine::Failure> make(const protocol::Run& run, const InputPictures& inputs,
                                      const protocol::Run::Image& image) {
    ImageSink sink(link_, run, image.index);
    auto result = engine_.generate({.ticket = static_cast<std::uint64_t>(run.chunk_id),
                                    .prompt = run.prompt,
                                    .negative_prompt = run.negative_prompt,
                                    .width = run.width,
                                    .height = run.height,
                                    .steps = run.steps,
                                    .cfg_scale = run.cfg_scale,
                                    .sampler = run.sampler,
                                    .scheduler = run.scheduler,
                                    .seed = image.seed,
                                    .init_rgb = inputs.init_rgb,
                                    .mask = inputs.mask,
                                    .strength = run.strength,
                                    .preview_every_ms = run.preview_every_ms},
                                   sink);
    if (auto* failure = std::get_if<engine::Failure>(&result)) return std::move(*failure);
    const auto* picture = std::get_if<engine::Picture>(&result);
    if (picture == nullptr) return std::nullopt;
    if (picture->rgb() == nullptr || picture->width() != static_cast<std::uint32_t>(run.width) ||
        picture->height() != static_cast<std::uint32_t>(run.height)) {
      return engine::Failure{engine::FailureClass::invalid_output,
                             format("the engine made {}x{} where {}x{} was asked", picture->width(), picture->height(),
                                    run.width, run.height),
                             {}};
    }
    std::vector<std::uint8_t> joined;
    if (!inputs.mask.empty()) {
      joined.assign(picture->rgb(), picture->rgb() + picture->size_bytes());
      inputs.restore_unmasked(joined);
    }
    const std::uint8_t* rgb = joined.empty() ? picture->rgb() : joined.data();
    const auto memory = ipc::seal({rgb, picture->size_bytes()}, "pixelfleet-image");
    if (!memory) return engine::Failure{engine::FailureClass::out_of_memory, memory.error().message, {}};
    link_.send_image(
        {run.chunk_id, run.attempt, image.index, image.seed, run.width, run.height, std::max(picture->seconds(), 0.0)},
        memory->get());
    return std::nullopt;
  }

  void finish(const protocol::Run& run, const std::optional<engine::Failure>& failure) {
    if (!failure) {
      const char* outcome = link_.is_cancelled(run.chunk_id) ? "cancelled" : "done";
      return link_.send(protocol::ChunkDone{run.chunk_id, outcome, {}});
    }
    log::error("worker", "error: {}", failure->message);
    link_.send(protocol::ChunkDone{run.chunk_id, "failed", failure_of(*failure)});
    // After these the process is worth less than a fresh one: memory in pieces, or a device that refuses every call.
    if (failure->failure_class == engine::FailureClass::out_of_memory) leave(exit_code::kOutOfMemory);
    if (is_sticky(*failure)) leave(exit_code::kStickyDevice);
  }

  ServerLink& link_;
  engine::Engine engine_;
};

}  // namespace

void worker_main(int socket_fd, std::string_view build) {
  const bool has_parent = die_with_parent(socket_fd);
  const SandboxReport sandbox = sandbox_from_environment();
  dup2(STDERR_FILENO, STDOUT_FILENO);
  // Pictures come and go: give their memory back instead of keeping it for later.
  mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  log::configure(log::Level::info, log::Style::text);
  if (!has_parent) {
    log::error("worker", "error: the server that started this worker is gone");
    leave(exit_code::kParentGone);
  }
  if (!sandbox.detail.empty()) log::warn("worker", "sandbox: {}", sandbox.detail);

  try {
    ServerLink link{UniqueFd(socket_fd)};
    link.send(protocol::Hello{protocol::kVersion, static_cast<int>(getpid()), std::string(build),
                              std::string(name(sandbox.level))});
    const protocol::Load load = link.wait_for_load();
    if (sandbox.level != SandboxLevel::none) {
      std::vector<std::string> files;
      for (const auto& part : load.parts) files.push_back(part.file);
      const std::string missing = restrict_reading(files, {load.plugin, load.engine_library});
      if (!missing.empty()) log::warn("worker", "sandbox: {}", missing);
    }
    Worker worker(link, load);
    worker.load(load);
    worker.serve();
  } catch (const std::bad_alloc&) {
    log::error("worker", "error: out of host memory");
    leave(exit_code::kOutOfMemory);
  }
}

}  // namespace pixelfleet::workers
