#include "config/config_file.h"

#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "base/format.h"

namespace pixelfleet {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 256 * 1024;
constexpr int kMaxDepth = 8;

void flatten(const YAML::Node& node, const std::string& key, int depth, std::map<std::string, std::string>& out) {
  if (depth > kMaxDepth) throw YAML::RepresentationException(node.Mark(), "nested too deeply");
  if (node.IsMap()) {
    for (const auto& entry : node) {
      const auto name = entry.first.as<std::string>();
      flatten(entry.second, key.empty() ? name : key + "." + name, depth + 1, out);
    }
  } else if (node.IsSequence()) {
    std::string& text = out[key];
    for (const YAML::Node& item : node) text += (text.empty() ? "" : ",") + item.as<std::string>();
  } else if (node.IsScalar()) {
    out[key] = node.Scalar();
  }
}

}  // namespace

Result<std::map<std::string, std::string>> read_config_file(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::not_found, format("configuration file {}: {}", path, error.message()));
  if (bytes > kMaxFileBytes) {
    return fail(ErrorCode::invalid_argument,
                format("configuration file {} is {} bytes long; at most {} are allowed", path, bytes, kMaxFileBytes));
  }
  try {
    std::map<std::string, std::string> flat;
    const YAML::Node root = YAML::LoadFile(path);
    if (!root.IsNull() && !root.IsMap()) {
      return fail(ErrorCode::invalid_argument, format("configuration file {}: not a mapping of keys to values", path));
    }
    flatten(root, "", 0, flat);
    return flat;
  } catch (const YAML::Exception& e) {
    return fail(ErrorCode::invalid_argument,
                format("configuration file {}, line {}: {}", path, e.mark.line + 1, e.msg));
  }
}

}  // namespace pixelfleet
