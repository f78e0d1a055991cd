#include "apps/gpus.h"

#include <utility>

#include "apps/paths.h"
#include "domain/gpu_spec.h"

namespace pixelfleet::apps {
namespace {

// A cold driver wakes its cards one by one.
constexpr auto kLookTimeout = std::chrono::seconds(10);

}  // namespace

Result<gpu::GpuSource::Options> gpu_options(const Config& config) {
  gpu::GpuSource::Options options;
  options.monitor_command = {program_path().string(), "gpu-monitor"};
  if (!config.virtual_gpus.empty()) {
    auto given = parse_gpu_spec(config.virtual_gpus);
    if (!given) return fail(given.error());
    options.instead = std::move(*given);
  }
  return options;
}

Result<gpu::GpuLook> look_at_gpus(const Config& config) {
  auto options = gpu_options(config);
  if (!options) return fail(options.error());
  return gpu::GpuLook(std::move(*options), kLookTimeout);
}

}  // namespace pixelfleet::apps
