// History: a user's own past jobs as a trace.
//
// Jobs arrive as they did, by the same owners, for models of the same families and sizes. What became of a job then
// plays no part: it is made anew, whole, also where it was cancelled. A model of a family that the tables do not know
// counts as the family nearest in size.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "domain/catalog.h"
#include "domain/job.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

struct History {
  Trace trace;                     // without a machine
  std::vector<std::string> notes;  // what had to be assumed, in words
};

// Jobs in any order. not_found: there are none.
Result<History> history_of(std::vector<Job> jobs, const Catalog& catalog);

}  // namespace pixelfleet::simulator
