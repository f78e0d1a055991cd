// The `sdcpp` plug-in: stable-diffusion.cpp behind the interface of abi.h.
//
// The library aborts, hangs, throws or reports success with a black picture on inputs that look harmless, so everything
// is checked before a call and distrusted after it. Its callbacks are process-global and it holds one context: this
// plug-in allows one engine at a time. What cannot be caught (abort, a hang) is the supervisor's business.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/utf8.h"
#include "engine/model_file_check.h"
#include "engine/plugin_support.h"
#include "engine/sdcpp/fields.h"
#include "engine/sdcpp/library.h"
#include "engine/sdcpp/readings.h"

namespace pixelfleet::engine::sdcpp {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

SteadyTime now() { return std::chrono::steady_clock::now(); }
double since(SteadyTime start) { return std::chrono::duration<double>(now() - start).count(); }

constexpr int kMaxSide = 8192;
constexpr int kMaxSteps = 1000;
constexpr std::uint32_t kPreviewSide = 256;

// What generate_image gave, whichever generation it is of; frees it in the way of that generation.
struct Output {
  sd_image_t* images = nullptr;
  int count = 0;
};

template <class Generate>
Output run(Generate generate, sd_ctx_t* context, const sd_img_gen_params_t& params) {
  Output output;
  if constexpr (kReturnsSuccess) {
    if (!generate(context, &params, &output.images, &output.count)) output.count = 0;
  } else {
    output.images = generate(context, &params);
    output.count = output.images != nullptr ? params.batch_count : 0;
  }
  return output;
}

}  // namespace
}  // namespace pixelfleet::engine::sdcpp

namespace sdcpp = pixelfleet::engine::sdcpp;
using pixelfleet::format;
using pixelfleet::Result;

struct PfEngine {
 public:
  explicit PfEngine(const PfOptions& options)
      : library_path_(options.library), device_kind_(options.device_kind), threads_(options.threads) {}

  ~PfEngine() {
    if (context_ != nullptr) library_->free_ctx(context_);
    PfEngine* self = this;
    current_.compare_exchange_strong(self, nullptr);
  }

  const PfInfo* info() const { return &info_; }
  const PfFailure* failure() const { return failure_.get(); }

  int32_t open() {
    if (device_kind_ == "virtual") {
      return failure_.set(PF_BAD_REQUEST,
                          "stable-diffusion.cpp needs a real device: a virtual gpu runs demo models only");
    }
    if (library_path_.empty()) library_path_ = PIXELFLEET_SDCPP_LIBRARY;
    PfEngine* none = nullptr;
    if (!current_.compare_exchange_strong(none, this)) {
      return failure_.set(PF_ENGINE_ERROR,
                          "stable-diffusion.cpp allows one engine in a process, and there is one already");
    }
    Result<sdcpp::Library> library = sdcpp::Library::open(library_path_);
    if (!library) return failure_.set(PF_ENGINE_ERROR, library.error().message);
    library_ = *library;

    std::vector<std::string> samplers, schedulers;
    for (int i = 0; i < SAMPLE_METHOD_COUNT; ++i) {
      samplers.emplace_back(library_->sample_method_name(static_cast<sample_method_t>(i)));
    }
    for (int i = 0; i < SCHEDULER_COUNT; ++i) {
      schedulers.emplace_back(library_->scheduler_name(static_cast<scheduler_t>(i)));
    }
    samplers_ = pixelfleet::engine::TextList(std::move(samplers));
    schedulers_ = pixelfleet::engine::TextList(std::move(schedulers));
    const bool can_cancel = library_->cancel_generation != nullptr;
    info_ = PfInfo{.engine = "sdcpp",
                   .version = library_->version.c_str(),
                   .generation = library_->generation().data(),
                   .cancel = can_cancel ? PF_CANCEL_STEP : PF_CANCEL_KILL,
                   .preview = 1,
                   .img2img = 1,
                   .inpaint = 1,
                   .lora = 0,
                   .samplers = samplers_.data(),
                   .sampler_count = samplers_.size(),
                   .schedulers = schedulers_.data(),
                   .scheduler_count = schedulers_.size()};

    library_->set_log_callback(
        [](sd_log_level_t level, const char* text, void*) {
          if (PfEngine* engine = current_.load()) engine->on_log(level, text);
        },
        nullptr);
    // Without a callback the library draws a progress bar on stdout.
    library_->set_progress_callback(
        [](int step, int steps, float, void*) {
          if (PfEngine* engine = current_.load()) engine->on_progress(step, steps);
        },
        nullptr);
    if (library_->set_abort_callback != nullptr) {
      library_->set_abort_callback([](const char* message) {
        if (PfEngine* engine = current_.load()) engine->on_log(SD_LOG_ERROR, message);
      });
    }
    return PF_OK;
  }

  int32_t load(const PfModel& model, const PfSink& sink, PfLoaded& loaded) {
    if (context_ != nullptr)
      return failure_.set(PF_BAD_REQUEST, "a model is loaded already: one engine holds one model");
    const auto start = sdcpp::now();
    sd_ctx_params_t params;
    library_->ctx_params_init(&params);
    const bool on_cpu = device_kind_ == "cpu";
    const int cores = library_->physical_cores();
    // Beside a GPU the processor only feeds it.
    sdcpp::set_common(params, on_cpu, threads_ > 0 ? threads_ : on_cpu ? cores : std::min(4, cores));

    std::uint64_t file_bytes = 0;
    for (std::size_t i = 0; i < model.part_count; ++i) {
      const PfPart& part = model.parts[i];
      const char** field = sdcpp::part_field(params, part.role);
      if (field == nullptr) {
        return failure_.set(PF_MODEL_UNREADABLE,
                            format("model {}: this engine library takes no part \"{}\"", model.key, part.role));
      }
      Result<pixelfleet::engine::ModelFile> file = pixelfleet::engine::check_model_file(part.file);
      if (!file) {
        return failure_.set(PF_MODEL_UNREADABLE,
                            format("model {}, part {}: {}", model.key, part.role, file.error().message));
      }
      file_bytes += file->bytes;
      *field = part.file;
    }
    if (params.model_path == nullptr && params.diffusion_model_path == nullptr) {
      return failure_.set(PF_MODEL_UNREADABLE,
                          format("model {} has neither a checkpoint nor a diffusion part", model.key));
    }

    const std::uint64_t resident_before = sdcpp::resident_bytes();
    const Call call(*this, sink, 0);
    call_->progress.report(PF_PHASE_LOAD, 0, 0);
    if (const int32_t status = guarded([&] { context_ = library_->new_ctx(&params); }, PF_MODEL_UNREADABLE);
        status != PF_OK) {
      return status;
    }
    if (context_ == nullptr) {
      const std::vector<std::string> lines = errors_.lines();
      if (sdcpp::mentions_memory(lines)) {
        return failure_.set(PF_OUT_OF_MEMORY, format("model {} does not fit into the memory of this device", model.key),
                            lines);
      }
      return failure_.set(
          PF_MODEL_UNREADABLE,
          format("the engine refused model {}: {}", model.key, lines.empty() ? "it gave no reason" : lines.front()),
          lines);
    }
    const std::uint64_t resident_after = sdcpp::resident_bytes();
    loaded.host_bytes = resident_after > resident_before ? resident_after - resident_before : 0;
    loaded.device_bytes = params_bytes_ > 0 ? params_bytes_ : file_bytes;
    loaded.load_seconds = sdcpp::since(start);
    return PF_OK;
  }

  int32_t generate(const PfRequest& request, const PfSink& sink, PfImage& image) {
    const auto start = sdcpp::now();
    if (context_ == nullptr) return failure_.set(PF_BAD_REQUEST, "no model is loaded");
    sd_img_gen_params_t params;
    library_->img_gen_params_init(&params);
    if (const std::string problem = prepare(request, params); !problem.empty())
      return failure_.set(PF_BAD_REQUEST, problem);
    if (cancelled_.covers(request.ticket)) return PF_CANCELLED;

    const Call call(*this, sink, pixelfleet::engine::sampled_steps(request));
    call_->ticket = request.ticket;
    call_->preview_every = std::chrono::milliseconds(request.preview_every_ms);
    call_->preview_due = start;
    call_->progress.report(PF_PHASE_TEXT, 0, 0);
    set_previews(request.preview_every_ms > 0);

    sdcpp::Output output;
    running_ticket_.store(request.ticket);
    running_.store(true);
    const int32_t status = guarded([&] { output = sdcpp::run(library_->generate, context_, params); }, PF_ENGINE_ERROR);
    running_.store(false);
    if (status != PF_OK) return status;
    auto pixels = std::make_unique<std::vector<std::uint8_t>>();
    const std::string problem = take(output, image, *pixels);
    if (cancelled_.covers(request.ticket)) return PF_CANCELLED;
    if (!problem.empty()) return refuse_output(problem, output.count);
    call_->progress.report(PF_PHASE_DECODE, 1, 1);
    image.rgb = pixels->data();
    image.owner = pixels.release();
    image.seconds = sdcpp::since(start);
    return PF_OK;
  }

  void cancel(std::uint64_t ticket) {
    cancelled_.cancel(ticket);
    // A call that has not come far enough loses this; the next progress report sends it again.
    if (running_.load() && running_ticket_.load() == ticket && library_->cancel_generation != nullptr) {
      library_->cancel_generation(context_, kCancelAll);
    }
  }

  int32_t fail(PfFailureClass failure_class, std::string message) {
    return failure_.set(failure_class, std::move(message), errors_.lines());
  }

 private:
  static constexpr int kCancelAll = PIXELFLEET_SDCPP_CANCEL_ALL;

  // What the callbacks need to know of the call that runs.
  struct CallState {
    CallState(const PfSink& to, int planned_steps) : sink(to), progress(to), steps(planned_steps) {}

    const PfSink& sink;
    pixelfleet::engine::Progress progress;
    int steps;  // of sampling; 0 while loading
    std::uint64_t ticket = 0;
    std::chrono::milliseconds preview_every{0};
    sdcpp::SteadyTime preview_due;
  };

  class Call {
   public:
    Call(PfEngine& engine, const PfSink& sink, int steps) : engine_(engine) {
      engine_.errors_.clear();
      engine_.call_.emplace(sink, steps);
    }
    ~Call() { engine_.call_.reset(); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    PfEngine& engine_;
  };

  // Runs a call into the library; what it throws becomes a failure.
  template <class Function>
  int32_t guarded(Function function, PfFailureClass otherwise) {
    try {
      function();
      return PF_OK;
    } catch (const std::bad_alloc&) {
      return fail(PF_OUT_OF_MEMORY, "the engine ran out of host memory");
    } catch (const std::exception& problem) {
      return fail(otherwise, format("the engine failed with an exception: {}", problem.what()));
    } catch (...) {
      return fail(otherwise, "the engine failed with an exception of an unknown kind");
    }
  }

  // UNets halve the latent picture three times; transformers cut it into patches of two.
  int size_multiple() const {
    return family_.starts_with("SD 1") || family_.starts_with("SD 2") || family_.starts_with("SDXL") || family_.empty()
               ? 64
               : 16;
  }

  // Fills `params`; says what is wrong with the request, or nothing. Some of what is refused here would crash or hang.
  std::string prepare(const PfRequest& request, sd_img_gen_params_t& params) const {
    const int multiple = size_multiple();
    for (const auto& [side, pixels] : {std::pair{"width", request.width}, std::pair{"height", request.height}}) {
      if (pixels < 64 || pixels > sdcpp::kMaxSide || pixels % multiple != 0) {
        return format("{} {}: this model takes multiples of {} from 64 to {}", side, pixels, multiple, sdcpp::kMaxSide);
      }
    }
    if (request.steps < 1 || request.steps > sdcpp::kMaxSteps) {
      return format("steps {}: allowed are 1 to {}", request.steps, sdcpp::kMaxSteps);
    }
    if (!std::isfinite(request.cfg_scale)) return "cfg_scale is not a finite number";
    if (request.seed < 0) return format("seed {}: must not be negative here, where it has been decided", request.seed);
    for (const auto& [field, text] :
         {std::pair{"prompt", request.prompt}, std::pair{"negative_prompt", request.negative_prompt}}) {
      if (pixelfleet::find_invalid_utf8(text)) return format("{} is not UTF-8", field);
    }
    const std::string_view sampler = request.sampler, scheduler = request.scheduler;
    if (sampler != "default") {
      params.sample_params.sample_method = library_->sample_method_from(request.sampler);
      if (params.sample_params.sample_method == SAMPLE_METHOD_COUNT) {
        return format("sampler \"{}\" is not known to this engine library", sampler);
      }
    }
    if (scheduler != "default") {
      params.sample_params.scheduler = library_->scheduler_from(request.scheduler);
      if (params.sample_params.scheduler == SCHEDULER_COUNT) {
        return format("scheduler \"{}\" is not known to this engine library", scheduler);
      }
    }
    params.prompt = request.prompt;
    params.negative_prompt = request.negative_prompt;
    params.width = request.width;
    params.height = request.height;
    params.sample_params.sample_steps = request.steps;
    params.sample_params.guidance.txt_cfg = static_cast<float>(request.cfg_scale);
    params.seed = request.seed;
    // The library only reads these.
    const auto picture = [&](const std::uint8_t* data, std::uint32_t channels) {
      return sd_image_t{static_cast<std::uint32_t>(request.width), static_cast<std::uint32_t>(request.height), channels,
                        const_cast<std::uint8_t*>(data)};
    };
    if (request.init_rgb != nullptr) {
      if (!(request.strength > 0.0 && request.strength <= 1.0)) {
        return format("strength {}: allowed is more than 0, up to 1", request.strength);
      }
      params.init_image = picture(request.init_rgb, 3);
      params.strength = static_cast<float>(request.strength);
      if (request.mask != nullptr) params.mask_image = picture(request.mask, 1);
    }
    params.batch_count = 1;
    return {};
  }

  void set_previews(bool wanted) {
    if (!wanted) {
      library_->set_preview_callback(nullptr, PREVIEW_NONE, 1, false, false, nullptr);
      return;
    }
    library_->set_preview_callback(
        [](int step, int count, sd_image_t* frames, bool, void*) {
          if (PfEngine* engine = current_.load()) engine->on_preview(step, count, frames);
        },
        PREVIEW_PROJ, 1, true, false, nullptr);
  }

  // Moves the picture out of the library's memory. Says what is wrong with it, or nothing.
  std::string take(const sdcpp::Output& output, PfImage& image, std::vector<std::uint8_t>& pixels) const {
    const std::string problem = [&]() -> std::string {
      if (output.images == nullptr || output.count < 1) return "no picture";
      const sd_image_t& first = output.images[0];
      if (first.data == nullptr) return "a picture without pixels";
      if (first.channel != 3 || first.width < 1 || first.height < 1 || first.width > sdcpp::kMaxSide ||
          first.height > sdcpp::kMaxSide) {
        return format("a picture of {}x{} with {} channels", first.width, first.height, first.channel);
      }
      // The size is the engine's word: it rounds what it was asked for.
      image.width = first.width;
      image.height = first.height;
      pixels.assign(first.data, first.data + std::size_t{3} * first.width * first.height);
      if (sdcpp::is_black(pixels)) return "a black picture";
      return {};
    }();
    if (output.images != nullptr) {
      if (library_->free_images != nullptr) {
        library_->free_images(output.images, output.count);
      } else {
        for (int i = 0; i < output.count; ++i) std::free(output.images[i].data);
        std::free(output.images);
      }
    }
    return problem;
  }

  int32_t refuse_output(const std::string& problem, int count) {
    const std::vector<std::string> lines = errors_.lines();
    if (sdcpp::mentions_memory(lines)) {
      return failure_.set(PF_OUT_OF_MEMORY, "the picture does not fit into the memory of this device", lines);
    }
    if (count < 1) {
      return failure_.set(PF_ENGINE_ERROR,
                          format("the engine made no picture: {}", lines.empty() ? "it gave no reason" : lines.back()),
                          lines);
    }
    return failure_.set(
        PF_INVALID_OUTPUT,
        format("the engine returned {}, which is no result. A guidance scale or a model in half precision "
               "that overflows does this: try a lower cfg_scale or another VAE",
               problem),
        lines);
  }

  void on_log(sd_log_level_t level, const char* text) {
    const std::string line(sdcpp::trimmed(text));
    if (line.empty()) return;
    constexpr std::string_view kVersion = "Version: ", kTotal = "total params memory size = ";
    if (line.starts_with(kVersion)) family_ = line.substr(kVersion.size());
    if (line.starts_with(kTotal)) {
      const double megabytes = std::strtod(line.c_str() + kTotal.size(), nullptr);
      if (megabytes > 0) params_bytes_ = static_cast<std::uint64_t>(megabytes * 1024 * 1024);
    }
    if (level == SD_LOG_ERROR) errors_.add(line);
    if (level == SD_LOG_DEBUG || !call_) return;
    const int32_t our_level = level == SD_LOG_ERROR ? PF_LOG_ERROR : level == SD_LOG_WARN ? PF_LOG_WARN : PF_LOG_DEBUG;
    call_->sink.log(call_->sink.user, our_level, line.c_str());
  }

  // The library reports weights, sampling steps and VAE tiles alike.
  void on_progress(int step, int steps) {
    if (!call_) return;
    if (call_->steps == 0) {
      call_->progress.report(PF_PHASE_LOAD, step, steps);
      return;
    }
    if (call_->ticket != 0 && cancelled_.covers(call_->ticket) && library_->cancel_generation != nullptr) {
      library_->cancel_generation(context_, kCancelAll);
    }
    if (call_->progress.phase() < PF_PHASE_DECODE && steps == call_->steps) {
      call_->progress.report(PF_PHASE_SAMPLE, step, steps);
      if (step == steps) call_->progress.report(PF_PHASE_DECODE, 0, 1);
    }
  }

  void on_preview(int step, int count, const sd_image_t* frames) {
    if (!call_ || count < 1 || frames == nullptr || frames[0].data == nullptr || frames[0].channel < 3) return;
    const sd_image_t& frame = frames[0];
    if (frame.width == 0 || frame.height == 0 || frame.width > sdcpp::kMaxSide || frame.height > sdcpp::kMaxSide)
      return;
    const auto time = sdcpp::now();
    if (time < call_->preview_due) return;
    call_->preview_due = time + call_->preview_every;
    const std::uint32_t factor = std::max(1u, sdcpp::kPreviewSide / std::max(frame.width, frame.height));
    const std::vector<std::uint8_t> rgb = sdcpp::enlarged(frame, factor);
    call_->sink.preview(call_->sink.user, step, call_->steps, frame.width * factor, frame.height * factor, rgb.data());
  }

  // Whose the library's process-global callbacks are.
  static std::atomic<PfEngine*> current_;

  std::string library_path_;
  const std::string device_kind_;
  const int threads_;
  std::optional<sdcpp::Library> library_;
  PfInfo info_{};
  pixelfleet::engine::TextList samplers_, schedulers_;
  sd_ctx_t* context_ = nullptr;
  std::string family_;              // as the library names it, "SDXL"
  std::uint64_t params_bytes_ = 0;  // what the library says its weights take

  std::optional<CallState> call_;
  pixelfleet::engine::ErrorLines errors_;
  pixelfleet::engine::LastFailure failure_;
  pixelfleet::engine::CancelTicket cancelled_;
  std::atomic<bool> running_{false};
  std::atomic<std::uint64_t> running_ticket_{0};
};

std::atomic<PfEngine*> PfEngine::current_{nullptr};

extern "C" __attribute__((visibility("default"))) const PfEngineApi* pixelfleet_engine_api(uint32_t abi) {
  static constexpr PfEngineApi kApi = pixelfleet::engine::PluginApi<PfEngine>::table("sdcpp");
  return abi == PF_ENGINE_ABI ? &kApi : nullptr;
}
