// Json: the one name for a JSON value in our interfaces; the only header that knows which library it is.
//
// Headers use the forward declaration; sources that build or read values include base/json_full.h.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pixelfleet {

using Json = nlohmann::json;

// Limits of a JSON text that comes from outside (reliability: no deep recursion, no flood of keys).
struct JsonLimits {
  std::size_t max_bytes = 1u << 20;
  int max_depth = 32;
  std::size_t max_values = 100'000;
};

// Parses text that may come from anyone: size, depth and UTF-8 are checked, the error tells the byte.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// Compact text. Broken UTF-8 (from logs of other programs) is replaced, never thrown about.
std::string to_text(const Json& value);

}  // namespace pixelfleet
