// The gpu specification grammar, one for flags, simulator and forecasts: `4x24GiB`, `8xA100`, `H100+2x4090`, `cpu:2`.
//
//   spec  = item { "+" item }
//   item  = [ COUNT "x" ] ( SIZE ("GiB" | "MiB" | "GB") | NAME ) | "cpu" [ ":" COUNT ]
// NAME is a card whose memory we know (case does not matter).
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/gpu.h"

namespace pixelfleet {

inline constexpr int kMaxSpecGpus = 64;

// Gpus of kind virtual_gpu ("virtual-0" ...) or cpu ("cpu-0" ...), in the order written.
Result<std::vector<Gpu>> parse_gpu_spec(std::string_view spec);

}  // namespace pixelfleet
