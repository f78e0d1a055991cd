// The commands about what there is: jobs and their queue, models. Text for people, --json for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/generate.h"
#include "cli/hooks.h"

namespace pixelfleet::cli {

int jobs_list(const Config& config, const std::string& states, int limit, Output output, const Hooks& hooks);
int jobs_show(const Config& config, std::int64_t id, Output output, const Hooks& hooks);

// What people make of the queue (queue_commands.cc).
int jobs_hold(const Config& config, std::int64_t id, Output output, const Hooks& hooks);
int jobs_release(const Config& config, std::int64_t id, Output output, const Hooks& hooks);
int jobs_retry(const Config& config, std::int64_t id, Output output, const Hooks& hooks);
int jobs_unpin(const Config& config, std::int64_t id, Output output, const Hooks& hooks);
// `gpu`: a UUID, or the number that `pixelfleet gpus` shows.
int jobs_pin(const Config& config, std::int64_t id, const std::string& gpu, Output output, const Hooks& hooks);
int jobs_priority(const Config& config, std::int64_t id, const std::string& priority, Output output,
                  const Hooks& hooks);
struct Destination {  // one of them
  std::int64_t before = 0;
  std::int64_t after = 0;
};
int jobs_move(const Config& config, std::int64_t id, Destination to, Output output, const Hooks& hooks);
// One of them: jobs by id, or what is open of a sweep.
struct Selection {
  std::vector<std::int64_t> ids;
  std::int64_t sweep = 0;
};
int jobs_cancel(const Config& config, const Selection& selection, Output output, const Hooks& hooks);
enum class PauseWish { pause, resume };
// An empty owner: everybody.
int jobs_pause(const Config& config, PauseWish wish, const std::string& owner, Output output, const Hooks& hooks);

// What the scheduler decided and the gpus did lately, as a Chrome trace, to standard output.
int trace(const Config& config, const Hooks& hooks);

int models_list(const Config& config, Output output, const Hooks& hooks);
// `parts`: "role=file" as typed.
int models_add(const Config& config, const std::string& name, const std::vector<std::string>& parts,
               const Hooks& hooks);

}  // namespace pixelfleet::cli
