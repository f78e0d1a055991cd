// Costs: what loading and running are expected to take before anything was measured, and what measuring taught.
//
// Seconds and bytes; a prior is a formula with constants, learning multiplies it (cost_model.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pixelfleet::scheduler {

// n pictures of one chunk:
//   overhead * (0.5 + 0.5 n) + steps * step * (pixels / reference_pixels)^exponent * (shared + (1 - shared) n)
struct RunPrior {
  double overhead_seconds = 0.5;
  double step_seconds = 0.2;
  double reference_pixels = 1 << 20;
  double pixel_exponent = 1.15;
  double shared = 0.0;  // the part of a step that n pictures share; 0: they are made one by one

  friend bool operator==(const RunPrior&, const RunPrior&) = default;
};

// start + max(bytes / to_gpu, bytes / disk) from the disk, start + bytes / to_gpu from host memory.
struct LoadPrior {
  double start_seconds = 2.0;
  double to_gpu_bytes_per_second = 2e9;
  double lora_seconds = 3.0;  // to change the LoRA set of a loaded model

  friend bool operator==(const LoadPrior&, const LoadPrior&) = default;
};

struct CostPrior {
  std::string gpu_type;  // a part of the gpu's name, compared without case; empty: any other gpu
  RunPrior run;
  LoadPrior load;

  friend bool operator==(const CostPrior&, const CostPrior&) = default;
};

// The priors of a model family (sd1, sdxl, sd3, flux ...), the most specific first; an unknown family gets sdxl's.
std::vector<CostPrior> builtin_priors(std::string_view family);

// One learned ratio, measured over predicted. `subject` is a model (load) or a family and a sampler (run).
struct CostRecord {
  enum class Kind { load_from_host, load_from_disk, run } kind = Kind::run;
  std::string subject;
  std::string gpu_type;
  double log_ratio = 0.0;  // mean of the logarithm
  double count = 0.0;      // observations behind it

  friend bool operator==(const CostRecord&, const CostRecord&) = default;
};

}  // namespace pixelfleet::scheduler
