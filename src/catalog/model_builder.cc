#include "catalog/model_builder.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "base/format.h"

namespace pixelfleet::catalog {
namespace {

bool makes_pictures(PartRole role) { return role == PartRole::checkpoint || role == PartRole::diffusion; }

bool any_role(const std::vector<PartFile>& parts, std::initializer_list<PartRole> roles) {
  return std::any_of(parts.begin(), parts.end(), [&](const PartFile& part) {
    return std::find(roles.begin(), roles.end(), part.role) != roles.end();
  });
}

const char* word_for(Content content) {
  switch (content) {
    case Content::generator: return "a checkpoint";
    case Content::vae: return "a VAE";
    case Content::taesd: return "a tiny autoencoder (taesd)";
    case Content::text_encoder: return "a text encoder";
    case Content::lora: return "a LoRA";
    case Content::unknown: break;
  }
  return "of no known kind by its tensors";
}

// Why a readable file cannot serve in its role, or nothing.
std::optional<std::string> misplaced(const PartFile& part, const FileTraits& traits) {
  const bool generates = traits.content == Content::generator;
  if (makes_pictures(part.role) && !generates) {
    return format("{} is {}; a {} part must be a checkpoint of a known family (sd1, sd2, sdxl, sd3, flux ...)",
                  part.file, word_for(traits.content), name(part.role));
  }
  if (!makes_pictures(part.role) && (generates || traits.content == Content::lora)) {
    return format("{} is {} and cannot be the {} part", part.file, word_for(traits.content), name(part.role));
  }
  return std::nullopt;
}

std::optional<std::string> missing_part(const std::vector<PartFile>& parts, const FileTraits& generator) {
  if (!generator.has_vae && !any_role(parts, {PartRole::vae, PartRole::taesd})) {
    return "the checkpoint has no VAE; register it with `pixelfleet models add NAME --part checkpoint=FILE --part "
           "vae=FILE` (or taesd=FILE)";
  }
  if (!generator.has_text_encoder &&
      !any_role(parts, {PartRole::clip_l, PartRole::clip_g, PartRole::t5xxl, PartRole::llm})) {
    return "the file holds no text encoder; register it with its parts: --part diffusion=FILE --part clip_l=FILE "
           "--part t5xxl=FILE, as the model's page says";
  }
  return std::nullopt;
}

void reject(Model& model, ModelState state, std::string reason) {
  if (model.state != ModelState::installed) return;  // the first reason stays
  model.state = state;
  model.reason = std::move(reason);
}

}  // namespace

Result<FileInspector::Seen> FileInspector::inspect(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return fail(system_error("cannot open " + file, errno));
  const Stamp stamp{info.st_size,
                    static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec};
  if (const auto known = entries_.find(file); known != entries_.end() && known->second.stamp == stamp) {
    return known->second.result;
  }
  const auto index = read_tensor_index(file);
  Result<Seen> result = index ? Result<Seen>(Seen{index->file_bytes, traits_of(*index)}) : fail(index.error());
  entries_.insert_or_assign(file, Entry{stamp, result});
  return result;
}

Model build_model(const std::string& title, const std::vector<PartFile>& parts, FileInspector& inspector) {
  Model model;
  model.key = model_key(title);
  model.title = title;
  model.engine = "sdcpp";
  std::optional<FileTraits> generator;
  std::int64_t bytes = 0;
  for (const PartFile& part : parts) {
    const auto seen = inspector.inspect(part.file);
    model.parts.push_back({part.role, part.file, seen ? seen->bytes : 0, ""});
    if (!seen) {
      const bool missing = seen.error().code == ErrorCode::not_found;
      reject(model, missing ? ModelState::not_installed : ModelState::unloadable, seen.error().message);
      continue;
    }
    bytes += seen->bytes;
    if (const auto reason = misplaced(part, seen->traits)) reject(model, ModelState::unloadable, *reason);
    if (makes_pictures(part.role) && seen->traits.content == Content::generator) generator = seen->traits;
  }
  if (generator) {
    model.family = generator->family;
    if (const auto reason = missing_part(parts, *generator)) reject(model, ModelState::unloadable, *reason);
  } else {
    reject(model, ModelState::unloadable, "no checkpoint or diffusion part is given");
  }
  model.defaults = defaults_of(model.family);
  model.limits = limits_of(model.family);
  model.memory_bytes = memory_estimate(model.family, bytes);
  model.workspace_bytes = workspace_estimate(model.family);
  return model;
}

ModelKey model_key(const std::string& title) {
  std::string key;
  bool gap = false;
  for (const char c : title) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.') {
      if (gap && !key.empty()) key.push_back('-');
      gap = false;
      key.push_back(upper ? static_cast<char>(c - 'A' + 'a') : c);
    } else {
      gap = true;
    }
  }
  return key.empty() ? "untitled" : key;
}

}  // namespace pixelfleet::catalog
