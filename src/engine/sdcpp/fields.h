// Fields of the engine's parameters that exist in some of its generations only: set where they are, passed by where
// not.
#pragma once

#include <stable-diffusion.h>

#include <string>
#include <string_view>

namespace pixelfleet::engine::sdcpp {

// The field of sd_ctx_params_t for a part's role; null when this generation has none.
template <class Params>
const char** part_field(Params& params, std::string_view role) {
  if (role == "checkpoint") return &params.model_path;
  if (role == "diffusion") return &params.diffusion_model_path;
  if (role == "clip_l") return &params.clip_l_path;
  if (role == "clip_g") return &params.clip_g_path;
  if (role == "t5xxl") return &params.t5xxl_path;
  if (role == "vae") return &params.vae_path;
  if (role == "taesd") return &params.taesd_path;
  if constexpr (requires { params.llm_path; }) {
    if (role == "llm") return &params.llm_path;
  }
  return nullptr;
}

template <class Params>
void set_common(Params& params, bool on_cpu, int threads) {
  params.n_threads = threads;
  params.rng_type = CUDA_RNG;                      // the noise of A1111, so that its seeds give its pictures
  params.lora_apply_mode = LORA_APPLY_AT_RUNTIME;  // else every change of a LoRA reads the whole model again
  if constexpr (requires { params.diffusion_flash_attn; }) params.diffusion_flash_attn = !on_cpu;
  // Weights now, so that too little memory is a refusal here and not an abort at the first picture.
  if constexpr (requires { params.eager_load; }) params.eager_load = true;
  if constexpr (requires { params.vae_decode_only; }) params.vae_decode_only = false;
  // Its default frees the weights after the first picture, and the second one would crash.
  if constexpr (requires { params.free_params_immediately; }) params.free_params_immediately = false;
  if constexpr (requires { params.backend; }) {
    if (on_cpu) params.backend = "cpu";  // a GPU is chosen by the environment, which every generation obeys
  }
}

}  // namespace pixelfleet::engine::sdcpp
