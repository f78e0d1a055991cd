// CatalogSource: puts the catalogue together and keeps the current one.
//
// Models come, in this order, from the registry, the models directory, the hub's cache, the list of known titles (as
// not installed) and the demo models; the first with a key keeps it. Files that are broken or gone become entries with
// a reason or lines in problems(); they never stop the server. Thread-safe; a Catalog once handed out never changes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "catalog/model_builder.h"
#include "domain/catalog.h"

namespace pixelfleet::catalog {

enum class DemoModels { shown, hidden };

class CatalogSource {
 public:
  struct Options {
    std::string registry_file;                     // data/models.yaml
    std::string models_directory;                  // empty: none
    std::vector<std::string> profile_directories;  // later ones replace profiles of earlier ones
    std::string hub_cache;                         // $HF_HOME/hub; empty: none
    DemoModels demo_models = DemoModels::shown;
    std::string demo_faults;  // a fault script for tests
  };

  // Fails when the registry is there but cannot be opened: models that people named would be missing without a word.
  static Result<std::unique_ptr<CatalogSource>> open(Options options);

  CatalogPtr current() const;
  // Looks at everything again; files that have not changed are not read. Returns the new catalogue.
  CatalogPtr rescan();
  // What the last scan could not use, one line each, with the file.
  std::vector<std::string> problems() const;

 private:
  explicit CatalogSource(Options options) : options_(std::move(options)) {}

  const Options options_;
  Mutex scanning_;  // held through a scan; never taken inside state_
  FileInspector inspector_ GUARDED_BY(scanning_);
  mutable Mutex state_;
  CatalogPtr current_ GUARDED_BY(state_);
  std::vector<std::string> problems_ GUARDED_BY(state_);
};

}  // namespace pixelfleet::catalog
