// Profiles from YAML files, one profile a file; users may edit and add them.
//
//   key: photoreal
//   title: Photoreal
//   aliases: [realistic]
//   prompt_suffix: "..."
//   negative_suffix: "..."
//   steps: 26
//   sampler: dpm++2m
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "domain/profile.h"

namespace pixelfleet::catalog {

// `source` names the text in errors: "FILE:LINE: reason".
Result<Profile> parse_profile(const std::string& text, const std::string& source);

struct LoadedProfiles {
  std::vector<Profile> profiles;      // None / Raw first, then by title
  std::vector<std::string> problems;  // one line for each file that was left out
};

// The profiles that are built into the program, overlaid by the *.yaml files of each directory in turn: a file whose
// key is known replaces that profile. A missing directory is an empty one.
LoadedProfiles load_profiles(const std::vector<std::string>& directories);

// The texts of profiles/*.yaml, put into the program when it is built.
struct BuiltInProfile {
  const char* file;
  const char* text;
};
const std::vector<BuiltInProfile>& built_in_profiles();

}  // namespace pixelfleet::catalog
