#include "domain/sampler.h"

#include <algorithm>
#include <array>
#include <utility>

#include "domain/suggest.h"

namespace pixelfleet {
namespace {

using Alias = std::pair<std::string_view, std::string_view>;

// A1111 labels and ComfyUI ids, lower case, beside the engine's own name.
constexpr std::array kSamplerAliases = {
    Alias{"euler a", "euler_a"},      Alias{"euler_ancestral", "euler_a"},
    Alias{"k_euler", "euler"},        Alias{"k_euler_a", "euler_a"},
    Alias{"dpm2 a", "dpm2"},          Alias{"dpm++ 2m", "dpm++2m"},
    Alias{"dpmpp_2m", "dpm++2m"},     Alias{"dpm++ 2m v2", "dpm++2mv2"},
    Alias{"dpm++ 2s a", "dpm++2s_a"}, Alias{"dpmpp_2s_ancestral", "dpm++2s_a"},
    Alias{"ddim", "ddim_trailing"},   Alias{"automatic", "default"},
};

constexpr std::array kSchedulerAliases = {
    Alias{"automatic", "default"},      Alias{"normal", "discrete"},      Alias{"sgm uniform", "sgm_uniform"},
    Alias{"sgmuniform", "sgm_uniform"}, Alias{"align your steps", "ays"}, Alias{"align_your_steps", "ays"},
};

template <std::size_t N>
std::optional<std::string> find_name(std::string_view text, const std::vector<std::string>& names,
                                     const std::array<Alias, N>& aliases) {
  const std::string wanted = to_lower_ascii(text);
  if (std::find(names.begin(), names.end(), wanted) != names.end()) return wanted;
  const auto alias = std::find_if(aliases.begin(), aliases.end(), [&](const Alias& a) { return a.first == wanted; });
  if (alias == aliases.end()) return std::nullopt;
  return std::string(alias->second);
}

}  // namespace

const std::vector<std::string>& sampler_names() {
  static const std::vector<std::string> names = {"default",   "euler",         "euler_a",   "heun",          "dpm2",
                                                 "dpm++2s_a", "dpm++2m",       "dpm++2mv2", "ipndm",         "ipndm_v",
                                                 "lcm",       "ddim_trailing", "tcd",       "res_multistep", "res_2s"};
  return names;
}

const std::vector<std::string>& scheduler_names() {
  static const std::vector<std::string> names = {"default",     "discrete", "karras",     "exponential", "ays", "gits",
                                                 "sgm_uniform", "simple",   "smoothstep", "kl_optimal",  "lcm"};
  return names;
}

std::optional<SamplerChoice> find_sampler(std::string_view name) {
  if (const auto found = find_name(name, sampler_names(), kSamplerAliases)) return SamplerChoice{*found, {}, {}};
  const std::string lower = to_lower_ascii(name);
  if (lower == "unipc" || lower == "uni_pc") {
    return SamplerChoice{"dpm++2m", {}, "the engine has no UniPC sampler; dpm++2m stands in for it"};
  }
  // "DPM++ 2M Karras": a sampler and a schedule in one name.
  const std::size_t space = lower.rfind(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto sampler = find_name(std::string_view(lower).substr(0, space), sampler_names(), kSamplerAliases);
  const auto scheduler = find_scheduler(std::string_view(lower).substr(space + 1));
  if (!sampler || !scheduler) return std::nullopt;
  return SamplerChoice{*sampler, *scheduler, {}};
}

std::optional<std::string> find_scheduler(std::string_view name) {
  return find_name(name, scheduler_names(), kSchedulerAliases);
}

}  // namespace pixelfleet
