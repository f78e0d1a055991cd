// sjf: the shortest waiting job first, with affinity.
//
// Re-implements the textbook baseline named in docs/scheduling.md, no peer's source. Length is the predicted run on the
// fastest gpu that can hold the model; the time to load counts for nothing, which is why a short job of another model
// evicts a long one's. Affinity: an idle gpu that holds the model, else the idle gpu with the most free memory.
// Simplified: lengths are predictions that do not change while a job waits.
#pragma once

#include <optional>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

class ShortestFirst : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;

 private:
  double length_s(const FleetView& fleet, int job);

  Table<double> lengths_{-1.0};  // by job; -1 until asked for
};

}  // namespace pixelfleet::simulator
