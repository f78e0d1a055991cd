// mold-v2: a plan in the order of arrival, matched to the idle gpus at the least setup.
//
// Re-implements what mold's planner (crates/mold-scheduler, PR #585, read at 111fd31) executes. Jobs come in the order
// (passed over 3 times, class, arrival) until every idle gpu is taken; they are matched to gpus by setup time, then gpu
// index, and one already placed may move to make room. While a warm gpu, busy or still loading, would finish a job
// earlier than any cold idle one, the job refuses the cold ones for at most 2 s from its first refusal, and not once
// the warm gpu is due. Whoever sees a younger job start on a gpu that it could have used is passed over once more; at 3
// it goes to the front and refuses nothing. Simplified: the forecast lanes are left out, since mold executes only what
// starts now; no host memory in the cost; a setup is the load alone, and nothing when warm.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"
#include "simulator/rival_matching.h"

namespace pixelfleet::simulator {

class MoldPlanner : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;
  std::optional<double> wake_at_s(const FleetView& fleet) override;

 private:
  void plan(const FleetView& fleet);
  std::vector<int> in_order(const FleetView& fleet);
  std::vector<std::optional<MatchCost>> costs(const FleetView& fleet, int job);
  bool refuses_cold(const FleetView& fleet, int job);
  void count_passed_over(const FleetView& fleet);

  std::deque<RunJob> leases_;  // of the last plan, not yet ordered
  std::optional<double> next_refusal_ends_s_;
  Table<int> passed_over_{0};            // by job
  Table<double> first_refusal_s_{-1.0};  // by job; -1: never
};

}  // namespace pixelfleet::simulator
