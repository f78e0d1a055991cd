// Keeps, per gpu, how much of its memory the scheduler may plan with: what is there less what others hold.
//
// A pure state machine beside Sharing, fed the same events. What others hold is what the driver says is in use less
// what is ours (holdings.h). That is exact while process ids tell us apart or our workers rest; while one loads or
// works unseen it is a range, and the last figure stays as long as it lies in it.
//
//   plan = total - what is not ours - margin           which is the same as: free + what we hold - margin
//
// A gpu starts as if nobody were there: the first sample corrects that (Sharing keeps polite gpus closed until then).
// When others take memory the plan shrinks at once; it grows after half a minute in which it could have been larger all
// the time. A driver that says nothing, or nonsense, changes nothing: the plan is never 0 but where others really hold
// all. Gpus whose memory nobody else takes (cpu, virtual) are planned with in full, without a margin.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sharing/events.h"
#include "sharing/holdings.h"

namespace pixelfleet::sharing {

// The sum of what workers may hold there at the same time. Workers that are there may already exceed it: some have to
// end (MemoryPlan::over_bytes).
struct PlanChanged {
  GpuUuid gpu;
  std::int64_t plan_bytes = 0;
};
// For ten seconds the driver has said that our workers hold more than they say, or less, by more than 512 MiB and a
// tenth: estimates are wrong, or memory leaks. The plan goes by the driver.
struct DiscrepancyFound {
  GpuUuid gpu;
  std::int64_t believed_bytes = 0;
  std::int64_t driver_bytes = 0;
};
struct DiscrepancyEnded {
  GpuUuid gpu;
};
using LedgerAction = std::variant<PlanChanged, DiscrepancyFound, DiscrepancyEnded>;

// One gpu's account, for people and for the scheduler.
struct MemoryPlan {
  GpuUuid gpu;
  std::int64_t total_bytes = 0;            // without what the driver keeps for itself, as Gpu has it; 0: unknown
  std::optional<std::int64_t> plan_bytes;  // absent: the size is not known
  std::int64_t margin_bytes = 0;
  std::int64_t others_bytes = 0;             // not ours: compute, graphics and what nobody accounts for
  ByteRange ours;                            // in the last sample
  std::int64_t believed_bytes = 0;           // the most that our workers will hold, by their own figures
  std::int64_t over_bytes = 0;               // how much of that is more than the plan
  std::int64_t discrepancy_bytes = 0;        // driver minus belief; 0 while the belief's range has room for it
  std::optional<Instant> discrepancy_since;  // told and not ended
};

class MemoryLedger {
 public:
  explicit MemoryLedger(Settings settings = {});

  // Applies one event. `now` never goes back.
  [[nodiscard]] std::vector<LedgerAction> step(const Event& event, Instant now);

  // Of the gpus in the list, by uuid.
  std::vector<MemoryPlan> gpus() const;

 private:
  struct Account {
    Gpu gpu;
    enum class Presence { there, gone } presence = Presence::there;
    std::int64_t others_bytes = 0;
    ByteRange ours;
    std::optional<std::int64_t> plan_bytes;  // told
    // What it could have been all the time since then.
    std::optional<Instant> growing_since;
    std::int64_t growing_bytes = 0;
    std::int64_t discrepancy_bytes = 0;
    std::int64_t driver_bytes = 0;
    std::optional<Instant> doubted_since;  // the discrepancy that was told, or not told
    std::optional<Instant> discrepancy_since;
  };
  enum class Growth { at_once, slowly };

  void on_sample(const GpuSample& sample);
  void compare(Account& account, const Split& split, const GpuSample& sample);
  void plan(Account& account, Growth growth);
  std::optional<std::int64_t> possible_bytes(const Account& account) const;
  void tell(Account& account, std::int64_t plan_bytes);

  Settings settings_;
  Holdings holdings_;
  std::map<GpuUuid, Account> accounts_;
  Instant now_ = {};
  std::vector<LedgerAction> actions_;
};

}  // namespace pixelfleet::sharing
