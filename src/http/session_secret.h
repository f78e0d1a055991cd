// The session cookie's value: random, kept in the data directory so that open pages survive a restart.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace pixelfleet::http {

// Reads DATA/session_secret or makes it (readable by this user only). Deleting the file ends every session.
Result<std::string> load_session_secret(const std::filesystem::path& data_directory);

}  // namespace pixelfleet::http
