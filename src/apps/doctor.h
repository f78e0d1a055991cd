// `pixelfleet doctor`: says what works on this machine, what does not, why, and what to do.
#pragma once

#include "config/config.h"

namespace pixelfleet::apps {

// Prints one line per finding; 0 when pictures can be made, 5 when they cannot.
int doctor(const LoadedConfig& loaded);

}  // namespace pixelfleet::apps
