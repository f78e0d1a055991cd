// Library: a loaded libstable-diffusion.so whose structs are known to be those of the header that we were compiled
// with.
//
// The library's interface changes often and carries no version. So its functions are looked up by name, and before any
// struct is passed its size is measured: the library fills a buffer with its defaults, twice over different bytes, and
// what changed in both is the struct. Known default values tell a reordering of equal size. The library is never
// unloaded: its threads would be left without code.
#pragma once

#include <stable-diffusion.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace pixelfleet::engine::sdcpp {

// Whether this header's generate_image says success apart from the images (since July 2026).
inline constexpr bool kReturnsSuccess =
    std::is_invocable_r_v<bool, decltype(&generate_image), sd_ctx_t*, const sd_img_gen_params_t*, sd_image_t**, int*>;

class Library {
 public:
  // Errors say what was looked for, what was found, and what to do.
  static Result<Library> open(const std::string& path);

  // Always there.
  decltype(&sd_ctx_params_init) ctx_params_init = nullptr;
  decltype(&sd_img_gen_params_init) img_gen_params_init = nullptr;
  decltype(&new_sd_ctx) new_ctx = nullptr;
  decltype(&free_sd_ctx) free_ctx = nullptr;
  decltype(&generate_image) generate = nullptr;
  decltype(&sd_set_log_callback) set_log_callback = nullptr;
  decltype(&sd_set_progress_callback) set_progress_callback = nullptr;
  decltype(&sd_set_preview_callback) set_preview_callback = nullptr;
  decltype(&sd_sample_method_name) sample_method_name = nullptr;
  decltype(&str_to_sample_method) sample_method_from = nullptr;
  decltype(&sd_scheduler_name) scheduler_name = nullptr;
  decltype(&str_to_scheduler) scheduler_from = nullptr;
  decltype(&sd_get_num_physical_cores) physical_cores = nullptr;

  // Null where the library is older than the function.
  void (*free_images)(sd_image_t*, int) = nullptr;
  void (*cancel_generation)(sd_ctx_t*, int mode) = nullptr;
  void* (*set_abort_callback)(void (*)(const char* message)) = nullptr;

  // What the library tells of itself; "unknown" in builds outside its repository.
  std::string version;
  // A, M or B: which of its interfaces this is.
  std::string_view generation() const;

 private:
  Library() = default;
};

}  // namespace pixelfleet::engine::sdcpp
