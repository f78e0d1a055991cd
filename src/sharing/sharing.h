// Decides on which gpus we may work now, seen from what others do there, how hot they are and what time it is.
//
// A pure state machine in the manner of Health: it never blocks, reads a clock, does I/O, locks or throws. A plain
// value that copies; owned by the control loop. Ties break by id; there is no unordered iteration.
//
// A gpu is closed until Open is told for it. Several things may close it at once; each ends by itself:
//
//   others_compute  compute processes of others use idle_memory_bytes or more; until they use less than three quarters.
//                   Where only figures say so, nothing starts from the first sample on; ours leave after three seconds
//   busy_by_others  five seconds above idle_utilization_ratio although nothing of ours runs; until below half of it
//   others_left     the quiet time after these two: longer by half each time they come within ten minutes of our
//                   return, the usual one again after an hour without them
//   quiet_hours     of this gpu; the local time has to be told
//   too_hot         five seconds at the ceiling or above; until ten seconds eight degrees below, half a minute at least
//   not_seen_yet    no sample; for three seconds
//
// Share::always knows the first three and the last one not. What a sample does not tell never closes a gpu: others stay
// what they were, heat and load count as over after a minute without a reading. A gpu that leaves the list is not told
// any more, but what is known of it stays and holds when it returns.
#pragma once

#include <vector>

#include "sharing/events.h"
#include "sharing/memory.h"

namespace pixelfleet::sharing {

// What holds for a gpu now.
struct Verdict {
  enum class State {
    open,
    leaving,  // gets nothing new; a chunk or workers of ours are still there
    closed,
  };
  GpuUuid gpu;
  Share share = Share::polite;
  State state = State::closed;
  std::vector<Reason> reasons = {};  // all that close it, in the order above; with figures of the last sample
  Instant since = {};                // it is open, or is not
  std::optional<Instant> overridden_since = {};
  std::optional<Instant> overridden_until = {};  // absent in an override: until it is taken back
};

class Sharing {
 public:
  explicit Sharing(Settings settings = {});

  // Applies one event; the actions are to be carried out in order. `now` never goes back. Events about gpus and workers
  // that were never seen are ignored. Samples are expected about once a second.
  [[nodiscard]] std::vector<Action> step(const Event& event, Instant now);

  // Of the gpus in the list, by uuid.
  std::vector<Verdict> gpus() const;

 private:
  Memory memory_;
};

std::string_view name(Verdict::State state);

}  // namespace pixelfleet::sharing
