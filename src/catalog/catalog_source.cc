#include "catalog/catalog_source.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/format.h"
#include "catalog/demo_models.h"
#include "catalog/known_models.h"
#include "catalog/profile_files.h"
#include "catalog/registry.h"
#include "catalog/scan.h"

namespace pixelfleet::catalog {
namespace {

// Collects entries; the first with a key keeps it.
class ModelList {
 public:
  void add(Model model) {
    if (const auto found = models_.find(model.key); found != models_.end()) {
      if (found->second.parts == model.parts || model.parts.empty()) return;  // the same thing found twice
      model.key = free_key(model.key);
    }
    models_.emplace(model.key, std::move(model));
  }
  // Unless a model with this key is there already.
  void add_if_new(Model model) { models_.try_emplace(model.key, std::move(model)); }

  std::vector<Model> take() {
    std::vector<Model> result;
    for (auto& [key, model] : models_) result.push_back(std::move(model));
    return result;
  }

 private:
  // Another file of the same name gets KEY-2, KEY-3 ...
  ModelKey free_key(const ModelKey& key) const {
    for (int n = 2;; ++n) {
      ModelKey candidate = format("{}-{}", key, n);
      if (!models_.contains(candidate)) return candidate;
    }
  }

  std::map<ModelKey, Model> models_;
};

const KnownModel* known_by_title(const std::string& title) {
  for (const KnownModel& known : known_models()) {
    if (model_key(std::string(known.title)) == model_key(title)) return &known;
  }
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<CatalogSource>> CatalogSource::open(Options options) {
  const auto registered = load_registry(options.registry_file);
  if (!registered && registered.error().code != ErrorCode::corrupt) return fail(registered.error());
  std::unique_ptr<CatalogSource> source(new CatalogSource(std::move(options)));
  source->rescan();
  return source;
}

CatalogPtr CatalogSource::current() const {
  const MutexLock lock(state_);
  return current_;
}

std::vector<std::string> CatalogSource::problems() const {
  const MutexLock lock(state_);
  return problems_;
}

CatalogPtr CatalogSource::rescan() {
  const MutexLock scanning(scanning_);
  std::vector<std::string> problems;
  ModelList list;
  const auto take_scanned = [&](Scanned scanned) {
    for (Model& model : scanned.models) list.add(std::move(model));
    problems.insert(problems.end(), scanned.problems.begin(), scanned.problems.end());
  };

  if (const auto registered = load_registry(options_.registry_file)) {
    for (const RegisteredModel& entry : *registered) {
      Model model = build_model(entry.name, entry.parts, inspector_);
      if (const KnownModel* known = known_by_title(entry.name)) adopt_identity(model, *known);
      list.add(std::move(model));
    }
  } else {
    problems.push_back(registered.error().message);
  }
  if (!options_.models_directory.empty()) take_scanned(scan_models_directory(options_.models_directory, inspector_));
  Scanned hub = scan_hub_cache(options_.hub_cache, inspector_);
  for (Model& model : hub.models) list.add_if_new(std::move(model));
  problems.insert(problems.end(), hub.problems.begin(), hub.problems.end());
  for (const KnownModel& known : known_models()) list.add_if_new(entry_of(known));
  if (options_.demo_models == DemoModels::shown) {
    for (Model& model : demo_models(options_.demo_faults)) list.add_if_new(std::move(model));
  }

  auto catalog = std::make_shared<Catalog>();
  catalog->models = list.take();
  LoadedProfiles profiles = load_profiles(options_.profile_directories);
  catalog->profiles = std::move(profiles.profiles);
  problems.insert(problems.end(), profiles.problems.begin(), profiles.problems.end());

  const MutexLock lock(state_);
  current_ = std::move(catalog);
  problems_ = std::move(problems);
  return current_;
}

}  // namespace pixelfleet::catalog
