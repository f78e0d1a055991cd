// The complete Json type, for sources that build or read values.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"

namespace pixelfleet {

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace pixelfleet
