// Detection of gpus, as configured.
#pragma once

#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "domain/gpu.h"
#include "gpu/gpu_source.h"

namespace pixelfleet::apps {

Result<gpu::GpuSource::Options> gpu_options(const Config& config);

// One look, without a server.
Result<std::vector<GpuStatus>> list_gpus(const Config& config);

}  // namespace pixelfleet::apps
