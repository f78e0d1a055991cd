// Detection of gpus, as configured.
#pragma once

#include "base/result.h"
#include "config/config.h"
#include "gpu/gpu_source.h"

namespace pixelfleet::apps {

Result<gpu::GpuSource::Options> gpu_options(const Config& config);

// Without a server.
Result<gpu::GpuLook> look_at_gpus(const Config& config);

}  // namespace pixelfleet::apps
