// Opens files below a directory so that no name, link or mount trick leads out of it.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::http {

struct OpenFile {
  UniqueFd fd;
  std::int64_t bytes = 0;
};

// A regular file at `relative` below `root`, for reading; symbolic links anywhere in `relative` are refused.
Result<OpenFile> open_beneath(const std::filesystem::path& root, const std::string& relative);

}  // namespace pixelfleet::http
