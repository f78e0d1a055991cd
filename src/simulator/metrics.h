// Metrics: what one run is judged by, from its record.
//
// Waits are start - arrival of every job: nothing is censored, the queue was drained. Percentiles are nearest-rank, so
// each is the wait of a job that exists. A slowdown is (end - arrival) over the job's own time on the fastest warm gpu.
#pragma once

#include <vector>

#include "simulator/bounds.h"
#include "simulator/run.h"

namespace pixelfleet::simulator {

// Parts of all gpu time from zero to the last end; they add up to 1. A gpu that runs and loads at once runs.
struct Utilisation {
  double run = 0.0;
  double load = 0.0;
  double idle_with_queue = 0.0;  // some job had arrived and not started
  double idle_empty = 0.0;       // also while the gpu was lost
};

struct Fairness {
  double jain = 1.0;  // of the users' mean slowdowns: 1 = all alike, 1/n = one of n users bears it all
  int worst_user = -1;
  double worst_slowdown = 0.0;  // mean of that user's jobs
};

// What the parts of the policy that do not shorten the mean wait are for.
struct Promises {
  double light_wait_s = 0.0;  // mean wait of the users who send least and together up to half of the jobs
  double large_job_s = 0.0;   // mean time from start to end of the tenth of the jobs that is longest by itself
};

struct Metrics {
  int jobs = 0;
  double mean_wait_s = 0.0;
  double p50_wait_s = 0.0;
  double p95_wait_s = 0.0;
  double p99_wait_s = 0.0;
  double max_wait_s = 0.0;
  int loads = 0;
  int foreground_loads = 0;  // of these, the ones that kept their gpu from running
  double foreground_load_s = 0.0;
  double makespan_over_bound = 0.0;
  double flow_over_bound = 0.0;
  Utilisation utilisation = {};
  Fairness fairness = {};
  Promises promises = {};
  double decision_us_mean = 0.0;
  double decision_us_p99 = 0.0;
};

Metrics metrics_of(const RunRecord& record, const Bounds& bounds, int gpu_count);

// The waits in ascending order.
std::vector<double> sorted_waits(const RunRecord& record);

// Nearest rank: the smallest value that at least `part` (0-1) of all are not above. Sorted, not empty.
double percentile(const std::vector<double>& sorted, double part);

}  // namespace pixelfleet::simulator
