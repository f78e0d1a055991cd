// Bounds: what no policy can beat on a trace, so that a result can say how far from it it is.
//
// All hold for unrelated gpus, for the predicted times (a run's noise has mean 1), and for a policy that knows the
// future except that it loads no model before the first job for it has arrived. docs/scheduling.md derives them.
//
// A gpu's speed on a job is relative to the job's best gpu; S sums over gpus the best such speed over all jobs. So
// S machine-seconds of work end in a second at most. Patches of LoRA sets and failures are left out: they only add.
#pragma once

#include "simulator/run.h"

namespace pixelfleet::simulator {

struct Bounds {
  // From the first arrival's zero to the last end, jobs split or not, while a load keeps its gpu from running:
  // the largest, over all suffixes of arrivals, of arrival + (work + first loads, on the gpu that loses least) / S,
  // and of a job's own arrival + time.
  double makespan_s = 0.0;
  // end - arrival, when no job is split: preemptive shortest-total-first on one gpu of speed S, half of each job's
  // own time after its mean; at least the mean of the jobs' own times.
  double mean_flow_s = 0.0;
  int load_floor = 0;  // distinct models: each is loaded once
  // For jobs in order of arrival on one gpu with the memory of all: who is needed last goes first. The optimum for
  // models of one size, near it otherwise; a policy that reorders jobs may need fewer.
  int belady_loads = 0;

  // The same for weaker assumptions: loads behind runs cost no time of a gpu that has something to run; jobs may be
  // split over all gpus.
  double makespan_load_behind_s = 0.0;
  double mean_flow_split_s = 0.0;
};

// A job whose model fits no gpu never ends and is left out.
Bounds bounds_of(const Trace& trace, Regime regime, Capabilities capabilities);

}  // namespace pixelfleet::simulator
