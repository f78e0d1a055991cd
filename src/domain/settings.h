// LiveSettings: the settings a page may change while the server runs; durable, flat keys.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace pixelfleet {

struct LiveSettings {
  bool multi_gpu_enabled = false;  // multi_gpu.enabled
  int multi_gpu_max_gpus = 4;      // multi_gpu.max_gpus, 1-8
  std::string multi_gpu_single;    // multi_gpu.single_gpu: UUID used while multi-GPU is off; empty: most free memory

  friend bool operator==(const LiveSettings&, const LiveSettings&) = default;
};

inline constexpr int kMaxMultiGpus = 8;

Json to_json(const LiveSettings& settings);

// Merges flat keys into `settings`; all or nothing. Unknown keys name the near one.
Result<LiveSettings> merge_settings(const LiveSettings& settings, const Json& changes);

}  // namespace pixelfleet
