// invokeai: every gpu pulls for itself, users take turns, and warm jobs may be a little early.
//
// Re-implements InvokeAI's multi-gpu queue (PR #9263, read at 8e71a8a5) with its round robin between users. A gpu that
// is free takes, of the user whose last start is longest ago, the best job by priority and id. It may swap it for the
// first job of the same user and priority, at most 32 ids younger, whose model it holds. It never waits for a warm gpu
// and never keeps a gpu for a model. Simplified: a job names one model, so "most models held" is held or not; ids are
// the order of arrival; of several free gpus the one free longest pulls first; a gpu does not pull what cannot fit it
// (InvokeAI would offload).
#pragma once

#include <optional>
#include <vector>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

class InvokePull : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;

 private:
  std::optional<int> candidate(const FleetView& fleet, int gpu);  // a job
  int warm_instead_of(const FleetView& fleet, int gpu, int job) const;

  int starts_ = 0;
  Table<int> last_start_{0};     // by user: which start it was; 0: none yet
  Table<int> best_of_user_{-1};  // jobs, only for the decision at hand
};

}  // namespace pixelfleet::simulator
