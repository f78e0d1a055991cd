// The `synthetic` plug-in: demo models that paint pictures and take the time that their parameters say.
//
// For seeing and testing the program without a GPU or a checkpoint. A model is a JSON object:
//   {"scene": "landscape", "load_seconds": 4, "step_seconds": 0.05, "memory_bytes": 7000000000, "host_bytes": 0,
//    "faults": "prompt,load:oom"}
// all of it optional. Times are divided by the time scale and kept by deadline: painting happens inside the steps'
// time. Waits end at once when the image is cancelled.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

#include "base/format.h"
#include "base/json_full.h"
#include "base/mutex.h"
#include "engine/plugin_support.h"
#include "engine/synthetic/faults.h"
#include "engine/synthetic/painting.h"

namespace pixelfleet::engine::synthetic {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Seconds = std::chrono::duration<double>;

constexpr int kMaxSide = 8192;
constexpr int kLoadSteps = 20;
constexpr double kMaxSeconds = 86'400;

SteadyTime now() { return std::chrono::steady_clock::now(); }
SteadyTime after(SteadyTime start, double seconds) {
  return start + std::chrono::duration_cast<SteadyTime::duration>(Seconds(seconds));
}
double since(SteadyTime start) { return Seconds(now() - start).count(); }

struct DemoModel {
  const Scene* scene = nullptr;
  double load_seconds = 0.5, step_seconds = 0.02;
  std::uint64_t memory_bytes = 0, host_bytes = 0;
  FaultScript faults;
};

Result<DemoModel> demo_model(std::string_view key, std::string_view text) {
  DemoModel model;
  std::string scene(key);
  if (!text.empty()) {
    Result<Json> json = parse_json(text);
    if (!json) return fail(json.error());
    if (!json->is_object()) return fail(ErrorCode::invalid_argument, "is not a JSON object");
    const auto number = [&](const char* name, double otherwise) {
      return json->contains(name) && json->at(name).is_number() ? json->at(name).get<double>() : otherwise;
    };
    const auto string = [&](const char* name) {
      return json->contains(name) && json->at(name).is_string() ? json->at(name).get<std::string>() : std::string();
    };
    if (!string("scene").empty()) scene = string("scene");
    model.load_seconds = std::clamp(number("load_seconds", model.load_seconds), 0.0, kMaxSeconds);
    model.step_seconds = std::clamp(number("step_seconds", model.step_seconds), 0.0, kMaxSeconds);
    model.memory_bytes = static_cast<std::uint64_t>(std::max(0.0, number("memory_bytes", 0)));
    model.host_bytes = static_cast<std::uint64_t>(std::max(0.0, number("host_bytes", 0)));
    Result<FaultScript> faults = parse_fault_script(string("faults"));
    if (!faults) return fail(faults.error());
    model.faults = *faults;
  }
  model.scene = &scene_named(scene);
  return model;
}

}  // namespace
}  // namespace pixelfleet::engine::synthetic

namespace synthetic = pixelfleet::engine::synthetic;
using pixelfleet::format;
using pixelfleet::Mutex;
using pixelfleet::MutexLock;
using pixelfleet::Result;

struct PfEngine {
 public:
  explicit PfEngine(const PfOptions& options) : time_scale_(options.time_scale > 0 ? options.time_scale : 1) {}

  int32_t open() { return PF_OK; }
  const PfInfo* info() const { return &info_; }
  const PfFailure* failure() const { return failure_.get(); }

  int32_t load(const PfModel& model, const PfSink& sink, PfLoaded& loaded) {
    const auto start = synthetic::now();
    Result<synthetic::DemoModel> demo = synthetic::demo_model(model.key, model.demo);
    if (!demo) {
      return failure_.set(PF_MODEL_UNREADABLE,
                          format("the parameters of demo model {}: {}", model.key, demo.error().message));
    }
    model_ = *demo;
    const double load_seconds = model_.load_seconds / time_scale_ * slowness(model_.faults.load);
    pixelfleet::engine::Progress progress(sink);
    progress.report(PF_PHASE_LOAD, 0, synthetic::kLoadSteps);
    for (int step = 1; step <= synthetic::kLoadSteps; ++step) {
      if (model_.faults.load && step > synthetic::kLoadSteps / 2) {
        if (const int32_t struck = strike(*model_.faults.load); struck != PF_OK) return struck;
      }
      wait_until(synthetic::after(start, load_seconds * step / synthetic::kLoadSteps), 0);
      progress.report(PF_PHASE_LOAD, step, synthetic::kLoadSteps);
    }
    loaded = {model_.memory_bytes, model_.host_bytes, synthetic::since(start)};
    return PF_OK;
  }

  int32_t generate(const PfRequest& request, const PfSink& sink, PfImage& image) {
    const auto start = synthetic::now();
    if (model_.scene == nullptr) return failure_.set(PF_BAD_REQUEST, "no model is loaded");
    if (const std::string problem = problem_of(request); !problem.empty()) {
      return failure_.set(PF_BAD_REQUEST, problem);
    }
    std::optional<synthetic::Fault> fault = model_.faults.image;
    if (model_.faults.prompts) {
      Result<std::optional<synthetic::Fault>> found = synthetic::fault_of_prompt(request.prompt);
      if (!found) return failure_.set(PF_BAD_REQUEST, found.error().message);
      if (*found) fault = *found;
    }
    const double step_seconds = model_.step_seconds / time_scale_ * slowness(fault);
    const int steps = pixelfleet::engine::sampled_steps(request);

    pixelfleet::engine::Progress progress(sink);
    progress.report(PF_PHASE_TEXT, 0, 0);
    progress.report(PF_PHASE_SAMPLE, 0, steps);
    std::optional<synthetic::Painting> painting;
    auto preview_due = start;
    for (int step = 1; step <= steps; ++step) {
      if (fault && std::max(1, fault->step) == step) {
        if (const int32_t struck = strike(*fault); struck != PF_OK) return struck;
      }
      if (!painting) {
        painting.emplace(*model_.scene,
                         synthetic::PaintingRequest{request.prompt, request.negative_prompt, request.width,
                                                    request.height, steps, request.cfg_scale, request.seed});
      }
      wait_until(synthetic::after(start, step_seconds * step), request.ticket);
      if (cancelled_.covers(request.ticket)) return PF_CANCELLED;
      progress.report(PF_PHASE_SAMPLE, step, steps);
      if (request.preview_every_ms > 0 && synthetic::now() >= preview_due) {
        preview_due = synthetic::now() + std::chrono::milliseconds(request.preview_every_ms);
        const synthetic::Preview preview = painting->preview(step);
        sink.preview(sink.user, step, steps, static_cast<uint32_t>(preview.width),
                     static_cast<uint32_t>(preview.height), preview.rgb.data());
      }
    }
    progress.report(PF_PHASE_DECODE, 0, 1);
    if (cancelled_.covers(request.ticket)) return PF_CANCELLED;
    auto pixels = std::make_unique<std::vector<std::uint8_t>>(painting->take());
    if (request.init_rgb != nullptr) paint_over(request, *pixels);
    if (fault && fault->kind == synthetic::FaultKind::black) {
      return failure_.set(PF_INVALID_OUTPUT,
                          "the engine returned a picture of one single colour, which is no picture: the weights or the "
                          "guidance scale overflowed",
                          {"[fault:black]"});
    }
    progress.report(PF_PHASE_DECODE, 1, 1);
    image.width = static_cast<uint32_t>(request.width);
    image.height = static_cast<uint32_t>(request.height);
    image.rgb = pixels->data();
    image.owner = pixels.release();
    image.seconds = synthetic::since(start);
    return PF_OK;
  }

  void cancel(std::uint64_t ticket) {
    const MutexLock lock(mutex_);
    cancelled_.cancel(ticket);
    changed_.notify_all();
  }

  int32_t fail(PfFailureClass failure_class, std::string message) {
    return failure_.set(failure_class, std::move(message));
  }

 private:
  // Empty when the request can be painted.
  static std::string problem_of(const PfRequest& request) {
    if (request.width < 1 || request.width > synthetic::kMaxSide || request.height < 1 ||
        request.height > synthetic::kMaxSide) {
      return format("size {}x{}: allowed are 1 to {} pixels a side", request.width, request.height,
                    synthetic::kMaxSide);
    }
    if (request.steps < 1) return format("steps {}: must be at least 1", request.steps);
    if (!std::isfinite(request.cfg_scale)) return "cfg_scale is not a finite number";
    if (request.init_rgb != nullptr && !(request.strength > 0.0 && request.strength <= 1.0)) {
      return format("strength {}: allowed is more than 0, up to 1", request.strength);
    }
    return {};
  }

  // The input shines through by what strength leaves of it, and stays where the mask says so.
  static void paint_over(const PfRequest& request, std::vector<std::uint8_t>& rgb) {
    const auto anew = static_cast<unsigned>(std::lround(std::clamp(request.strength, 0.0, 1.0) * 256));
    for (std::size_t i = 0; i < rgb.size(); ++i) {
      const bool stays = request.mask != nullptr && request.mask[i / 3] == 0;
      const unsigned part = stays ? 0 : anew;
      rgb[i] = static_cast<std::uint8_t>((rgb[i] * part + request.init_rgb[i] * (256 - part) + 128) / 256);
    }
  }

  void wait_until(synthetic::SteadyTime deadline, std::uint64_t ticket) {
    const MutexLock lock(mutex_);
    while (synthetic::now() < deadline && !(ticket != 0 && cancelled_.covers(ticket))) {
      changed_.wait_until(mutex_, deadline);
    }
  }

  static double slowness(const std::optional<synthetic::Fault>& fault) {
    return fault && fault->kind == synthetic::FaultKind::slow ? std::max(1, fault->value) : 1;
  }

  // Does what a fault says. Returns PF_OK for those that show later.
  int32_t strike(const synthetic::Fault& fault) {
    switch (fault.kind) {
      case synthetic::FaultKind::crash: std::abort();
      case synthetic::FaultKind::exit: std::_Exit(fault.value);
      case synthetic::FaultKind::hang:
        for (;;) pause();
      case synthetic::FaultKind::oom:
        return failure_.set(PF_OUT_OF_MEMORY, "out of memory while allocating a buffer on the device", {"[fault:oom]"});
      case synthetic::FaultKind::error:
        return failure_.set(PF_ENGINE_ERROR, "the engine failed as it was told to", {"[fault:error]"});
      case synthetic::FaultKind::black:
      case synthetic::FaultKind::slow: return PF_OK;
    }
    return PF_OK;
  }

  // The names are accepted and change nothing: a demo model has one way to paint.
  static constexpr const char* kSamplers[] = {"euler_a", "euler",     "heun",          "dpm2", "dpm++2s_a",
                                              "dpm++2m", "dpm++2mv2", "ddim_trailing", "lcm"};
  static constexpr const char* kSchedulers[] = {"discrete", "karras", "exponential", "ays", "sgm_uniform", "simple"};

  const double time_scale_;
  const PfInfo info_{.engine = "synthetic",
                     .version = "1",
                     .generation = "",
                     .cancel = PF_CANCEL_STEP,
                     .preview = 1,
                     .img2img = 1,
                     .inpaint = 1,
                     .lora = 0,
                     .samplers = kSamplers,
                     .sampler_count = std::size(kSamplers),
                     .schedulers = kSchedulers,
                     .scheduler_count = std::size(kSchedulers)};
  synthetic::DemoModel model_;
  pixelfleet::engine::LastFailure failure_;
  pixelfleet::engine::CancelTicket cancelled_;
  Mutex mutex_;
  pixelfleet::CondVar changed_;
};

extern "C" __attribute__((visibility("default"))) const PfEngineApi* pixelfleet_engine_api(uint32_t abi) {
  static constexpr PfEngineApi kApi = pixelfleet::engine::PluginApi<PfEngine>::table("synthetic");
  return abi == PF_ENGINE_ABI ? &kApi : nullptr;
}
