#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/format.h"
#include "base/json_full.h"
#include "cli/generate.h"
#include "domain/suggest.h"

namespace pixelfleet::cli {
namespace {

// Reads the variables; complains about all that are wrong, not about the first.
class Variables {
 public:
  explicit Variables(const Environment& environment) : environment_(environment) {}

  std::vector<FieldError> errors;

  std::string text(const char* variable, const std::string& otherwise) const {
    const auto value = environment_(variable);
    return value && !value->empty() ? *value : otherwise;
  }

  std::int64_t integer(const char* variable, std::int64_t otherwise, std::int64_t low, std::int64_t high,
                       std::int64_t multiple = 1) {
    const auto value = environment_(variable);
    if (!value || value->empty()) return otherwise;
    std::string allowed = format("a whole number from {} to {}", low, high);
    if (multiple > 1) allowed += format(", a multiple of {}", multiple);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
    if (error != std::errc{} || end != value->data() + value->size()) {
      return complain(variable, *value, "not a whole number", allowed, otherwise);
    }
    if (number < low || number > high) return complain(variable, *value, "out of range", allowed, otherwise);
    if (number % multiple != 0) {
      return complain(variable, *value, format("not a multiple of {}", multiple), allowed, otherwise);
    }
    return number;
  }

  double number(const char* variable, double otherwise, double low, double high) {
    const auto value = environment_(variable);
    if (!value || value->empty()) return otherwise;
    const std::string allowed = format("a number from {} to {}", low, high);
    char* end = nullptr;
    const double parsed = std::strtod(value->c_str(), &end);
    if (end == value->c_str() || *end != '\0') return complain(variable, *value, "not a number", allowed, otherwise);
    if (!std::isfinite(parsed) || parsed < low || parsed > high) {
      return complain(variable, *value, "out of range", allowed, otherwise);
    }
    return parsed;
  }

  bool flag(const char* variable) {
    const std::string value = to_lower_ascii(text(variable, "false"));
    if (value == "true" || value == "1" || value == "yes") return true;
    if (value == "false" || value == "0" || value == "no") return false;
    complain(variable, value, "not a switch", "true or false", 0);
    return false;
  }

  template <class T>
  T complain(const char* variable, const std::string& value, std::string message, std::string allowed, T otherwise) {
    errors.push_back({variable, value.substr(0, 128), std::move(message), std::move(allowed)});
    return otherwise;
  }

 private:
  const Environment& environment_;
};

}  // namespace

Result<Json> headless_job(const Environment& environment) {
  Variables v(environment);
  Json job;
  job["prompt"] = v.text("PROMPT", "");
  if (job["prompt"] == "") v.complain("PROMPT", "", "missing", "the prompt, needed with HEADLESS=true", 0);
  job["negative_prompt"] = v.text("NEGATIVE_PROMPT", "");
  job["model"] = v.text("MODEL", "SDXL Base 1.0");
  job["profile"] = v.text("STYLE_PROFILE", "Photoreal");
  job["sampler"] = v.text("SCHEDULER", "Default");
  job["steps"] = v.integer("STEPS", 26, 4, 80);
  job["cfg_scale"] = v.number("CFG_SCALE", 7.5, 0.0, 20.0);
  job["width"] = v.integer("WIDTH", 1024, 256, 1536, 8);
  job["height"] = v.integer("HEIGHT", 576, 256, 1536, 8);
  job["count"] = v.integer("BATCH_SIZE", 4, 1, 10);
  job["seed"] = v.integer("SEED", -1, -1, 0xFFFF'FFFF);
  job["keep_mine"] = false;  // v17: the profile's steps and sampler win
  job["allow_smaller"] = true;
  const bool all_profiles = v.flag("RUN_ALL_PROFILES");
  const bool all_models = v.flag("RUN_ALL_MODELS");
  if (all_profiles && all_models) {
    v.complain("RUN_ALL_MODELS", "true", "set together with RUN_ALL_PROFILES", "at most one of the two", 0);
  } else if (all_profiles || all_models) {
    v.complain(all_profiles ? "RUN_ALL_PROFILES" : "RUN_ALL_MODELS", "true", "sweeps are not available in this version",
               "false", 0);
  }
  if (!v.errors.empty()) return fail(invalid_fields(std::move(v.errors)));
  return job;
}

}  // namespace pixelfleet::cli
