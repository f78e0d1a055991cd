#include "catalog/model_family.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pixelfleet::catalog {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// By the order of names in the map: one search for each question.
bool has_prefix(const TensorIndex& index, const std::string& prefix) {
  const auto found = index.tensors.lower_bound(prefix);
  return found != index.tensors.end() && found->first.starts_with(prefix);
}

bool has_part(const TensorIndex& index, std::string_view part) {
  return std::any_of(index.tensors.begin(), index.tensors.end(),
                     [&](const auto& tensor) { return tensor.first.find(part) != std::string::npos; });
}

// The width of the text that the UNet's cross attention reads: 768 in SD1, 1024 in SD2, 2048 in SDXL.
std::int64_t context_width(const TensorIndex& index) {
  for (const auto& [name, tensor] : index.tensors) {
    if (name.find("attn2.to_k.weight") != std::string::npos && tensor.shape.size() == 2) return tensor.shape[1];
  }
  return 0;
}

std::string unet_family(const TensorIndex& index) {
  switch (context_width(index)) {
    case 768: return "sd1";
    case 1024: return "sd2";
    case 2048: return "sdxl";
    default: return has_prefix(index, "conditioner.embedders.1.") ? "sdxl" : "";
  }
}

struct Mark {
  std::string_view part;
  const char* family;
};
// Diffusion transformers, the more specific names first.
constexpr std::array kTransformers = {
    Mark{"double_stream_modulation_img", "flux2"},
    Mark{"distilled_guidance_layer", "chroma"},
    Mark{"double_blocks.", "flux"},
    Mark{"joint_blocks.", "sd3"},
    Mark{"cap_embedder.0", "z-image"},
    Mark{"transformer_blocks.0.img_mod.1", "qwen-image"},
};

struct FamilyFacts {
  std::string_view family;
  ModelDefaults defaults;
  int size_multiple;
  std::int64_t working_bytes;  // activations at the default size
};
const std::array kFamilies = {
    FamilyFacts{"sd1", {512, 512, 20, 7.0, "default", "default"}, 64, 1300 * kMiB},
    FamilyFacts{"sd2", {768, 768, 20, 7.0, "default", "default"}, 64, 2200 * kMiB},
    FamilyFacts{"sdxl", {1024, 1024, 26, 7.0, "default", "default"}, 64, 3200 * kMiB},
    FamilyFacts{"sd3", {1024, 1024, 28, 4.5, "default", "default"}, 16, 3200 * kMiB},
    FamilyFacts{"flux", {1024, 1024, 20, 1.0, "default", "default"}, 16, 4000 * kMiB},
    FamilyFacts{"demo", {512, 512, 20, 7.0, "default", "default"}, 8, 0},
};
const FamilyFacts kOther{"", {1024, 1024, 20, 5.0, "default", "default"}, 16, 4000 * kMiB};

const FamilyFacts& facts_of(std::string_view family) {
  const auto found =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const auto& f) { return f.family == family; });
  return found == kFamilies.end() ? kOther : *found;
}

}  // namespace

FileTraits traits_of(const TensorIndex& index) {
  FileTraits traits;
  traits.has_vae = has_prefix(index, "first_stage_model.") || has_prefix(index, "vae.");
  traits.has_text_encoder = has_prefix(index, "cond_stage_model.") || has_prefix(index, "conditioner.embedders.") ||
                            has_prefix(index, "text_encoders.");
  if (has_part(index, "lora_down") || has_part(index, "lora_A.") || has_part(index, "lora_up")) {
    traits.content = Content::lora;
    return traits;
  }
  const bool unet = has_prefix(index, "model.diffusion_model.input_blocks.") || has_prefix(index, "input_blocks.");
  if (unet) traits.family = unet_family(index);
  for (const Mark& mark : kTransformers) {
    if (!unet && traits.family.empty() && has_part(index, mark.part)) traits.family = mark.family;
  }
  if (!traits.family.empty()) {
    traits.content = Content::generator;
  } else if (unet) {
    traits.content = Content::unknown;
  } else if (has_prefix(index, "decoder.layers.") || has_prefix(index, "taesd_decoder.")) {
    traits.content = Content::taesd;
  } else if (traits.has_vae || has_prefix(index, "decoder.conv_in.") || has_prefix(index, "decoder.mid.")) {
    traits.content = Content::vae;
  } else if (traits.has_text_encoder || has_prefix(index, "text_model.") || has_prefix(index, "encoder.block.")) {
    traits.content = Content::text_encoder;
  }
  return traits;
}

ModelDefaults defaults_of(const std::string& family) { return facts_of(family).defaults; }

ModelLimits limits_of(const std::string& family) {
  ModelLimits limits;
  limits.size_multiple = facts_of(family).size_multiple;
  return limits;
}

std::int64_t memory_estimate(const std::string& family, std::int64_t part_bytes) {
  return part_bytes + part_bytes / 100 * 15 + workspace_estimate(family);
}

std::int64_t workspace_estimate(const std::string& family) { return facts_of(family).working_bytes; }

}  // namespace pixelfleet::catalog
