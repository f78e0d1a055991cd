#include "engine/sdcpp/library.h"

#include <dlfcn.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "base/format.h"

namespace pixelfleet::engine::sdcpp {
namespace {

constexpr std::string_view kNextStep =
    "Build the sdcpp plug-in against the header that came with this library (SDCPP_ROOT), or name the library that the "
    "plug-in was built with: tools/get-engine installs a pair that fits";

using Probe = std::array<unsigned char, 8192>;

// How many bytes the library's `init` writes.
std::size_t struct_bytes(void (*init)(void*)) {
  alignas(std::max_align_t) static Probe first, second;
  first.fill(0xAA);
  second.fill(0x55);
  init(first.data());
  init(second.data());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i] != 0xAA || second[i] != 0x55) bytes = i + 1;
  }
  return bytes;
}

Result<> check_struct(std::string_view name, std::size_t header_bytes, void (*init)(void*), const std::string& path) {
  const std::size_t library_bytes = struct_bytes(init);
  // Trailing padding may stay unwritten.
  const std::size_t rounded = (library_bytes + 7) / 8 * 8;
  if (library_bytes <= header_bytes && rounded == (header_bytes + 7) / 8 * 8) return {};
  return fail(
      ErrorCode::unavailable,
      format("the engine library {} is of another generation than its plug-in: {} takes {} bytes in the library "
             "and {} bytes in the header that the plug-in was built with. {}",
             path, name, library_bytes, header_bytes, kNextStep));
}

}  // namespace

Result<Library> Library::open(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return fail(ErrorCode::unavailable, format("cannot load the engine library {}: {}. tools/get-engine installs one",
                                               path, reason != nullptr ? reason : "unknown reason"));
  }

  Library library;
  std::string missing;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
  };
  const auto need = [&](auto& function, const char* name) {
    find(function, name);
    if (function == nullptr) missing += missing.empty() ? name : std::string(", ") + name;
  };
  need(library.ctx_params_init, "sd_ctx_params_init");
  need(library.img_gen_params_init, "sd_img_gen_params_init");
  need(library.new_ctx, "new_sd_ctx");
  need(library.free_ctx, "free_sd_ctx");
  need(library.generate, "generate_image");
  need(library.set_log_callback, "sd_set_log_callback");
  need(library.set_progress_callback, "sd_set_progress_callback");
  need(library.set_preview_callback, "sd_set_preview_callback");
  need(library.sample_method_name, "sd_sample_method_name");
  need(library.sample_method_from, "str_to_sample_method");
  need(library.scheduler_name, "sd_scheduler_name");
  need(library.scheduler_from, "str_to_scheduler");
  need(library.physical_cores, "sd_get_num_physical_cores");
  if (!missing.empty()) {
    return fail(ErrorCode::unavailable,
                format("{} is no engine library that PixelFleet can use: it lacks {}. {}", path, missing, kNextStep));
  }
  find(library.free_images, "free_sd_images");
  find(library.cancel_generation, "sd_cancel_generation");
  find(library.set_abort_callback, "ggml_set_abort_callback");

  if (Result<> same = check_struct("sd_ctx_params_t", sizeof(sd_ctx_params_t),
                                   reinterpret_cast<void (*)(void*)>(library.ctx_params_init), path);
      !same) {
    return fail(same.error());
  }
  if (Result<> same = check_struct("sd_img_gen_params_t", sizeof(sd_img_gen_params_t),
                                   reinterpret_cast<void (*)(void*)>(library.img_gen_params_init), path);
      !same) {
    return fail(same.error());
  }
  sd_img_gen_params_t defaults;
  library.img_gen_params_init(&defaults);
  if (defaults.width != 512 || defaults.height != 512 || std::fabs(defaults.strength - 0.75f) > 1e-6f ||
      defaults.seed != -1 || defaults.sample_params.sample_steps != 20) {
    return fail(
        ErrorCode::unavailable,
        format("the engine library {} orders its parameters in another way than the header that the plug-in was "
               "built with: the defaults of sd_img_gen_params_t are not where they should be. {}",
               path, kNextStep));
  }
  // A library that says success needs another call than one that returns the images, whatever the sizes are.
  if (kReturnsSuccess && library.free_images == nullptr) {
    return fail(
        ErrorCode::unavailable,
        format("the engine library {} is older than the header that the plug-in was built with. {}", path, kNextStep));
  }

  const char* (*version)() = nullptr;
  find(version, "sd_version");
  const char* told = version != nullptr ? version() : nullptr;
  library.version = told != nullptr && *told != '\0' ? told : "unknown";
  return library;
}

std::string_view Library::generation() const {
  if constexpr (kReturnsSuccess) return "B";
  return free_images != nullptr ? "M" : "A";
}

}  // namespace pixelfleet::engine::sdcpp
