// What a client sends as a job: read strictly, every complaint collected.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"
#include "domain/job_json.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

const std::vector<std::string>& job_keys() {
  static const std::vector<std::string> keys = {
      "prompt",     "negative_prompt", "model",        "profile",       "mode",      "width", "height",
      "steps",      "cfg_scale",       "sampler",      "scheduler",     "seed",      "count", "strength",
      "init_image", "mask_image",      "mask_feather", "loras",         "priority",  "rank",  "gpu",
      "owner",      "sweep_id",        "campaign_id",  "allow_smaller", "keep_mine", "labels"};
  return keys;
}

// The value as the message shows it: short, and never half a character.
std::string shown(const Json& value) { return std::string(utf8_prefix(to_text(value), 128)); }

// Reads the fields of one job object; collects every complaint instead of stopping at the first.
class SpecReader {
 public:
  SpecReader(const Json& json, const std::string& prefix) : json_(json), prefix_(prefix) {}

  std::vector<FieldError> errors;

  void complain(const std::string& key, const Json& value, std::string message, std::string allowed) {
    errors.push_back({prefix_ + key, shown(value), std::move(message), std::move(allowed)});
  }

  void text(const char* key, std::string& out, std::size_t max_bytes) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const std::string allowed = format("text of at most {} bytes of UTF-8", max_bytes);
    if (!value->is_string()) return complain(key, *value, "not a text", allowed);
    const auto& text = value->get_ref<const std::string&>();
    if (text.size() > max_bytes) return complain(key, *value, format("{} bytes long", text.size()), allowed);
    if (text.find('\0') != std::string::npos) return complain(key, *value, "contains a NUL character", allowed);
    out = text;
  }

  void text(const char* key, std::optional<std::string>& out, std::size_t max_bytes) {
    if (find(key) == nullptr) return;
    out.emplace();
    text(key, *out, max_bytes);
  }

  void integer(const char* key, std::int64_t& out, std::int64_t low, std::int64_t high) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const std::string allowed = format("a whole number from {} to {}", low, high);
    if (!value->is_number_integer()) return complain(key, *value, "not a whole number", allowed);
    const bool too_big =
        value->is_number_unsigned() &&
        value->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const std::int64_t number = too_big ? 0 : value->get<std::int64_t>();
    if (too_big || number < low || number > high) return complain(key, *value, "out of range", allowed);
    out = number;
  }

  void integer(const char* key, int& out, int low, int high) {
    std::int64_t wide = out;
    integer(key, wide, low, high);
    out = static_cast<int>(wide);
  }

  void integer(const char* key, std::optional<int>& out, int low, int high) {
    if (find(key) == nullptr) return;
    int number = low;
    integer(key, number, low, high);
    out = number;
  }

  template <class Id>
  void id(const char* key, std::optional<Id>& out) {
    if (find(key) == nullptr) return;
    std::int64_t number = 1;
    integer(key, number, 1, std::numeric_limits<std::int64_t>::max());
    out = Id{number};
  }

  void number(const char* key, double& out, double low, double high) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const std::string allowed = format("a number from {} to {}", low, high);
    if (!value->is_number()) return complain(key, *value, "not a number", allowed);
    const double number = value->get<double>();
    if (!std::isfinite(number) || number < low || number > high) return complain(key, *value, "out of range", allowed);
    out = number;
  }

  void number(const char* key, std::optional<double>& out, double low, double high) {
    if (find(key) == nullptr) return;
    out = low;
    number(key, *out, low, high);
  }

  bool boolean(const char* key, bool otherwise) {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) {
      complain(key, *value, "not a boolean", "true or false");
      return otherwise;
    }
    return value->get<bool>();
  }

  template <class Enum, class Parse>
  void choice(const char* key, Enum& out, Parse parse, const char* allowed) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const auto parsed = value->is_string() ? parse(value->get_ref<const std::string&>()) : std::nullopt;
    if (!parsed) return complain(key, *value, "not one of the choices", allowed);
    out = *parsed;
  }

  // null means the same as absent: clients that fill in every key send it.
  const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

 private:
  const Json& json_;
  const std::string& prefix_;
};

void read_loras(SpecReader& reader, std::vector<LoraRef>& out) {
  const Json* value = reader.find("loras");
  if (value == nullptr) return;
  const std::string allowed =
      format("a list of at most {} objects {{\"name\", \"weight\"}}, weight from -4 to 4", limits::kMaxLoras);
  if (!value->is_array() || value->size() > limits::kMaxLoras) {
    return reader.complain("loras", *value, "not a list of LoRAs", allowed);
  }
  for (const Json& item : *value) {
    const bool well_formed = item.is_object() && item.contains("name") && item["name"].is_string() &&
                             item["name"].get_ref<const std::string&>().size() <= limits::kMaxNameBytes &&
                             (!item.contains("weight") || item["weight"].is_number());
    const double weight = well_formed ? item.value("weight", 1.0) : 0.0;
    if (!well_formed || !(weight >= -4.0 && weight <= 4.0)) {
      reader.complain("loras", item, "not a LoRA", allowed);
      continue;
    }
    out.push_back({item["name"].get<std::string>(), weight});
  }
}

void read_labels(SpecReader& reader, std::map<std::string, std::string>& out) {
  const Json* value = reader.find("labels");
  if (value == nullptr) return;
  const std::string allowed =
      format("an object of at most {} texts, each of at most {} bytes", limits::kMaxLabels, limits::kMaxNameBytes);
  if (!value->is_object() || value->size() > limits::kMaxLabels) {
    return reader.complain("labels", *value, "not an object of labels", allowed);
  }
  for (const auto& [key, text] : value->items()) {
    if (!text.is_string() || text.get_ref<const std::string&>().size() > limits::kMaxNameBytes ||
        key.size() > limits::kMaxNameBytes) {
      reader.complain("labels", text, "not a label", allowed);
      continue;
    }
    out[key] = text.get<std::string>();
  }
}

void report_unknown_keys(SpecReader& reader, const Json& json) {
  for (const auto& [key, value] : json.items()) {
    const auto& known = job_keys();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const auto near = nearest_name(key, known);
    reader.complain(std::string(utf8_prefix(key, 128)), value,
                    near ? format("unknown field; did you mean \"{}\"?", *near) : "unknown field",
                    "the job keys of the API document");
  }
}

}  // namespace

Result<JobSpec> job_spec_from_json(const Json& json, const std::string& field_prefix) {
  if (!json.is_object()) {
    std::string field = field_prefix;
    if (field.ends_with('.')) field.pop_back();
    return fail(invalid_fields({{field.empty() ? "body" : field, shown(json), "not a job", "a JSON object"}}));
  }
  JobSpec spec;
  SpecReader reader(json, field_prefix);
  report_unknown_keys(reader, json);
  reader.text("prompt", spec.prompt, limits::kMaxPromptBytes);
  reader.text("negative_prompt", spec.negative_prompt, limits::kMaxPromptBytes);
  reader.text("model", spec.model, limits::kMaxNameBytes);
  reader.text("profile", spec.profile, limits::kMaxNameBytes);
  reader.choice("mode", spec.mode, mode_from, "txt2img, img2img, inpaint");
  reader.integer("width", spec.width, limits::kMinSide, limits::kMaxSide);
  reader.integer("height", spec.height, limits::kMinSide, limits::kMaxSide);
  reader.integer("steps", spec.steps, limits::kMinSteps, limits::kMaxSteps);
  reader.number("cfg_scale", spec.cfg_scale, limits::kMinCfgScale, limits::kMaxCfgScale);
  reader.text("sampler", spec.sampler, limits::kMaxNameBytes);
  reader.text("scheduler", spec.scheduler, limits::kMaxNameBytes);
  reader.integer("seed", spec.seed, -1, limits::kMaxSeed);
  reader.integer("count", spec.count, limits::kMinCount, limits::kMaxCount);
  reader.number("strength", spec.strength, limits::kMinStrength, limits::kMaxStrength);
  reader.id("init_image", spec.init_image);
  reader.id("mask_image", spec.mask_image);
  reader.integer("mask_feather", spec.mask_feather, 0, limits::kMaxMaskFeather);
  read_loras(reader, spec.loras);
  reader.choice("priority", spec.priority, priority_from, "interactive, normal, background");
  reader.number("rank", spec.rank, -1e15, 1e15);
  reader.text("gpu", spec.gpu, limits::kMaxNameBytes);
  reader.text("owner", spec.owner, limits::kMaxNameBytes);
  reader.id("sweep_id", spec.sweep_id);
  reader.id("campaign_id", spec.campaign_id);
  spec.allow_smaller = reader.boolean("allow_smaller", false);
  spec.keep_mine = reader.boolean("keep_mine", true) ? KeepMine::request_wins : KeepMine::profile_wins;
  read_labels(reader, spec.labels);
  if (!reader.errors.empty()) return fail(invalid_fields(std::move(reader.errors)));
  return spec;
}

}  // namespace pixelfleet
