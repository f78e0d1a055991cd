#include "catalog/scan.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/format.h"
#include "base/utf8.h"
#include "catalog/known_models.h"
#include "domain/suggest.h"

namespace pixelfleet::catalog {
namespace {

namespace fs = std::filesystem;

bool is_model_file(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::string extension = to_lower_ascii(path.extension().string());
  return !name.starts_with('.') && !find_invalid_utf8(name) && (extension == ".safetensors" || extension == ".gguf");
}

// Top-level model files, sorted; a directory that cannot be read has none.
std::vector<fs::path> model_files(const fs::path& directory, std::vector<std::string>& problems) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!is_model_file(it->path()) || it->is_directory(ignored)) continue;
    if (files.size() == kMaxScannedFiles) {
      problems.push_back(
          format("{} holds more than {} model files; the rest is not shown", directory.string(), kMaxScannedFiles));
      break;
    }
    files.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems.push_back(format("cannot read {}: {}", directory.string(), error.message()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Whether the file is a part of a model (a LoRA, a VAE ...) rather than a model.
bool is_part(const std::string& file, FileInspector& inspector) {
  const auto seen = inspector.inspect(file);
  return seen && seen->traits.content != Content::generator && seen->traits.content != Content::unknown;
}

std::optional<Model> model_in_snapshots(const KnownModel& known, const fs::path& repository, FileInspector& inspector,
                                        std::vector<std::string>& problems) {
  std::error_code error;
  bool has_folders = false;
  for (fs::directory_iterator it(repository / "snapshots", error), end; !error && it != end; it.increment(error)) {
    for (const fs::path& file : model_files(it->path(), problems)) {
      if (is_part(file.string(), inspector)) continue;
      Model model = build_model(std::string(known.title), {{PartRole::checkpoint, file.string()}}, inspector);
      if (model.state == ModelState::installed) return model;
    }
    std::error_code ignored;
    has_folders = has_folders || fs::is_directory(it->path() / "unet", ignored);
  }
  if (!has_folders) return std::nullopt;
  Model model = entry_of(known);
  model.state = ModelState::unloadable;
  model.reason = format(
      "found in {} as a folder of parts, which the engine cannot read as it is; the single file you "
      "need is {}",
      repository.string(), known.single_file);
  return model;
}

}  // namespace

Scanned scan_models_directory(const std::string& directory, FileInspector& inspector) {
  Scanned result;
  std::error_code error;
  const fs::path absolute = fs::absolute(directory, error).lexically_normal();
  for (const fs::path& file : model_files(absolute, result.problems)) {
    if (is_part(file.string(), inspector)) continue;
    const std::string stem = file.stem().string();
    Model model = build_model(stem, {{PartRole::checkpoint, file.string()}}, inspector);
    if (const KnownModel* known = known_by_file(stem)) adopt_identity(model, *known);
    result.models.push_back(std::move(model));
  }
  return result;
}

Scanned scan_hub_cache(const std::string& directory, FileInspector& inspector) {
  Scanned result;
  if (directory.empty()) return result;
  for (const KnownModel& known : known_models()) {
    for (const std::string_view hub_id : known.hub_ids) {
      std::string folder = "models--" + std::string(hub_id);
      if (const auto slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
      auto model = model_in_snapshots(known, fs::path(directory) / folder, inspector, result.problems);
      if (!model) continue;
      adopt_identity(*model, known);
      result.models.push_back(std::move(*model));
      break;
    }
  }
  return result;
}

}  // namespace pixelfleet::catalog
