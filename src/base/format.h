// format("{} of {}", a, b): std::format's grammar, from fmt until the compilers of our distributions have it.
#pragma once

#include <fmt/format.h>

namespace pixelfleet {

using fmt::format;
using fmt::join;

}  // namespace pixelfleet
