#include "engine/plugin.h"

#include <dlfcn.h>

#include "base/check.h"
#include "base/format.h"

namespace pixelfleet::engine {
namespace {

// The C callbacks of a call, bound to the caller's Sink.
PfSink bind(Sink& sink) {
  return PfSink{
      .user = &sink,
      .progress = [](void* user, int32_t phase, int32_t step,
                     int32_t steps) { static_cast<Sink*>(user)->progress(static_cast<Phase>(phase), step, steps); },
      .preview = [](void* user, int32_t step, int32_t steps, uint32_t width, uint32_t height,
                    const uint8_t* rgb) { static_cast<Sink*>(user)->preview(step, steps, width, height, rgb); },
      .log = [](void* user, int32_t level,
                const char* line) { static_cast<Sink*>(user)->log(static_cast<LogLevel>(level), line); },
  };
}

Failure failure_of(const PfEngineApi& api, const PfEngine* engine) {
  const PfFailure* from = api.failure(engine);
  Failure failure{static_cast<FailureClass>(from->failure_class), from->message, {}};
  for (std::size_t i = 0; i < from->line_count; ++i) failure.lines.emplace_back(from->lines[i]);
  return failure;
}

Info info_of(const PfInfo& from) {
  return Info{
      .engine = from.engine,
      .version = from.version,
      .generation = from.generation,
      .capabilities = {.cancel = static_cast<CancelSupport>(from.cancel),
                       .preview = from.preview != 0,
                       .img2img = from.img2img != 0,
                       .inpaint = from.inpaint != 0,
                       .lora = from.lora != 0},
      .samplers = {from.samplers, from.samplers + from.sampler_count},
      .schedulers = {from.schedulers, from.schedulers + from.scheduler_count},
  };
}

}  // namespace

std::string_view name(FailureClass failure_class) {
  switch (failure_class) {
    case FailureClass::bad_request: return "bad_request";
    case FailureClass::out_of_memory: return "out_of_memory";
    case FailureClass::model_unreadable: return "model_unreadable";
    case FailureClass::engine_error: return "engine_error";
    case FailureClass::invalid_output: return "invalid_output";
  }
  return "engine_error";
}

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::load: return "load";
    case Phase::text: return "text";
    case Phase::sample: return "sample";
    case Phase::decode: return "decode";
  }
  return "load";
}

std::string_view name(CancelSupport cancel) {
  switch (cancel) {
    case CancelSupport::none: return "none";
    case CancelSupport::step: return "step";
    case CancelSupport::kill: return "kill";
  }
  return "none";
}

Picture::~Picture() {
  if (image_.rgb != nullptr) api_->release(engine_, &image_);
}

Picture::Picture(Picture&& other) noexcept
    : api_(other.api_), engine_(other.engine_), image_(std::exchange(other.image_, {})) {}

Engine::Engine(const PfEngineApi* api, PfEngine* engine)
    : api_(api), engine_(engine), info_(std::make_unique<Info>(info_of(*api->info(engine)))) {}

Engine::~Engine() {
  if (engine_ != nullptr) api_->close(engine_);
}

Engine::Engine(Engine&& other) noexcept
    : api_(other.api_), engine_(std::exchange(other.engine_, nullptr)), info_(std::move(other.info_)) {}

std::variant<Loaded, Failure> Engine::load(const ModelSpec& model, Sink& sink) {
  std::vector<PfPart> parts;
  parts.reserve(model.parts.size());
  for (const auto& [role, file] : model.parts) parts.push_back({role.c_str(), file.c_str()});
  const PfModel spec{model.key.c_str(), parts.data(), parts.size(), model.demo.c_str()};
  const PfSink bound = bind(sink);
  PfLoaded loaded{};
  if (api_->load(engine_, &spec, &bound, &loaded) != PF_OK) return failure_of(*api_, engine_);
  return Loaded{loaded.device_bytes, loaded.host_bytes, loaded.load_seconds};
}

std::variant<Picture, Cancelled, Failure> Engine::generate(const Request& request, Sink& sink) {
  CHECK(request.ticket != 0);
  const auto pixels = static_cast<std::size_t>(request.width) * static_cast<std::size_t>(request.height);
  CHECK(request.init_rgb.empty() || request.init_rgb.size() == 3 * pixels);
  CHECK(request.mask.empty() || (request.mask.size() == pixels && !request.init_rgb.empty()));
  const PfRequest asked{
      .ticket = request.ticket,
      .prompt = request.prompt.c_str(),
      .negative_prompt = request.negative_prompt.c_str(),
      .width = request.width,
      .height = request.height,
      .steps = request.steps,
      .cfg_scale = request.cfg_scale,
      .sampler = request.sampler.c_str(),
      .scheduler = request.scheduler.c_str(),
      .seed = request.seed,
      .init_rgb = request.init_rgb.empty() ? nullptr : request.init_rgb.data(),
      .mask = request.mask.empty() ? nullptr : request.mask.data(),
      .strength = request.strength,
      .preview_every_ms = request.preview_every_ms,
  };
  const PfSink bound = bind(sink);
  PfImage image{};
  switch (api_->generate(engine_, &asked, &bound, &image)) {
    case PF_OK: return Picture(api_, engine_, image);
    case PF_CANCELLED: return Cancelled{};
    default: return failure_of(*api_, engine_);
  }
}

void Engine::cancel(std::uint64_t ticket) { api_->cancel(engine_, ticket); }

Result<Plugin> Plugin::open(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    return fail(ErrorCode::unavailable,
                format("cannot load the engine plug-in {}: {}. Reinstall PixelFleet, or build the target of that name",
                       path, reason != nullptr ? reason : "unknown reason"));
  }
  auto entry = reinterpret_cast<PfEngineApiFunction>(dlsym(library, PF_ENGINE_API_SYMBOL));
  if (entry == nullptr) {
    return fail(ErrorCode::invalid_argument,
                format("{} is no PixelFleet engine plug-in: it does not export {}", path, PF_ENGINE_API_SYMBOL));
  }
  const PfEngineApi* api = entry(PF_ENGINE_ABI);
  if (api == nullptr || api->abi != PF_ENGINE_ABI) {
    return fail(ErrorCode::unavailable,
                format("the engine plug-in {} was built for another version of the plug-in interface than {}; "
                       "install program and plug-ins of one build",
                       path, PF_ENGINE_ABI));
  }
  return Plugin(api);
}

std::variant<Engine, Failure> Plugin::start(const Options& options) const {
  const PfOptions given{options.library.c_str(), options.device_kind.c_str(), options.threads, options.time_scale};
  PfEngine* engine = nullptr;
  const int32_t status = api_->open(&given, &engine);
  if (engine == nullptr) return Failure{FailureClass::out_of_memory, "no memory left to open the engine", {}};
  if (status == PF_OK) return Engine(api_, engine);
  Failure failure = failure_of(*api_, engine);
  api_->close(engine);
  return failure;
}

}  // namespace pixelfleet::engine
