// swarmui: requests without a matching backend press for their model; the highest pressure is loaded.
//
// Re-implements the BackendHandler of SwarmUI at 062407c7. A request goes to the first available backend whose current
// model is its own. The others form one pressure for each model, with the score 10 x requests + whole seconds since the
// first. The highest that is not being loaded anywhere is loaded on the backend released longest ago, once it has
// waited 1.5 s, or at once when a single backend is available. While one waits out its hold, no other is considered.
// Simplified: one request at a time on a backend (SwarmUI lets a second one queue behind it, which helps nobody here);
// a backend keeps several models where memory allows, which favours this rival; no limits for each user, no scaling.
#pragma once

#include <optional>
#include <vector>

#include "simulator/rival.h"

namespace pixelfleet::simulator {

class SwarmPressure : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;
  std::optional<double> wake_at_s(const FleetView& fleet) override;

 private:
  struct Pressure {
    int requests = 0;
    double first_s = 0.0;
  };

  void weigh(const FleetView& fleet);
  std::optional<int> highest(const FleetView& fleet) const;  // a model

  std::vector<Pressure> pressures_;  // by model; only for the decision at hand
  std::optional<double> hold_until_s_;
};

}  // namespace pixelfleet::simulator
