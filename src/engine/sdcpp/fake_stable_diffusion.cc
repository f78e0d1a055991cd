// A libstable-diffusion.so of our own that misbehaves on demand, to test what guards against the real one.
//
// The environment variable FAKE_SD says how, at every call: load-throws, load-bad-alloc, load-refuses, load-oom,
// throws, throws-odd, black, empty, no-pixels, four-channels, oom, hang, crash. Otherwise it "makes" a gradient that
// depends on prompt and seed. It logs the parameters that it was given. Built three times: plain, with larger structs
// (FAKE_LARGER_STRUCTS) and with other defaults (FAKE_OTHER_DEFAULTS), as libraries of another generation have.
#include <stable-diffusion.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#ifndef FAKE_LARGER_STRUCTS
#define FAKE_LARGER_STRUCTS 0
#endif
#ifndef FAKE_OTHER_DEFAULTS
#define FAKE_OTHER_DEFAULTS 0
#endif

struct sd_ctx_t {
  std::atomic<bool> cancelled{false};
};

namespace {

sd_log_cb_t log_callback = nullptr;
sd_progress_cb_t progress_callback = nullptr;
sd_preview_cb_t preview_callback = nullptr;

bool told(std::string_view what) {
  const char* value = std::getenv("FAKE_SD");
  return value != nullptr && what == value;
}

__attribute__((format(printf, 2, 3))) void say(sd_log_level_t level, const char* text, ...) {
  char line[512];
  std::va_list arguments;
  va_start(arguments, text);
  const int length = std::vsnprintf(line, sizeof line, text, arguments);
  va_end(arguments);
  if (length > 0 && log_callback != nullptr) log_callback(level, line, nullptr);
}

void progress(int step, int steps) {
  if (progress_callback != nullptr) progress_callback(step, steps, 0, nullptr);
}

// As the library does it: `*p = {}` and then the defaults.
template <class Params>
void clear(Params* params) {
  if (FAKE_LARGER_STRUCTS) std::memset(static_cast<void*>(params), 0, sizeof(Params) + 16);
  *params = {};
}

// Fields that newer generations have no more; templates, so that their absence is no error.
template <class Params>
void set_old_defaults(Params& params) {
  if constexpr (requires { params.vae_decode_only; }) params.vae_decode_only = true;
  if constexpr (requires { params.free_params_immediately; }) params.free_params_immediately = true;
}
template <class Params>
bool keeps_weights(const Params& params) {
  if constexpr (requires { params.free_params_immediately; }) return !params.free_params_immediately;
  return true;
}
template <class Params>
bool encodes(const Params& params) {
  if constexpr (requires { params.vae_decode_only; }) return !params.vae_decode_only;
  return true;
}

struct Made {
  sd_image_t* images = nullptr;
  int count = 0;
};

Made make(sd_ctx_t& context, const sd_img_gen_params_t& params) {
  context.cancelled = false;  // as the library does: a cancel that came before is lost
  say(SD_LOG_INFO, "fake.cpp:1    - image %dx%d steps %d seed %lld cfg %.2f method %d schedule %d\n", params.width,
      params.height, params.sample_params.sample_steps, static_cast<long long>(params.seed),
      static_cast<double>(params.sample_params.guidance.txt_cfg), params.sample_params.sample_method,
      params.sample_params.scheduler);
  if (params.init_image.data != nullptr) {
    say(SD_LOG_INFO, "fake.cpp:9    - init %ux%ux%u %d strength %.2f mask %ux%u %d\n", params.init_image.width,
        params.init_image.height, params.init_image.channel, params.init_image.data[0],
        static_cast<double>(params.strength), params.mask_image.width, params.mask_image.channel,
        params.mask_image.data != nullptr ? params.mask_image.data[0] : -1);
  }
  if (told("hang")) {
    for (;;) pause();
  }
  if (told("crash")) std::abort();
  if (told("throws")) throw std::runtime_error("type must be number, but is string");
  if (told("throws-odd")) throw 42;  // NOLINT: the point is that it is no std::exception
  if (told("oom")) {
    say(SD_LOG_ERROR, "fake.cpp:2    - ggml_backend_alloc_ctx_tensors: failed to allocate 123 MB\n");
    return {};
  }
  if (told("empty")) {
    say(SD_LOG_ERROR, "fake.cpp:3    - sampling failed\n");
    return {};
  }
  int steps = params.sample_params.sample_steps;
  if (params.init_image.data != nullptr) {  // the library's own sum
    steps = std::min(steps, static_cast<int>(static_cast<float>(steps) * params.strength) + 1);
  }
  progress(0, 7);  // VAE tiles and weights are reported the same way
  progress(0, steps);
  progress(0, steps);
  for (int step = 1; step <= steps; ++step) {
    std::uint8_t latent[4 * 4 * 3] = {};
    latent[0] = static_cast<std::uint8_t>(step);
    sd_image_t frame{4, 4, 3, latent};
    if (preview_callback != nullptr) preview_callback(step, 1, &frame, false, nullptr);
    progress(step, steps);
    if (context.cancelled) return {};
  }
  progress(1, 9);
  progress(1, steps);

  Made made{static_cast<sd_image_t*>(std::calloc(1, sizeof(sd_image_t))), 1};
  const std::uint32_t channels = told("four-channels") ? 4 : 3;
  const auto width = static_cast<std::uint32_t>(params.width), height = static_cast<std::uint32_t>(params.height);
  auto* data = static_cast<std::uint8_t*>(std::calloc(std::size_t{width} * height, channels));
  std::size_t salt = static_cast<std::size_t>(params.seed) * 31;
  for (const char* c = params.prompt; *c != '\0'; ++c) salt = salt * 31 + static_cast<unsigned char>(*c);
  if (!told("black")) {
    for (std::size_t i = 0; i < std::size_t{width} * height * channels; ++i)
      data[i] = static_cast<std::uint8_t>(i + salt);
  }
  if (told("no-pixels")) {
    std::free(data);
    data = nullptr;
  }
  made.images[0] = {width, height, channels, data};
  return made;
}

constexpr const char* kMethods[] = {"euler", "euler_a", "heun"};
constexpr const char* kSchedules[] = {"discrete", "karras"};

template <class Enum, std::size_t size>
Enum index_of(const char* const (&names)[size], const char* text, Enum otherwise) {
  for (std::size_t i = 0; i < size; ++i) {
    if (std::strcmp(names[i], text) == 0) return static_cast<Enum>(i);
  }
  return otherwise;
}

}  // namespace

#define FAKE_API __attribute__((visibility("default")))

extern "C" {

FAKE_API void sd_ctx_params_init(sd_ctx_params_t* params) {
  clear(params);
  params->n_threads = 1;
  set_old_defaults(*params);
}

FAKE_API void sd_img_gen_params_init(sd_img_gen_params_t* params) {
  clear(params);
  params->width = FAKE_OTHER_DEFAULTS ? 20 : 512;
  params->height = 512;
  params->strength = 0.75f;
  params->seed = -1;
  params->batch_count = 1;
  params->sample_params.sample_steps = FAKE_OTHER_DEFAULTS ? 512 : 20;
  params->sample_params.sample_method = SAMPLE_METHOD_COUNT;
  params->sample_params.scheduler = SCHEDULER_COUNT;
}

FAKE_API sd_ctx_t* new_sd_ctx(const sd_ctx_params_t* params) {
  say(SD_LOG_INFO, "fake.cpp:4    - load threads %d keeps_weights %d encodes %d lora_at_runtime %d taesd %d\n",
      params->n_threads, keeps_weights(*params), encodes(*params), params->lora_apply_mode == LORA_APPLY_AT_RUNTIME,
      params->taesd_path != nullptr);
  say(SD_LOG_INFO, "fake.cpp:5    - Version: SD 1.x \n");
  say(SD_LOG_INFO, "fake.cpp:6    - total params memory size = 2.00MB (VRAM 0.00MB, RAM 2.00MB)\n");
  for (int part = 0; part <= 4; ++part) progress(part, 4);
  if (told("load-throws")) throw std::runtime_error("type_error.302");
  if (told("load-bad-alloc")) throw std::bad_alloc();
  if (told("load-oom")) {
    say(SD_LOG_ERROR, "fake.cpp:7    - failed to allocate the params buffer\n");
    return nullptr;
  }
  if (told("load-refuses")) {
    say(SD_LOG_ERROR, "fake.cpp:8    - get sd version from file failed: 'x'\n");
    return nullptr;
  }
  return new sd_ctx_t;
}

FAKE_API void free_sd_ctx(sd_ctx_t* context) { delete context; }
FAKE_API void sd_set_log_callback(sd_log_cb_t callback, void*) { log_callback = callback; }
FAKE_API void sd_set_progress_callback(sd_progress_cb_t callback, void*) { progress_callback = callback; }
FAKE_API void sd_set_preview_callback(sd_preview_cb_t callback, enum preview_t, int, bool, bool, void*) {
  preview_callback = callback;
}
FAKE_API int32_t sd_get_num_physical_cores() { return 3; }
FAKE_API const char* sd_version(void) { return "fake-1"; }
FAKE_API const char* sd_sample_method_name(enum sample_method_t method) {
  return static_cast<std::size_t>(method) < std::size(kMethods) ? kMethods[method] : "NONE";
}
FAKE_API enum sample_method_t str_to_sample_method(const char* text) {
  return index_of(kMethods, text, SAMPLE_METHOD_COUNT);
}
FAKE_API const char* sd_scheduler_name(enum scheduler_t scheduler) {
  return static_cast<std::size_t>(scheduler) < std::size(kSchedules) ? kSchedules[scheduler] : "NONE";
}
FAKE_API enum scheduler_t str_to_scheduler(const char* text) { return index_of(kSchedules, text, SCHEDULER_COUNT); }

#if FAKE_RETURNS_SUCCESS
FAKE_API bool generate_image(sd_ctx_t* context, const sd_img_gen_params_t* params, sd_image_t** images, int* count) {
  const Made made = make(*context, *params);
  *images = made.images;
  *count = made.count;
  return made.images != nullptr;
}
FAKE_API void free_sd_images(sd_image_t* images, int count) {
  for (int i = 0; i < count; ++i) std::free(images[i].data);
  std::free(images);
}
#else
FAKE_API sd_image_t* generate_image(sd_ctx_t* context, const sd_img_gen_params_t* params) {
  return make(*context, *params).images;
}
#endif

#if FAKE_CAN_CANCEL
FAKE_API void sd_cancel_generation(sd_ctx_t* context, enum sd_cancel_mode_t mode) {
  if (mode == SD_CANCEL_ALL) context->cancelled = true;
}
#endif

}  // extern "C"
