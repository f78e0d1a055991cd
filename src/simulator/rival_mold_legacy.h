// mold-legacy: jobs are dispatched ahead of time into a short channel for each gpu, warm gpus first.
//
// Re-implements mold's legacy scheduler as of 0.15-0.20 (crates/mold-server gpu_pool.rs; classes of PR #438). One line
// with a look-ahead buffer of 8: the head goes if it was deferred 3 times, else the first buffered job whose model is
// loaded anywhere, and every job before that one is deferred once more. The job joins the channel (2 places, besides
// the one at work) of the first gpu of: warm and idle; idle and empty, the smallest that fits; warm but busy, least in
// flight; most total memory, whatever it does. A gpu with a full channel is passed over; when all are full the line
// waits. What is in a channel stays there: a card that becomes free does not help a busy neighbour.
// Simplified: a gpu keeps several models where memory allows (mold keeps one in gpu memory); never a model where it
// does not fit; a job that failed starts again from the line; no gpu is avoided after failures.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

class MoldLegacy : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;

 private:
  void take_back_from_lost_gpus(const FleetView& fleet);
  void dispatch(const FleetView& fleet);
  std::vector<int> buffered(const FleetView& fleet);
  int pick(const FleetView& fleet, const std::vector<int>& buffer);  // the index in the buffer
  std::optional<int> place(const FleetView& fleet, int model) const;
  int in_flight(const FleetView& fleet, int gpu) const;
  bool is_warm(const FleetView& fleet, int gpu, int model) const;

  std::vector<std::deque<int>> channels_;  // jobs, by gpu
  Table<char> is_dispatched_{0};           // by job: in a channel
  Table<int> deferrals_{0};                // by job
};

}  // namespace pixelfleet::simulator
