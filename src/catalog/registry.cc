#include "catalog/registry.h"

#include <fcntl.h>
#include <sys/file.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/format.h"
#include "base/unique_fd.h"
#include "base/utf8.h"
#include "catalog/demo_models.h"
#include "catalog/text_file.h"
#include "domain/suggest.h"

namespace pixelfleet::catalog {
namespace {

constexpr std::string_view kRoles = "checkpoint, diffusion, clip_l, clip_g, t5xxl, llm, vae, taesd";

tl::unexpected<Error> broken(const std::string& file, const YAML::Mark& mark, const std::string& reason) {
  return fail(ErrorCode::corrupt, format("{}:{}: {}", file, mark.line + 1, reason));
}

Result<RegisteredModel> read_entry(const std::string& file, const YAML::Node& node) {
  if (!node.IsMap() || !node["name"] || !node["name"].IsScalar() || !node["parts"] || !node["parts"].IsMap()) {
    return broken(file, node.Mark(), "a model needs `name: TEXT` and `parts: {checkpoint: FILE}`");
  }
  RegisteredModel model;
  model.name = node["name"].Scalar();
  for (const auto& part : node["parts"]) {
    const auto role = part.first.IsScalar() ? part_role_from(part.first.Scalar()) : std::nullopt;
    if (!role || !part.second.IsScalar()) {
      return broken(file, part.first.Mark(), format("a part is `ROLE: FILE`; roles are {}", kRoles));
    }
    model.parts.push_back({*role, part.second.Scalar()});
  }
  return model;
}

Result<> write_registry(const std::string& file, const std::vector<RegisteredModel>& models) {
  YAML::Emitter out;
  out << YAML::Comment("Written by `pixelfleet models`; may be edited by hand.") << YAML::BeginMap;
  out << YAML::Key << "models" << YAML::Value << YAML::BeginSeq;
  for (const RegisteredModel& model : models) {
    out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << model.name << YAML::Key << "parts" << YAML::Value
        << YAML::BeginMap;
    for (const PartFile& part : model.parts) {
      out << YAML::Key << std::string(name(part.role)) << YAML::Value << part.file;
    }
    out << YAML::EndMap << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  return replace_file(file, std::string(out.c_str()) + "\n");
}

// Held while the file is read, changed and replaced.
Result<UniqueFd> lock_registry(const std::string& file) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  UniqueFd fd(::open((file + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd || ::flock(fd.get(), LOCK_EX) != 0) return fail(system_error("cannot lock " + file, errno));
  return fd;
}

bool same_model(const RegisteredModel& model, const std::string& name) {
  return to_lower_ascii(model.name) == to_lower_ascii(name) || model_key(model.name) == to_lower_ascii(name) ||
         model_key(model.name) == model_key(name);
}

Result<> check_name(const std::string& name) {
  const bool printable =
      std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (name.empty() || name.size() > 128 || !printable || find_invalid_utf8(name) || model_key(name) == "untitled") {
    return fail(invalid_fields({{"name", std::string(utf8_prefix(name, 64)), "cannot be a model's name",
                                 "1 to 128 printable characters, with a letter or digit"}}));
  }
  for (const Model& demo : demo_models("")) {
    if (demo.key == model_key(name)) {
      return fail(ErrorCode::conflict, format("'{}' is the name of a demo model; choose another", name));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<RegisteredModel>> load_registry(const std::string& file) {
  const auto text = read_small_file(file);
  if (!text && text.error().code == ErrorCode::not_found) return std::vector<RegisteredModel>{};
  if (!text) return fail(text.error());
  std::vector<RegisteredModel> models;
  try {
    const YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return models;
    if (!root.IsMap() || !root["models"] || !(root["models"].IsSequence() || root["models"].IsNull())) {
      return broken(file, root.Mark(), "the file must hold a list `models:`");
    }
    for (const auto& node : root["models"]) {
      auto model = read_entry(file, node);
      if (!model) return fail(model.error());
      models.push_back(std::move(*model));
    }
  } catch (const YAML::Exception& e) {
    return broken(file, e.mark, e.msg);
  }
  return models;
}

Result<Model> add_model(const std::string& file, const RegisteredModel& wanted) {
  if (auto fine = check_name(wanted.name); !fine) return fail(fine.error());
  RegisteredModel model = wanted;
  for (PartFile& part : model.parts) part.file = std::filesystem::absolute(part.file).lexically_normal().string();
  FileInspector inspector;
  Model entry = build_model(model.name, model.parts, inspector);
  if (entry.state != ModelState::installed) {
    const bool missing = entry.state == ModelState::not_installed;
    return fail(missing ? ErrorCode::not_found : ErrorCode::invalid_argument,
                format("'{}' was not added: {}", model.name, entry.reason));
  }

  const auto lock = lock_registry(file);
  if (!lock) return fail(lock.error());
  auto models = load_registry(file);
  if (!models) return fail(models.error());
  for (const RegisteredModel& other : *models) {
    if (!same_model(other, model.name)) continue;
    if (other.parts == model.parts) return entry;
    return fail(ErrorCode::conflict, format("'{}' is already registered with other files; remove it first with "
                                            "`pixelfleet models remove \"{}\"`",
                                            other.name, other.name));
  }
  models->push_back(model);
  if (auto written = write_registry(file, *models); !written) return fail(written.error());
  return entry;
}

Result<> remove_model(const std::string& file, const std::string& name) {
  const auto lock = lock_registry(file);
  if (!lock) return fail(lock.error());
  auto models = load_registry(file);
  if (!models) return fail(models.error());
  const auto removed = std::erase_if(*models, [&](const RegisteredModel& model) { return same_model(model, name); });
  if (removed == 0) {
    std::vector<std::string> names;
    for (const RegisteredModel& model : *models) names.push_back(model.name);
    const auto near = nearest_name(name, names);
    return fail(ErrorCode::not_found, format("no registered model is called '{}'{}", name,
                                             near ? format("; did you mean '{}'?", *near) : ""));
  }
  return write_registry(file, *models);
}

Result<PartFile> parse_part(const std::string& text) {
  const std::size_t equals = text.find('=');
  const auto role = part_role_from(text.substr(0, equals));
  if (equals == std::string::npos || !role || equals + 1 == text.size()) {
    return fail(invalid_fields({{"part", text, "is not ROLE=FILE", "roles: " + std::string(kRoles)}}));
  }
  return PartFile{*role, text.substr(equals + 1)};
}

}  // namespace pixelfleet::catalog
