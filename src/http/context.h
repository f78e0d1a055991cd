// Context: what every handler may use. Made once, immutable, shared by all threads.
#pragma once

#include "base/clock.h"
#include "control/ports.h"
#include "control/service.h"
#include "http/access.h"
#include "http/options.h"

namespace pixelfleet::http {

struct Context {
  control::Service& service;
  control::Reader& reader;
  Options options;
  Policy policy;
  Clock& clock;
  Instant started_at;
};

}  // namespace pixelfleet::http
