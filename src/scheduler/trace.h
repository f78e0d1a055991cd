// Events and actions as one line of prose each: for logs, for tests that fail, and to compare whole histories.
#pragma once

#include <string>

#include "scheduler/events.h"

namespace pixelfleet::scheduler {

std::string describe(const Event& event);
std::string describe(const Action& action);

}  // namespace pixelfleet::scheduler
