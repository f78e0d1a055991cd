// Results: the JSON of a study, for programs.
#pragma once

#include "base/json.h"
#include "simulator/study.h"
#include "simulator/sweep.h"

namespace pixelfleet::simulator {

// {"results": [{"trace", "regime", "policy", "seed", "jobs", "mean_wait_s", ...}]}, a row for each run that did not
// fail. `policy` is the contender's label; times are in seconds, shares between 0 and 1.
Json results_json(const Study& study);

// [{"regime", "policy", "p95_wait_limit_s", "sustainable_load", "points": [{"load", "p95_wait_s", "mean_wait_s"}]}];
// sustainable_load is null when the curve lies on one side of the limit. Failed curves are left out.
Json curves_json(const std::vector<LoadCurve>& curves, double limit_s);

}  // namespace pixelfleet::simulator
