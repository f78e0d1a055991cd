#include <algorithm>
#include <array>
#include <utility>

#include "base/format.h"
#include "media/metadata.h"

namespace pixelfleet::media {
namespace {

using Label = std::pair<std::string_view, std::string_view>;

constexpr std::array kSamplerLabels = {
    Label{"default", "Default"},  Label{"euler", "Euler"},
    Label{"euler_a", "Euler a"},  Label{"heun", "Heun"},
    Label{"dpm2", "DPM2"},        Label{"dpm++2s_a", "DPM++ 2S a"},
    Label{"dpm++2m", "DPM++ 2M"}, Label{"dpm++2mv2", "DPM++ 2M v2"},
    Label{"lcm", "LCM"},          Label{"ddim_trailing", "DDIM"},
};
constexpr std::array kSchedulerLabels = {
    Label{"discrete", "Normal"},       Label{"karras", "Karras"}, Label{"exponential", "Exponential"},
    Label{"ays", "Align Your Steps"},  Label{"simple", "Simple"}, Label{"sgm_uniform", "SGM Uniform"},
    Label{"kl_optimal", "KL Optimal"},
};

template <std::size_t N>
std::string label_of(const std::array<Label, N>& labels, std::string_view name) {
  const auto found = std::find_if(labels.begin(), labels.end(), [&](const Label& l) { return l.first == name; });
  return std::string(found == labels.end() ? name : found->second);
}

constexpr std::string_view kNegativeMark = "Negative prompt:";
constexpr std::string_view kStepsMark = "Steps: ";
constexpr std::string_view kGuard = "\u200B";  // zero width space: not stripped by readers, not seen by people

// A prompt line that looks like one of the marks would end the prompt in every reader: a guard goes before it.
std::string guarded(std::string_view prompt) {
  std::string result;
  bool line_begins = true;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    char c = prompt[i];
    if (c == '\0') c = ' ';
    if (c == '\r') {
      if (i + 1 < prompt.size() && prompt[i + 1] == '\n') continue;
      c = '\n';
    }
    const std::string_view rest = prompt.substr(i);
    if (line_begins && (rest.starts_with(kNegativeMark) || rest.starts_with(kStepsMark))) result += kGuard;
    // Readers strip a line before they compare, so leading blanks do not protect it.
    line_begins = c == '\n' || (line_begins && (c == ' ' || c == '\t' || c == '\v' || c == '\f'));
    result.push_back(c);
  }
  return result;
}

// Readers count double quotes without looking at backslashes, and split unquoted values at commas and colons.
std::string quoted_if_needed(std::string value) {
  std::replace(value.begin(), value.end(), '"', '\'');
  std::replace(value.begin(), value.end(), '\\', '/');
  for (char& c : value) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return value.find_first_of(",:") == std::string::npos ? value : "\"" + value + "\"";
}

// Model names are looked up by readers that do not unquote.
std::string without_separators(std::string value) {
  std::erase_if(value, [](char c) { return c == ',' || c == ':'; });
  return value;
}

std::string size_text(int width, int height) { return format("{}x{}", width, height); }

}  // namespace

std::string sampler_label(std::string_view sampler) { return label_of(kSamplerLabels, sampler); }
std::string scheduler_label(std::string_view scheduler) { return label_of(kSchedulerLabels, scheduler); }

std::string infotext(const PictureFacts& facts) {
  const JobSettings& settings = facts.job.settings;
  const EffectiveImage& effective = facts.image.effective;
  std::string line;
  const auto add = [&](std::string_view key, std::string value) {
    line += format("{}{}: {}", line.empty() ? "" : ", ", key, quoted_if_needed(std::move(value)));
  };
  add("Steps", format("{}", settings.steps));
  add("Sampler", sampler_label(settings.sampler));
  if (settings.scheduler != "default") add("Schedule type", scheduler_label(settings.scheduler));
  add("CFG scale", format("{}", settings.cfg_scale));
  add("Seed", format("{}", facts.image.seed));
  add("Size", size_text(effective.width, effective.height));
  if (!effective.model_hash.empty()) add("Model hash", effective.model_hash.substr(0, 10));
  add("Model", without_separators(facts.model.title));
  if (settings.mode != Mode::txt2img) add("Denoising strength", format("{}", settings.strength));
  if (facts.generated_width != effective.width || facts.generated_height != effective.height) {
    add("Generated size", size_text(facts.generated_width, facts.generated_height));
  }
  if (!settings.profile.empty()) add("Profile", settings.profile);
  if (facts.image.demo) add("Demo", "yes");
  add("Version", format("PixelFleet {}", facts.version));

  std::string text = guarded(settings.prompt);
  if (!text.empty()) text += '\n';
  if (!settings.negative_prompt.empty()) text += format("{} {}\n", kNegativeMark, guarded(settings.negative_prompt));
  return text + line;
}

}  // namespace pixelfleet::media
