// Profile: a style that adds to prompt and negative prompt and recommends steps and a sampler.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pixelfleet {

struct Profile {
  std::string key;  // "none", "photoreal"
  std::string title;
  std::vector<std::string> aliases;
  std::string prompt_suffix;
  std::string negative_suffix;
  std::optional<int> steps;
  std::optional<std::string> sampler;

  friend bool operator==(const Profile&, const Profile&) = default;
};

}  // namespace pixelfleet
