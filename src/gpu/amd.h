// AMD's gpus, read from the files of their kernel driver (amdgpu): no library, nothing that can hang.
//
// Identity is the card's own number ("GPU-<unique_id>", as ROCR_VISIBLE_DEVICES has it), or where it sits on the bus
// ("AMD-0000:03:00.0"). Every value is optional, as with NVIDIA's. Who computes there is not told: memory and load are.
#pragma once

#include <filesystem>
#include <vector>

#include "gpu/report.h"

namespace pixelfleet::gpu {

// All cards below `sysfs`, by bus address, numbered from 0. A card that cannot tell its memory is left out, and so is
// one with less than 2 GiB of its own: graphics in a processor, that share the memory of the CPU.
std::vector<Reading> read_amd_gpus(const std::filesystem::path& sysfs = "/sys");

// Adds them to NVIDIA's, numbered on. Where NVIDIA's driver is absent, they alone are the report.
Report with_amd_gpus(Report nvidia, std::vector<Reading> amd);

}  // namespace pixelfleet::gpu
