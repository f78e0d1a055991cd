// Finds models that nobody registered: files in the models directory, and downloads in the hub's local cache.
//
// Only top-level files are looked at, only their headers are read, and nothing is ever downloaded.
#pragma once

#include <string>
#include <vector>

#include "catalog/model_builder.h"

namespace pixelfleet::catalog {

// At most this many files of one directory are looked into; the rest is reported as a problem.
inline constexpr std::size_t kMaxScannedFiles = 10'000;

struct Scanned {
  std::vector<Model> models;  // by file name
  std::vector<std::string> problems;
};

// *.safetensors and *.gguf files that make pictures, and broken ones with their reason. LoRAs, VAEs and other parts are
// left out. A missing directory is an empty one.
Scanned scan_models_directory(const std::string& directory, FileInspector& inspector);

// Known models (known_models.h) that the hub's cache holds: single files are models, folders of parts are shown as
// unloadable with the file that is needed.
Scanned scan_hub_cache(const std::string& directory, FileInspector& inspector);

}  // namespace pixelfleet::catalog
