// Bounds: what no policy can beat on a trace, so that a result can say how far from it it is.
//
// Valid for unrelated gpus and predicted times (docs/scheduling.md derives them): makespan by volume on a uniform
// relaxation plus the first loads; flow by preemptive shortest-total-first; loads by the models seen, and Belady's
// offline optimum for the order of arrival.
#pragma once

#include "simulator/run.h"

namespace pixelfleet::simulator {

struct Bounds {
  double makespan_s = 0.0;   // from the first arrival's zero to the last end
  double mean_flow_s = 0.0;  // end - arrival
  int load_floor = 0;        // distinct models
  int belady_loads = 0;      // for arrival order on the total capacity
};

Bounds bounds_of(const Trace& trace, Regime regime, Capabilities capabilities);

}  // namespace pixelfleet::simulator
