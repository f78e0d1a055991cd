// Small text files: read whole with a limit, replaced whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pixelfleet::catalog {

inline constexpr std::size_t kMaxTextFileBytes = 1 << 20;

// corrupt when it is longer than the limit or not UTF-8.
Result<std::string> read_small_file(const std::string& file);

// Writes beside it, syncs, renames: a crash leaves the old text or the new one.
Result<> replace_file(const std::string& file, std::string_view text);

}  // namespace pixelfleet::catalog
