// Catalog: one immutable picture of the models and profiles there are, and how names find them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/model.h"
#include "domain/profile.h"

namespace pixelfleet {

struct Catalog {
  std::vector<Model> models;      // by key
  std::vector<Profile> profiles;  // None / Raw first

  // By key or title, without regard to case; nullptr when unknown.
  const Model* find_model(std::string_view key_or_title) const;
  // By key, title or alias, without regard to case; nullptr when unknown.
  const Profile* find_profile(std::string_view name) const;

  // What an empty model name means: the first installed real model, else the first demo model; nullptr when none.
  const Model* default_model() const;

  // The error for a name that finds nothing: suggests the near one, lists what is installed.
  FieldError unknown_model(std::string_view name) const;
  FieldError unknown_profile(std::string_view name) const;
};

using CatalogPtr = std::shared_ptr<const Catalog>;

}  // namespace pixelfleet
