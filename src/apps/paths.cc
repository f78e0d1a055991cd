#include "apps/paths.h"

#include "apps/build_info.h"

namespace pixelfleet::apps {
namespace {

std::filesystem::path beside_program(const char* in_build_tree, const char* installed) {
  const auto directory = program_path().parent_path();
  std::error_code ignored;
  if (std::filesystem::exists(directory / in_build_tree, ignored)) return directory / in_build_tree;
  return directory.parent_path() / installed;
}

}  // namespace

std::filesystem::path program_path() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored);
}

std::filesystem::path engines_directory(const Config& config) {
  if (!config.engines_directory.empty()) return std::filesystem::absolute(config.engines_directory);
  return beside_program("engines", "lib/pixelfleet/engines");
}

std::filesystem::path profiles_directory(const Config& config) {
  if (!config.profiles_directory.empty()) return config.profiles_directory;
  return beside_program("profiles", "share/pixelfleet/profiles");
}

std::filesystem::path engine_library(const Config& config) {
  if (!config.engine_library.empty()) return std::filesystem::absolute(config.engine_library);
  std::error_code ignored;
  if (std::filesystem::exists(kBuiltWithEngineLibrary, ignored)) return kBuiltWithEngineLibrary;
  return {};
}

}  // namespace pixelfleet::apps
