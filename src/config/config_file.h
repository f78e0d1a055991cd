// The configuration file: YAML, nested or with flat keys ("multi_gpu.enabled: true"), read into flat key -> text.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace pixelfleet {

// Lists become comma-separated text. Errors carry the file and the line.
Result<std::map<std::string, std::string>> read_config_file(const std::string& path);

}  // namespace pixelfleet
