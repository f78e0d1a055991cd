// Gpus as JSON: the objects of /api/v1/gpus and `pixelfleet gpus --json`. An unknown value is null, never 0.
#pragma once

#include "base/json.h"
#include "domain/gpu.h"
#include "domain/live.h"

namespace pixelfleet {

Json to_json(const GpuStatus& status);
Json to_json(const GpuDetail& detail);
Json to_json(const GpuHealth& health);
Json to_json(const GpuSharing& sharing);
Json to_json(const GpuMemoryAccount& memory);
Json to_json(const Alarm& alarm);

// Of its parts.
Json to_json(const std::vector<GpuXid>& xids);
Json to_json(const std::optional<std::vector<GpuProcess>>& processes);

}  // namespace pixelfleet
