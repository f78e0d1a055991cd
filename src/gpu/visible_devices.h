// Which gpus exist for us: CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES, as their owners define them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gpu/report.h"

namespace pixelfleet::gpu {

// MIG instances go by their UUID ("MIG-..."), as "gpu:instance", or by their gpu: CUDA takes the first of it, a
// container all.
//
// Keeps the readings that CUDA_VISIBLE_DEVICES names by index or UUID prefix; as in CUDA, the list ends at the first
// entry that names nothing, and an empty list means none. Absent: all.
std::vector<Reading> visible_to_cuda(std::vector<Reading> readings, const std::optional<std::string>& variable);

// NVIDIA_VISIBLE_DEVICES is applied by the container runtime before we start; it is applied again only where that did
// not happen: by UUID, or by index when more gpus are here than it lists.
std::vector<Reading> visible_to_container(std::vector<Reading> readings, const std::optional<std::string>& variable);

// A report without the gpus that either variable hides. A gpu that does not answer is still one that an entry names.
Report only_visible(Report report, const std::optional<std::string>& container_variable,
                    const std::optional<std::string>& cuda_variable);

}  // namespace pixelfleet::gpu
