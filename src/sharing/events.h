// What sharing is told (past tense) and what it orders (imperative).
//
// One list of events for both machines of the folder, Sharing and MemoryLedger: each takes what concerns it, so that
// the loop hands every event to both. Plain data, as in scheduler/events.h: a history can be stored and replayed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "domain/gpu.h"
#include "domain/ids.h"
#include "sharing/quiet_hours.h"

namespace pixelfleet::sharing {

// How a gpu is shared with the compute processes of others. What is ours never counts as theirs.
enum class Share {
  polite,     // nothing starts while they compute; when they come, the running chunk is the last one
  idle_only,  // as polite, but the running chunk is given back at once
  always,     // they do not matter
};

// By when a gpu is too hot for another chunk.
struct Ceiling {
  enum class Rule { by_card, fixed, off } rule = Rule::by_card;  // by_card: some degrees below where it slows down
  double celsius = 0;                                            // of a fixed one

  friend bool operator==(const Ceiling&, const Ceiling&) = default;
};

struct GpuSettings {
  std::optional<Share> share = {};  // absent: that of all
  std::optional<Ceiling> ceiling = {};
  std::vector<QuietWindow> quiet_hours = {};

  friend bool operator==(const GpuSettings&, const GpuSettings&) = default;
};

struct Settings {
  // On a desk, somebody sits before the only gpu that works, or before the one with the display, and wants pictures:
  // share is always there, and polite elsewhere.
  enum class MultiGpu { off, on } multi_gpu = MultiGpu::off;
  std::optional<Share> share = {};                         // of all gpus; absent: by this rule
  std::int64_t idle_memory_bytes = std::int64_t{1} << 30;  // others who use less do not count
  double idle_utilization_ratio = 0.10;                    // nor do they below this, while our workers rest
  Duration quiet_time = std::chrono::seconds{60};          // without others, before we come back
  Duration longest_quiet_time = std::chrono::minutes{10};  // it grows while they keep coming back
  Ceiling ceiling = {};
  std::map<GpuUuid, GpuSettings> gpus = {};
  // MemoryLedger's: what nobody plans with, on each gpu.
  std::int64_t margin_bytes = std::int64_t{512} << 20;

  friend bool operator==(const Settings&, const Settings&) = default;
};

// --- events ---------------------------------------------------------------------------------------------------

struct SettingsChanged {  // takes effect at once
  Settings settings;
};
struct LocalTimeTold {  // at the start, and whenever it differs: daylight saving, a clock that was set
  Duration ahead = {};  // the local wall clock minus `now`
};

struct GpuArrived {  // is in the list: new, back, or of another size
  Gpu gpu;
};
struct GpuGone {  // no longer in the list
  GpuUuid gpu;
};
struct GpuSampled {
  GpuSample sample;
};

// The most that a worker will hold, as planned.
struct Claim {
  std::int64_t weights_bytes = 0;
  std::int64_t activation_bytes = 0;  // the peak, during a chunk
  std::int64_t overhead_bytes = 0;    // of its context
};
struct WorkerStarted {  // ordered: from here on its memory may be in a sample
  WorkerId worker;
  GpuUuid gpu;
  Claim claim;
};
struct WorkerSpawned {  // may stay out where it is not known
  WorkerId worker;
  std::int64_t pid = 0;
};
struct WorkerReady {  // it has loaded, and rests
  WorkerId worker;
};
// Its own figures, as they come; an absent one stays what it was.
struct WorkerMeasured {
  WorkerId worker;
  std::optional<std::int64_t> resting_bytes = {};  // held between two chunks, context included
  std::optional<std::int64_t> peak_bytes = {};     // the most ever
};
struct WorkerEnded {  // the process is gone
  WorkerId worker;
};
struct ChunkStarted {
  WorkerId worker;
  JobId job;
};
struct ChunkEnded {  // in whatever way
  WorkerId worker;
};

// "Use it anyway": others, what is left of the quiet time and quiet hours no longer close it. Heat does.
struct GpuOverridden {
  GpuUuid gpu;
  std::optional<Instant> until = {};  // absent: until taken back
};
struct GpuOverrideEnded {
  GpuUuid gpu;
};
struct TimerFired {};

using Event = std::variant<SettingsChanged, LocalTimeTold, GpuArrived, GpuGone, GpuSampled, WorkerStarted,
                           WorkerSpawned, WorkerReady, WorkerMeasured, WorkerEnded, ChunkStarted, ChunkEnded,
                           GpuOverridden, GpuOverrideEnded, TimerFired>;

// --- why a gpu gets no work -----------------------------------------------------------------------------------

struct OthersCompute {  // the largest of them, and what all use
  std::optional<std::int64_t> pid = {};
  std::string name = {};  // empty when unknown
  std::int64_t bytes = 0;
};
struct BusyByOthers {
  double utilization_ratio = 0;
};
struct OthersLeft {  // the quiet time
  Instant until = {};
};
struct QuietHours {
  Instant until = {};
};
struct TooHot {
  double celsius = 0;
  double ceiling_celsius = 0;
};
struct NotSeenYet {  // no sample so far; it opens with the first one, or then
  Instant until = {};
};
using Reason = std::variant<OthersCompute, BusyByOthers, OthersLeft, QuietHours, TooHot, NotSeenYet>;

// The code in the API and the page: "others_compute".
std::string_view name(const Reason& reason);
std::string_view name(Share share);
std::optional<Share> share_from(std::string_view text);  // "idle-only" as "idle_only"

// --- actions of Sharing ---------------------------------------------------------------------------------------

enum class Running { finish, abandon };  // abandon: the chunk is queued again and is nobody's failed attempt
enum class Workers { keep, end };        // end: as soon as nothing runs, so that the memory is theirs

// Start nothing more there. Told again when more is asked for than before.
struct Close {
  GpuUuid gpu;
  Running running = Running::finish;
  Workers workers = Workers::end;
  Reason reason;
};
struct Open {
  GpuUuid gpu;
};
struct WakeAt {  // replaces an earlier wish; answered by TimerFired
  Instant at = {};
};
using Action = std::variant<Close, Open, WakeAt>;

}  // namespace pixelfleet::sharing
