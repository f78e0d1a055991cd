// Acceptance: turns what a client asked for into a durable job: settings, seeds, run directory and file names.
//
// Everything that a repeated attempt must find unchanged is decided here, once. Owned by the control loop.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/rng.h"
#include "control/ports.h"
#include "domain/catalog.h"
#include "domain/resolve.h"

namespace pixelfleet::control {

// The next free keys; they never repeat, also not across restarts.
struct NextIds {
  RunId run{1};
  JobId job{1};
  ImageId image{1};
};

struct Accepted {
  Run run;
  struct Entry {
    Job job;
    std::vector<Image> images;
  };
  std::vector<Entry> entries;
};

class Acceptance {
 public:
  Acceptance(StorePort& store, std::filesystem::path output_directory, NextIds next, std::uint64_t seed);

  // All or none: one submission is one run directory. Error.fields are prefixed "jobs[i]." when there are several.
  Result<Accepted> accept(const std::vector<JobSpec>& specs, const Catalog& catalog, Instant now);

 private:
  Result<ResolvedJob> with_input_files(ResolvedJob resolved) const;
  std::string free_run_directory(Instant now);
  Accepted::Entry make_entry(const JobSpec& spec, ResolvedJob resolved, const Run& run, const Model& model,
                             std::set<std::string>& taken_names, Instant now);

  StorePort& store_;
  const std::filesystem::path output_directory_;
  NextIds next_;
  Rng rng_;
  std::string last_base_;  // the run directory of this second, and the next suffix to try
  int next_suffix_ = 1;
};

}  // namespace pixelfleet::control
