// What is known of model families before anything was measured on this machine. Step times: published figures, those
// of sd3 and of the V100 scaled from them (docs/scheduling.md names the sources); load times: files read at 1 GB/s.
#include <array>

#include "scheduler/costs.h"

namespace pixelfleet::scheduler {
namespace {

struct GpuPrior {
  std::string_view type;
  double to_gpu_bytes_per_second;
};
constexpr std::array<GpuPrior, 5> kGpus = {
    {{"H200", 4.95e9}, {"H100", 4.95e9}, {"A100", 2.2e9}, {"4090", 2.2e9}, {"V100", 0.99e9}}};
constexpr std::size_t kUnknownGpuIsLike = 3;

struct FamilyPrior {
  std::string_view family;
  std::array<double, kGpus.size()> step_seconds;  // in the order of kGpus
  double reference_pixels;
  double pixel_exponent;
  double overhead_seconds;
  double start_seconds;
};
constexpr double k512 = 512.0 * 512.0;
constexpr double k1024 = 1024.0 * 1024.0;
constexpr std::array<FamilyPrior, 5> kFamilies = {{
    {"sd1", {0.020, 0.020, 0.046, 0.025, 0.053}, k512, 1.1, 0.25, 2.0},
    {"sd2", {0.020, 0.020, 0.046, 0.025, 0.053}, k512, 1.1, 0.25, 2.0},
    {"sdxl", {0.055, 0.055, 0.103, 0.130, 0.25}, k1024, 1.15, 0.45, 2.5},
    {"sd3", {0.32, 0.32, 0.62, 0.80, 1.9}, k1024, 1.15, 0.7, 4.0},
    {"flux", {0.24, 0.24, 0.48, 0.60, 1.4}, k1024, 1.15, 0.8, 4.0},
}};
constexpr std::size_t kUnknownFamilyIsLike = 2;

CostPrior prior(const FamilyPrior& family, std::size_t gpu, std::string_view type) {
  const RunPrior run{family.overhead_seconds, family.step_seconds[gpu], family.reference_pixels, family.pixel_exponent,
                     0.0};
  return {std::string(type), run, {family.start_seconds, kGpus[gpu].to_gpu_bytes_per_second}};
}

}  // namespace

std::vector<CostPrior> builtin_priors(std::string_view family) {
  const FamilyPrior* found = &kFamilies[kUnknownFamilyIsLike];
  for (const FamilyPrior& known : kFamilies) {
    if (known.family == family) found = &known;
  }
  std::vector<CostPrior> priors;
  for (std::size_t gpu = 0; gpu < kGpus.size(); ++gpu) priors.push_back(prior(*found, gpu, kGpus[gpu].type));
  priors.push_back(prior(*found, kUnknownGpuIsLike, ""));
  return priors;
}

}  // namespace pixelfleet::scheduler
