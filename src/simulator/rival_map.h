// map: a reordering buffer of k jobs, emptied model by model; the next model is the one with the greatest adjusted
// penalty.
//
// Re-implements the Maximum Adjusted Penalty strategy (Englert and Westermann, ICALP 2005) for non-uniform costs: as
// long as the buffer holds a job of a model that an idle gpu has, it goes there. Otherwise the gpu changes to the model
// with the greatest P - k x b, b its time to load. P grows for every other model by b of the one chosen, once for each
// of its jobs in the buffer; the chosen one's starts again at zero. Simplified: the buffer is the first k waiting jobs
// and is served before it is full, since jobs arrive in time; every gpu is a server of the same buffer and may have
// several models.
#pragma once

#include <optional>
#include <vector>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

class ReorderingBuffer : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;

 private:
  std::optional<RunJob> change(const FleetView& fleet, int gpu, const std::vector<int>& buffer);
  void punish(const FleetView& fleet, int chosen, double cost_s, const std::vector<int>& buffer);

  Table<double> penalty_{0.0};  // by model
};

}  // namespace pixelfleet::simulator
