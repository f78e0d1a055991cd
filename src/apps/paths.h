// Where the parts that belong to the program lie: beside it in a build tree, under lib/ and share/ when installed.
#pragma once

#include <filesystem>

#include "config/config.h"

namespace pixelfleet::apps {

std::filesystem::path program_path();
// The configured directory, else the program's own.
std::filesystem::path engines_directory(const Config& config);
std::filesystem::path profiles_directory(const Config& config);
// The configured library, else the one whose header the adapter was compiled against; empty when there is none.
std::filesystem::path engine_library(const Config& config);

}  // namespace pixelfleet::apps
