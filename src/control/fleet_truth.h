// What the auditor of fleet_simulation_test.cc knows of gpus and jobs, and how long it waits.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "health/health.h"

namespace pixelfleet::control::testing {

// From when nothing but the back-off keeps a gpu that is well from work: a sample, a canary that may have to be asked
// for twice, and what a first load and chunk take.
inline constexpr Duration kReadmission = std::chrono::seconds{120};
// From when a gpu may work until its next chunk begins: the load of a model, perhaps a second one after a crash.
inline constexpr Duration kFirstChunk = std::chrono::seconds{180};
// Others have gone: sharing's longest quiet time, and a sample.
inline constexpr Duration kLongestQuiet = std::chrono::seconds{615};

enum class Nature { good, poisoned, too_large, malformed };

struct Truth {
  enum class Trouble { none, sick, asks_for_reset, silent, lost } trouble = Trouble::none;
  health::Hold hold = health::Hold::none;
  Instant well_since;                              // no trouble, nobody's hold, no process that does not end
  Instant alone_since;                             // nobody else there, and cool
  enum class Known { no, yes } known = Known::no;  // the loop has been told that it cannot work
  Instant last_chunk;
  Instant may_work_since;              // as the auditor sees it
  std::vector<Instant> deaths;         // of workers on it, the latest
  std::optional<Instant> waits_since;  // it is well and alone, its back-off is over, and no chunk has begun
};

struct JobTruth {
  Nature nature = Nature::good;
  int deaths = 0;                                        // of workers that ran it
  enum class Crowded { no, yes } crowded = Crowded::no;  // out of memory because of others that no sample had shown
};

}  // namespace pixelfleet::control::testing
