#include "domain/resolve.h"

#include <algorithm>

#include "base/format.h"
#include "base/utf8.h"
#include "domain/sampler.h"

namespace pixelfleet {
namespace {

// Collects complaints while the settings take shape.
struct Resolution {
  const JobSpec& spec;
  ResolvedJob resolved;
  std::vector<FieldError> errors;

  void complain(std::string field, std::string value, std::string message, std::string allowed) {
    errors.push_back({std::move(field), std::move(value), std::move(message), std::move(allowed)});
  }

  void check_range(const char* field, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value >= low && value <= high) return;
    complain(field, format("{}", value), "out of range", format("a whole number from {} to {}", low, high));
  }
};

constexpr double kDefaultStrength = 0.6;  // v17's
constexpr int kDefaultMaskFeather = 4;    // A1111's mask blur

int align_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

void check_prompts(Resolution& r) {
  const auto check = [&](const char* field, const std::string& text) {
    if (const auto bad = find_invalid_utf8(text)) {
      r.complain(field, "", format("not UTF-8: invalid byte at offset {}", *bad), "UTF-8 text");
    } else if (text.size() > limits::kMaxPromptBytes) {
      r.complain(field, std::string(utf8_prefix(text, 64)), format("{} bytes long", text.size()),
                 format("text of at most {} bytes of UTF-8", limits::kMaxPromptBytes));
    }
  };
  check("prompt", r.spec.prompt);
  check("negative_prompt", r.spec.negative_prompt);
  const bool blank = std::all_of(r.spec.prompt.begin(), r.spec.prompt.end(),
                                 [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
  if (blank) {
    r.complain("prompt", "", "empty", format("text of 1 to {} bytes of UTF-8", limits::kMaxPromptBytes));
  }
}

void resolve_size(Resolution& r, const Model& model) {
  JobSettings& settings = r.resolved.settings;
  settings.width = r.spec.width.value_or(model.defaults.width);
  settings.height = r.spec.height.value_or(model.defaults.height);
  const int low = std::max(limits::kMinSide, model.limits.min_side);
  const int high = std::min(limits::kMaxSide, model.limits.max_side);
  r.check_range("width", settings.width, low, high);
  r.check_range("height", settings.height, low, high);
  if (!r.errors.empty()) return;
  settings.generate_width = align_up(settings.width, model.limits.size_multiple);
  settings.generate_height = align_up(settings.height, model.limits.size_multiple);
  if (settings.generate_width != settings.width || settings.generate_height != settings.height) {
    r.resolved.warnings.push_back(format("generated at {}x{} and cropped centred to {}x{}: {} needs multiples of {}",
                                         settings.generate_width, settings.generate_height, settings.width,
                                         settings.height, model.title, model.limits.size_multiple));
  }
}

void resolve_steps(Resolution& r, const Model& model, const Profile& profile) {
  int steps = model.defaults.steps;
  if (profile.steps) steps = *profile.steps;
  if (r.spec.steps && (r.spec.keep_mine == KeepMine::request_wins || !profile.steps)) steps = *r.spec.steps;
  r.resolved.settings.steps = steps;
  r.check_range("steps", r.spec.steps.value_or(steps), limits::kMinSteps,
                std::min(limits::kMaxSteps, model.limits.max_steps));
}

void resolve_sampler(Resolution& r, const Model& model, const Profile& profile) {
  std::string wanted = model.defaults.sampler;
  if (profile.sampler) wanted = *profile.sampler;
  if (r.spec.sampler && (r.spec.keep_mine == KeepMine::request_wins || !profile.sampler)) wanted = *r.spec.sampler;

  std::string scheduler = r.spec.scheduler.value_or(model.defaults.scheduler);
  if (const auto choice = find_sampler(wanted)) {
    r.resolved.settings.sampler = choice->sampler;
    if (choice->scheduler && !r.spec.scheduler) scheduler = *choice->scheduler;
    if (!choice->warning.empty()) r.resolved.warnings.push_back(choice->warning);
  } else {
    r.complain("sampler", std::string(utf8_prefix(wanted, 128)), "unknown sampler",
               format("{}", join(sampler_names(), ", ")));
  }
  if (const auto found = find_scheduler(scheduler)) {
    r.resolved.settings.scheduler = *found;
  } else {
    r.complain("scheduler", std::string(utf8_prefix(scheduler, 128)), "unknown scheduler",
               format("{}", join(scheduler_names(), ", ")));
  }
}

// Which pictures a mode starts from. Their files are found when the job is accepted.
void resolve_inputs(Resolution& r) {
  const auto input = [&](const char* field, const std::optional<UploadId>& given, bool wanted) {
    const std::string mode(name(r.spec.mode));
    if (wanted && !given) {
      r.complain(field, "", format("missing, and mode {} starts from it", mode),
                 "the id of a picture that POST /api/v1/uploads answered");
    } else if (!wanted && given) {
      r.complain(field, format("{}", given->value), format("mode {} takes none", mode),
                 "no picture, or a mode that starts from one: img2img, inpaint");
    }
    return wanted && given ? std::optional(InputPicture{*given, {}}) : std::nullopt;
  };
  JobSettings& settings = r.resolved.settings;
  settings.init_image = input("init_image", r.spec.init_image, r.spec.mode != Mode::txt2img);
  settings.mask_image = input("mask_image", r.spec.mask_image, r.spec.mode == Mode::inpaint);
  settings.strength = r.spec.strength.value_or(kDefaultStrength);
  if (!(settings.strength >= limits::kMinStrength && settings.strength <= limits::kMaxStrength)) {
    r.complain("strength", format("{}", settings.strength), "out of range",
               format("a number from {} to {}", limits::kMinStrength, limits::kMaxStrength));
  }
  settings.mask_feather = r.spec.mask_feather.value_or(kDefaultMaskFeather);
  r.check_range("mask_feather", settings.mask_feather, 0, limits::kMaxMaskFeather);
}

void check_engine_can(Resolution& r) {
  if (!r.spec.loras.empty()) r.complain("loras", "", "not available in this version", "no LoRAs");
}

}  // namespace

std::string append_suffix(const std::string& text, const std::string& suffix) {
  if (text.empty()) return suffix;
  if (suffix.empty()) return text;
  return text + ", " + suffix;
}

Result<ResolvedJob> resolve(const JobSpec& spec, const Catalog& catalog) {
  Resolution r{spec, {}, {}};
  check_prompts(r);
  check_engine_can(r);
  r.check_range("count", spec.count, limits::kMinCount, limits::kMaxCount);
  r.check_range("seed", spec.seed, -1, limits::kMaxSeed);

  const Profile* profile = catalog.find_profile(spec.profile.empty() ? "none" : spec.profile);
  if (profile == nullptr) r.errors.push_back(catalog.unknown_profile(spec.profile));
  const Model* model = spec.model.empty() ? catalog.default_model() : catalog.find_model(spec.model);
  if (model == nullptr) {
    r.errors.push_back(catalog.unknown_model(spec.model));
  } else if (model->state != ModelState::installed) {
    r.complain("model", model->key, model->reason.empty() ? std::string(name(model->state)) : model->reason,
               "an installed model; `pixelfleet models list` shows them");
    model = nullptr;
  }
  if (model == nullptr || profile == nullptr) return fail(invalid_fields(std::move(r.errors)));

  JobSettings& settings = r.resolved.settings;
  settings.prompt = append_suffix(spec.prompt, profile->prompt_suffix);
  settings.negative_prompt = append_suffix(spec.negative_prompt, profile->negative_suffix);
  settings.model = model->key;
  settings.profile = profile->title;
  settings.mode = spec.mode;
  settings.cfg_scale = spec.cfg_scale.value_or(model->defaults.cfg_scale);
  if (!(settings.cfg_scale >= limits::kMinCfgScale && settings.cfg_scale <= limits::kMaxCfgScale)) {
    r.complain("cfg_scale", format("{}", settings.cfg_scale), "out of range",
               format("a number from {} to {}", limits::kMinCfgScale, limits::kMaxCfgScale));
  }
  resolve_inputs(r);
  resolve_size(r, *model);
  resolve_steps(r, *model, *profile);
  resolve_sampler(r, *model, *profile);
  if (!r.errors.empty()) return fail(invalid_fields(std::move(r.errors)));
  return std::move(r.resolved);
}

}  // namespace pixelfleet
