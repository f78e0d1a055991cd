#include "catalog/profile_files.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/check.h"
#include "base/format.h"
#include "catalog/text_file.h"
#include "domain/job_spec.h"
#include "domain/sampler.h"
#include "domain/suggest.h"

namespace pixelfleet::catalog {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kKeys = {"key",   "title",  "aliases", "prompt_suffix", "negative_suffix",
                                        "steps", "sampler"};

struct Place {
  const std::string& source;
  tl::unexpected<Error> broken(const YAML::Mark& mark, const std::string& reason) const {
    return fail(ErrorCode::corrupt, format("{}:{}: {}", source, mark.is_null() ? 1 : mark.line + 1, reason));
  }
};

Result<> check_keys(const Place& place, const YAML::Node& root) {
  for (const auto& entry : root) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) continue;
    const auto near = nearest_name(key, kKeys);
    return place.broken(entry.first.Mark(),
                        format("unknown key '{}'{}", key, near ? "; did you mean '" + *near + "'?" : ""));
  }
  return {};
}

Result<std::string> read_text(const Place& place, const YAML::Node& root, const char* key, std::size_t max_bytes) {
  const YAML::Node node = root[key];
  if (!node || node.IsNull()) return std::string{};
  if (!node.IsScalar()) return place.broken(node.Mark(), format("{} must be a text", key));
  if (node.Scalar().size() > max_bytes) {
    return place.broken(node.Mark(), format("{} is longer than {} bytes", key, max_bytes));
  }
  return node.Scalar();
}

bool is_key(const std::string& key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<> read_texts(const Place& place, const YAML::Node& root, Profile& profile) {
  struct Field {
    const char* key;
    std::string* target;
    std::size_t max_bytes;
  };
  for (const Field& field :
       {Field{"key", &profile.key, limits::kMaxNameBytes}, Field{"title", &profile.title, limits::kMaxNameBytes},
        Field{"prompt_suffix", &profile.prompt_suffix, limits::kMaxPromptBytes / 2},
        Field{"negative_suffix", &profile.negative_suffix, limits::kMaxPromptBytes / 2}}) {
    auto text = read_text(place, root, field.key, field.max_bytes);
    if (!text) return fail(text.error());
    *field.target = std::move(*text);
  }
  if (!is_key(profile.key)) {
    return place.broken(root["key"] ? root["key"].Mark() : root.Mark(),
                        "key is needed: lower-case letters, digits, '-', '_' and '.'");
  }
  if (profile.title.empty()) return place.broken(root.Mark(), "title is needed: the name that people see");
  return {};
}

Result<> read_recommendations(const Place& place, const YAML::Node& root, Profile& profile) {
  if (const YAML::Node steps = root["steps"]; steps && !steps.IsNull()) {
    int value = 0;
    if (!YAML::convert<int>::decode(steps, value) || value < limits::kMinSteps || value > limits::kMaxSteps) {
      return place.broken(steps.Mark(),
                          format("steps must be a whole number from {} to {}", limits::kMinSteps, limits::kMaxSteps));
    }
    profile.steps = value;
  }
  if (const YAML::Node sampler = root["sampler"]; sampler && !sampler.IsNull()) {
    const std::string name = sampler.IsScalar() ? sampler.Scalar() : "";
    if (!find_sampler(name)) {
      const auto near = nearest_name(name, sampler_names());
      return place.broken(sampler.Mark(),
                          format("unknown sampler '{}'{}", name, near ? "; did you mean '" + *near + "'?" : ""));
    }
    profile.sampler = name;
  }
  if (const YAML::Node aliases = root["aliases"]; aliases && !aliases.IsNull()) {
    if (!aliases.IsSequence()) return place.broken(aliases.Mark(), "aliases must be a list of names");
    for (const auto& alias : aliases) {
      if (!alias.IsScalar()) return place.broken(alias.Mark(), "aliases must be a list of names");
      profile.aliases.push_back(alias.Scalar());
    }
  }
  return {};
}

// Later texts replace earlier ones of the same key.
void overlay(std::map<std::string, Profile>& profiles, std::vector<std::string>& problems, const std::string& text,
             const std::string& source) {
  auto profile = parse_profile(text, source);
  if (!profile) {
    problems.push_back(profile.error().message);
    return;
  }
  profiles.insert_or_assign(profile->key, std::move(*profile));
}

void overlay_directory(std::map<std::string, Profile>& profiles, std::vector<std::string>& problems,
                       const std::string& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = to_lower_ascii(it->path().extension().string());
    if (extension == ".yaml" || extension == ".yml") files.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems.push_back(format("cannot read {}: {}", directory, error.message()));
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const auto text = read_small_file(file.string());
    if (text) overlay(profiles, problems, *text, file.string());
    if (!text) problems.push_back(text.error().message);
  }
}

}  // namespace

Result<Profile> parse_profile(const std::string& text, const std::string& source) {
  const Place place{source};
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) return place.broken(root.Mark(), "a profile is a list of `key: value` lines");
    Profile profile;
    if (auto done = check_keys(place, root); !done) return fail(done.error());
    if (auto done = read_texts(place, root, profile); !done) return fail(done.error());
    if (auto done = read_recommendations(place, root, profile); !done) return fail(done.error());
    return profile;
  } catch (const YAML::Exception& e) {
    return place.broken(e.mark, e.msg);
  }
}

LoadedProfiles load_profiles(const std::vector<std::string>& directories) {
  std::map<std::string, Profile> by_key;
  LoadedProfiles result;
  for (const BuiltInProfile& profile : built_in_profiles()) {
    overlay(by_key, result.problems, profile.text, profile.file);
  }
  CHECK(result.problems.empty() && by_key.contains("none"));
  for (const std::string& directory : directories) {
    if (!directory.empty()) overlay_directory(by_key, result.problems, directory);
  }
  for (auto& [key, profile] : by_key) result.profiles.push_back(std::move(profile));
  std::sort(result.profiles.begin(), result.profiles.end(), [](const Profile& a, const Profile& b) {
    return std::pair(a.key != "none", std::tie(a.title, a.key)) < std::pair(b.key != "none", std::tie(b.title, b.key));
  });
  return result;
}

}  // namespace pixelfleet::catalog
