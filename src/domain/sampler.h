// The samplers and noise schedules we know, by the engine's names, and the other names people use for them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pixelfleet {

// "default" first, then the engine's names in its order.
const std::vector<std::string>& sampler_names();
const std::vector<std::string>& scheduler_names();

struct SamplerChoice {
  std::string sampler;
  std::optional<std::string> scheduler;  // set by combined names such as "DPM++ 2M Karras"
  std::string warning;                   // set where another sampler stands in (UniPC)
};

// Accepts engine names, A1111 labels and ComfyUI ids, without regard to case. Nothing when unknown.
std::optional<SamplerChoice> find_sampler(std::string_view name);
std::optional<std::string> find_scheduler(std::string_view name);

}  // namespace pixelfleet
