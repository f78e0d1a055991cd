#include "domain/catalog.h"

#include <algorithm>

#include "base/format.h"
#include "base/utf8.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const auto near = nearest_name(name, known);
  return near ? format("; did you mean \"{}\"?", *near) : std::string{};
}

}  // namespace

const Model* Catalog::find_model(std::string_view key_or_title) const {
  const std::string wanted = to_lower_ascii(key_or_title);
  const auto found = std::find_if(models.begin(), models.end(), [&](const Model& model) {
    return to_lower_ascii(model.key) == wanted || to_lower_ascii(model.title) == wanted;
  });
  return found == models.end() ? nullptr : &*found;
}

const Profile* Catalog::find_profile(std::string_view name) const {
  const std::string wanted = to_lower_ascii(name);
  const auto matches = [&](const std::string& candidate) { return to_lower_ascii(candidate) == wanted; };
  const auto found = std::find_if(profiles.begin(), profiles.end(), [&](const Profile& profile) {
    return matches(profile.key) || matches(profile.title) ||
           std::any_of(profile.aliases.begin(), profile.aliases.end(), matches);
  });
  return found == profiles.end() ? nullptr : &*found;
}

const Model* Catalog::default_model() const {
  const auto installed = [](const Model& model) { return model.state == ModelState::installed; };
  const auto real =
      std::find_if(models.begin(), models.end(), [&](const Model& m) { return installed(m) && !m.is_demo(); });
  if (real != models.end()) return &*real;
  if (const Model* landscape = find_model("demo-landscape"); landscape != nullptr && installed(*landscape)) {
    return landscape;
  }
  const auto any = std::find_if(models.begin(), models.end(), installed);
  return any == models.end() ? nullptr : &*any;
}

FieldError Catalog::unknown_model(std::string_view name) const {
  std::vector<std::string> known;
  std::string installed;
  for (const Model& model : models) {
    known.push_back(model.key);
    known.push_back(model.title);
    if (model.state != ModelState::installed) continue;
    if (!installed.empty()) installed += ", ";
    installed += model.key;
  }
  return {"model", std::string(utf8_prefix(name, 128)), "unknown model" + did_you_mean(name, known),
          installed.empty() ? "no model is installed; add one with `pixelfleet models add NAME --part checkpoint=FILE`"
                            : "installed models: " + installed};
}

FieldError Catalog::unknown_profile(std::string_view name) const {
  std::vector<std::string> known;
  std::string titles;
  for (const Profile& profile : profiles) {
    known.push_back(profile.key);
    known.push_back(profile.title);
    known.insert(known.end(), profile.aliases.begin(), profile.aliases.end());
    if (!titles.empty()) titles += ", ";
    titles += profile.title;
  }
  return {"profile", std::string(utf8_prefix(name, 128)), "unknown profile" + did_you_mean(name, known),
          "profiles: " + titles};
}

}  // namespace pixelfleet
