#include "domain/model.h"

#include <numeric>

namespace pixelfleet {

std::int64_t Model::file_bytes() const {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0},
                         [](std::int64_t sum, const ModelPart& part) { return sum + part.bytes; });
}

std::string_view name(PartRole role) {
  switch (role) {
    case PartRole::checkpoint: return "checkpoint";
    case PartRole::diffusion: return "diffusion";
    case PartRole::clip_l: return "clip_l";
    case PartRole::clip_g: return "clip_g";
    case PartRole::t5xxl: return "t5xxl";
    case PartRole::llm: return "llm";
    case PartRole::vae: return "vae";
    case PartRole::taesd: return "taesd";
  }
  return "checkpoint";
}

std::string_view name(ModelState state) {
  switch (state) {
    case ModelState::installed: return "installed";
    case ModelState::not_installed: return "not_installed";
    case ModelState::unloadable: return "unloadable";
  }
  return "installed";
}

std::optional<PartRole> part_role_from(std::string_view text) {
  for (const PartRole role : {PartRole::checkpoint, PartRole::diffusion, PartRole::clip_l, PartRole::clip_g,
                              PartRole::t5xxl, PartRole::llm, PartRole::vae, PartRole::taesd}) {
    if (text == name(role)) return role;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
