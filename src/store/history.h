// History: the jobs of a data directory, read without owning it: a server may run on it at the same time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "base/result.h"
#include "domain/job.h"

namespace pixelfleet::store {

// The newest `limit` jobs, newest first. Empty when there is no database yet.
Result<std::vector<Job>> read_history(const std::filesystem::path& data_directory, std::size_t limit);

}  // namespace pixelfleet::store
