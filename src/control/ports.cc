#include "control/ports.h"

#include <algorithm>

namespace pixelfleet::control {

bool is_one_colour(const Pixels& pixels) {
  const auto bytes = pixels.bytes();
  return bytes.size() >= 3 && std::equal(bytes.begin() + 3, bytes.end(), bytes.begin());
}

}  // namespace pixelfleet::control
