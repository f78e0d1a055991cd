// What sharing remembers between two events: plain values, changed only by a Turn.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "sharing/events.h"
#include "sharing/holdings.h"

namespace pixelfleet::sharing {

// Something that is so, or is not, by samples: it takes some time to believe either.
struct Belief {
  std::optional<Instant> doubted_since = {};  // samples say the opposite
  std::optional<Instant> last_sample = {};    // that said anything
};

struct GpuMemory {
  Gpu gpu;
  enum class Presence { there, gone } presence = Presence::there;
  enum class Look { none, sampled } look = Look::none;
  Instant arrived = {};
  enum class Display { unknown, drives } display = Display::unknown;  // once it did, it stays

  std::optional<OthersCompute> others = {};
  Belief others_belief;
  std::optional<OthersCompute> suspected = {};  // by figures alone, not believed yet: nothing starts meanwhile
  std::optional<BusyByOthers> busy = {};
  Belief busy_belief;
  std::optional<Instant> others_left = {};       // since then nobody; the quiet time runs, or is over
  std::optional<Instant> returned = {};          // we did, after that
  int returns = 0;                               // of others soon after ours: how long the quiet time is
  std::optional<std::int64_t> alarm_bytes = {};  // what closed it, by figures while workers of ours were there
  std::int64_t unexplained_bytes = 0;            // what our figures are off by: such an alarm went with our workers

  std::optional<TooHot> heat = {};
  Belief heat_belief;
  Instant hot_since = {};

  struct Override {
    Instant since = {};
    std::optional<Instant> until = {};
  };
  std::optional<Override> override_ = {};

  // Told last. The order is that of how much is asked for.
  enum class Demand { none, finish_and_keep, finish_and_end, abandon_and_end };
  std::optional<Demand> told = {};  // absent: nothing yet, which means closed
  Instant since = {};
  std::optional<Instant> wake_at = {};  // when time alone changes something
};

struct Memory {
  Settings settings;
  std::optional<Duration> local_ahead = {};  // absent: not told, and no hour is quiet
  Holdings holdings;
  std::map<GpuUuid, GpuMemory> gpus;
  std::optional<Instant> wake_at;
  Instant now = {};  // of the last step
};

}  // namespace pixelfleet::sharing
