// The access token of a server that listens beyond loopback: made on first start, kept readable for its owner only.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace pixelfleet::apps {

// Reads DIR/token, or makes one of 256 random bits. A file that others may read is refused.
Result<std::string> load_or_make_token(const std::filesystem::path& data_directory);

// The token of a running server's data directory; not_found where none was made.
Result<std::string> read_token(const std::filesystem::path& data_directory);

}  // namespace pixelfleet::apps
