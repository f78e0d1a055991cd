// From a request to concrete settings: the one validator, and the order in which defaults apply.
//
// explicit key > profile's recommendation > model's default (KeepMine::request_wins, the API), or
// profile's recommendation > explicit key > model's default for steps and sampler (profile_wins: page, headless).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "domain/catalog.h"
#include "domain/job.h"

namespace pixelfleet {

struct ResolvedJob {
  JobSettings settings;
  std::vector<std::string> warnings;  // a sampler that stands in for another, a size that is generated larger
};

// Every wrong field is reported, not the first one: Error.fields has one entry each.
Result<ResolvedJob> resolve(const JobSpec& spec, const Catalog& catalog);

// "a, b": appends a profile's suffix the way v17 does; either side may be empty.
std::string append_suffix(const std::string& text, const std::string& suffix);

}  // namespace pixelfleet
