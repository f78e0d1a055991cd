#include "catalog/known_models.h"

#include <algorithm>

#include "base/format.h"
#include "catalog/model_builder.h"

namespace pixelfleet::catalog {

const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> models = {
      {"SDXL Base 1.0", {"stabilityai/stable-diffusion-xl-base-1.0"}, "sd_xl_base_1.0.safetensors", "sdxlbase"},
      {"SDXL Turbo", {"stabilityai/sdxl-turbo"}, "sd_xl_turbo_1.0_fp16.safetensors", "sdxlturbo"},
      {"RealVis XL v5.0", {"SG161222/RealVisXL_V5.0"}, "RealVisXL_V5.0_fp16.safetensors", "realvisxlv5"},
      {"CyberRealistic XL 5.8",
       {"cyberdelia/CyberRealisticXL"},
       "CyberRealisticXL_V5.8.safetensors",
       "cyberrealisticxl"},
      {"Animagine XL 4.0", {"cagliostrolab/animagine-xl-4.0"}, "animagine-xl-4.0.safetensors", "animaginexl4"},
      {"Juggernaut XL",
       {"RunDiffusion/Juggernaut-XL-v9"},
       "Juggernaut-XL_v9_RunDiffusionPhoto_v2.safetensors",
       "juggernautxl"},
      {"DreamShaper XL",
       {"Lykon/dreamshaper-xl-1-0"},
       "DreamShaperXL1.0Alpha2_fixedVae_half_00001_.safetensors",
       "dreamshaperxl"},
      {"EpicRealism XL", {"stablediffusionapi/epicrealism-xl-v5"}, "epicrealismXL.safetensors", "epicrealismxl"},
      {"Pixel Art XL", {"nerijs/pixel-art-xl"}, "pixel-art-xl.safetensors", "pixelartxl"},
      {"Anime Illust Diffusion XL",
       {"Eugeoter/anime_illust_diffusion_xl", "stablediffusionapi/anime-illust-diffusion-xl"},
       "animeIllustDiffusion_v08.safetensors",
       "animeillustdiffusion"},
  };
  return models;
}

const KnownModel* known_by_file(std::string_view file_stem) {
  std::string plain;
  for (const char c : file_stem) {
    if (c >= 'A' && c <= 'Z') plain.push_back(static_cast<char>(c - 'A' + 'a'));
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) plain.push_back(c);
  }
  const auto& all = known_models();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const KnownModel& known) { return plain.starts_with(known.file_mark); });
  return found == all.end() ? nullptr : &*found;
}

Model entry_of(const KnownModel& known) {
  Model model;
  model.family = "sdxl";
  model.engine = "sdcpp";
  model.state = ModelState::not_installed;
  model.defaults = defaults_of("sdxl");
  model.limits = limits_of("sdxl");
  adopt_identity(model, known);
  model.reason = format(
      "no file of this model was found; put {} (from the repository {}) into the models directory, or run "
      "`pixelfleet models add \"{}\" --part checkpoint=FILE`",
      known.single_file, known.hub_ids.front(), known.title);
  return model;
}

void adopt_identity(Model& model, const KnownModel& known) {
  model.title = known.title;
  model.key = model_key(model.title);
  model.hub_id = known.hub_ids.front();
  if (known.title == "SDXL Turbo") {  // distilled: more steps or guidance make it worse
    model.defaults.width = model.defaults.height = 512;
    model.defaults.steps = 4;
    model.defaults.cfg_scale = 1.0;
  }
}

}  // namespace pixelfleet::catalog
