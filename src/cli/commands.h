// The listing commands: jobs, models, gpus. Text tables for people, --json for programs.
#pragma once

#include <string>

#include "cli/generate.h"
#include "cli/hooks.h"

namespace pixelfleet::cli {

int jobs_list(const Config& config, const std::string& states, int limit, Output output, const Hooks& hooks);
int jobs_show(const Config& config, std::int64_t id, Output output, const Hooks& hooks);
int jobs_cancel(const Config& config, std::int64_t id, Output output, const Hooks& hooks);

int models_list(const Config& config, Output output, const Hooks& hooks);
// `parts`: "role=file" as typed.
int models_add(const Config& config, const std::string& name, const std::vector<std::string>& parts,
               const Hooks& hooks);

// Works without a server; with one it tells what the gpus do.
int gpus_list(const Config& config, Output output, const Hooks& hooks);

}  // namespace pixelfleet::cli
