// Production trace: T10, four days of requests that a provider served (GenTD26; Lin et al., SoCC 2025), replayed twelve
// times as fast.
//
// The file has no licence, so it is read where it lies. It tells users, models, images and steps; models get families
// and sizes in turns, in the order of their popularity, and a request asks for at most as many
// pictures at once as theirs do.
#pragma once

#include "base/result.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

// The first `part` of it. not_found: no file; the message says where it was looked for.
Result<Trace> production_trace(double part);

}  // namespace pixelfleet::simulator
