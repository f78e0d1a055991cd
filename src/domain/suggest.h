// "Did you mean ...?": the known name nearest to one that was not found.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pixelfleet {

// The candidate with the smallest edit distance (case ignored), if it is near enough to be a slip.
std::optional<std::string> nearest_name(std::string_view wanted, const std::vector<std::string>& candidates);

std::string to_lower_ascii(std::string_view text);

}  // namespace pixelfleet
