// The commands about gpus. They work without a server; with one they tell what it does on them.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/generate.h"
#include "cli/hooks.h"

namespace pixelfleet::cli {

int gpus_list(const Config& config, Output output, const Hooks& hooks);

// Once a second until q, Ctrl-C or a signal; on a terminal in place, else one table below the other.
int gpus_watch(const Config& config, const Hooks& hooks);

// drain, resume or retire: what the operator wants of a gpu of the running server.
int gpus_order(const Config& config, const std::string& gpu, const std::string& wish, Output output,
               const Hooks& hooks);

// What counts as idle: less memory in use, and less work, than this.
struct IdleLimits {
  double memory_bytes = 0.0;
  double utilisation_ratio = 0.0;
};
enum class Wait { no, until_idle };
// The UUIDs of so many idle gpus, with commas, as CUDA_VISIBLE_DEVICES wants them.
int gpus_pick(const Config& config, int count, Wait wait, Output output, const Hooks& hooks);

// Of the array `gpus` of the API those idle now, most free memory first. What screens need does not count as in use. A
// gpu whose memory use is unknown is not idle, nor is a CPU or one where the server loads or works; unknown utilisation
// counts as none.
std::vector<std::string> idle_gpus(const Json& gpus, const IdleLimits& limits);

}  // namespace pixelfleet::cli
