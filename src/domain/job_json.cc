#include "domain/job_json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

const std::vector<std::string>& job_keys() {
  static const std::vector<std::string> keys = {
      "prompt",     "negative_prompt", "model",         "profile",   "mode",  "width", "height",
      "steps",      "cfg_scale",       "sampler",       "scheduler", "seed",  "count", "strength",
      "init_image", "mask_image",      "loras",         "priority",  "rank",  "gpu",   "owner",
      "sweep_id",   "campaign_id",     "allow_smaller", "keep_mine", "labels"};
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

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class Tag>
Json or_null(const std::optional<StrongId<Tag>>& id) {
  return id ? Json(id->value) : Json(nullptr);
}

Json or_null(const std::optional<Instant>& instant) { return instant ? Json(to_unix_ms(*instant)) : Json(nullptr); }

Json to_json(const std::vector<LoraRef>& loras) {
  Json list = Json::array();
  for (const LoraRef& lora : loras) list.push_back({{"name", lora.name}, {"weight", lora.weight}});
  return list;
}

template <class T>
void put_if(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

template <class Tag>
void put_if(Json& json, const char* key, const std::optional<StrongId<Tag>>& id) {
  if (id) json[key] = id->value;
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
  reader.number("strength", spec.strength, 0.0, 1.0);
  reader.id("init_image", spec.init_image);
  reader.id("mask_image", spec.mask_image);
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

Json to_json(const JobSpec& spec) {
  Json json = {{"prompt", spec.prompt},
               {"negative_prompt", spec.negative_prompt},
               {"model", spec.model},
               {"profile", spec.profile},
               {"mode", name(spec.mode)},
               {"seed", spec.seed},
               {"count", spec.count},
               {"priority", name(spec.priority)},
               {"rank", spec.rank},
               {"owner", spec.owner},
               {"allow_smaller", spec.allow_smaller},
               {"keep_mine", spec.keep_mine == KeepMine::request_wins}};
  put_if(json, "width", spec.width);
  put_if(json, "height", spec.height);
  put_if(json, "steps", spec.steps);
  put_if(json, "cfg_scale", spec.cfg_scale);
  put_if(json, "sampler", spec.sampler);
  put_if(json, "scheduler", spec.scheduler);
  put_if(json, "strength", spec.strength);
  put_if(json, "init_image", spec.init_image);
  put_if(json, "mask_image", spec.mask_image);
  put_if(json, "gpu", spec.gpu);
  put_if(json, "sweep_id", spec.sweep_id);
  put_if(json, "campaign_id", spec.campaign_id);
  if (!spec.loras.empty()) json["loras"] = to_json(spec.loras);
  if (!spec.labels.empty()) json["labels"] = spec.labels;
  return json;
}

Json to_json(const JobSettings& settings) {
  return {{"prompt", settings.prompt},
          {"negative_prompt", settings.negative_prompt},
          {"model", settings.model},
          {"profile", settings.profile},
          {"mode", name(settings.mode)},
          {"width", settings.width},
          {"height", settings.height},
          {"generate_width", settings.generate_width},
          {"generate_height", settings.generate_height},
          {"steps", settings.steps},
          {"cfg_scale", settings.cfg_scale},
          {"sampler", settings.sampler},
          {"scheduler", settings.scheduler},
          {"strength", settings.strength},
          {"loras", to_json(settings.loras)}};
}

Json to_json(const JobError& error) {
  return {{"code", error.code}, {"message", error.message}, {"evidence", error.evidence}};
}

Json to_json(const Job& job) {
  return {{"id", job.id.value},
          {"run_id", job.run_id.value},
          {"state", name(job.state)},
          {"held_reason", job.held_reason ? Json(name(*job.held_reason)) : Json(nullptr)},
          {"cancel_requested", job.cancel_requested},
          {"priority", name(job.requested.priority)},
          {"rank", job.requested.rank},
          {"owner", job.requested.owner},
          {"requested", to_json(job.requested)},
          {"settings", to_json(job.settings)},
          {"seed_base", job.seed_base},
          {"count", job.requested.count},
          {"published", job.published},
          {"partial", job.partial()},
          {"error", job.error ? to_json(*job.error) : Json(nullptr)},
          {"warnings", job.warnings},
          {"run_dir", job.run_dir},
          {"created_at_ms", to_unix_ms(job.created_at)},
          {"started_at_ms", or_null(job.started_at)},
          {"finished_at_ms", or_null(job.finished_at)},
          {"progress", nullptr}};
}

Json to_json(const Image& image) {
  const bool published = image.state == ImageState::published && image.published_at;
  const std::string base = format("/api/v1/images/{}", image.id.value);
  // Answers are cached for ever; the version keeps a browser from showing pictures of an earlier data directory.
  const std::string version = published ? format("?v={}", to_unix_ms(*image.published_at)) : "";
  return {{"id", image.id.value},
          {"job_id", image.job_id.value},
          {"index", image.index},
          {"state", name(image.state)},
          {"seed", image.seed},
          {"path", image.path},
          {"url", base + "/file" + version},
          {"thumbnail_url", base + "/thumbnail" + version},
          {"width", published ? Json(image.effective.width) : Json(nullptr)},
          {"height", published ? Json(image.effective.height) : Json(nullptr)},
          {"bytes", published ? Json(image.bytes) : Json(nullptr)},
          {"gpu", published ? Json(image.effective.gpu) : Json(nullptr)},
          {"seconds", published ? Json(image.effective.seconds) : Json(nullptr)},
          {"published_at_ms", or_null(image.published_at)},
          {"demo", image.demo}};
}

Json to_json(const Model& model) {
  Json parts = Json::array();
  for (const ModelPart& part : model.parts) {
    parts.push_back({{"role", name(part.role)},
                     {"file", part.file},
                     {"bytes", part.bytes},
                     {"hash", part.hash.empty() ? Json(nullptr) : Json(part.hash)}});
  }
  return {{"key", model.key},
          {"title", model.title},
          {"family", model.family},
          {"engine", model.engine},
          {"demo", model.is_demo()},
          {"state", name(model.state)},
          {"reason", model.reason.empty() ? Json(nullptr) : Json(model.reason)},
          {"memory_bytes", model.memory_bytes},
          {"file_bytes", model.file_bytes()},
          {"parts", std::move(parts)},
          {"defaults",
           {{"width", model.defaults.width},
            {"height", model.defaults.height},
            {"steps", model.defaults.steps},
            {"cfg_scale", model.defaults.cfg_scale},
            {"sampler", model.defaults.sampler},
            {"scheduler", model.defaults.scheduler}}},
          {"limits",
           {{"min_side", model.limits.min_side},
            {"max_side", model.limits.max_side},
            {"max_steps", model.limits.max_steps},
            {"size_multiple", model.limits.size_multiple}}}};
}

Json to_json(const Profile& profile) {
  return {{"key", profile.key},
          {"title", profile.title},
          {"aliases", profile.aliases},
          {"prompt_suffix", profile.prompt_suffix},
          {"negative_suffix", profile.negative_suffix},
          {"steps", or_null(profile.steps)},
          {"sampler", or_null(profile.sampler)}};
}

Json to_json(const GpuStatus& status) {
  return {{"uuid", status.gpu.uuid},
          {"index", status.gpu.index},
          {"name", status.gpu.name},
          {"kind", name(status.gpu.kind)},
          {"state", name(status.state)},
          {"memory_total_bytes", status.gpu.memory_total_bytes},
          {"memory_used_bytes", or_null(status.sample.memory_used_bytes)},
          {"memory_free_bytes", or_null(status.sample.memory_free_bytes)},
          {"utilization_ratio", or_null(status.sample.utilization_ratio)},
          {"temperature_celsius", or_null(status.sample.temperature_celsius)},
          {"power_watts", or_null(status.sample.power_watts)},
          {"resident_models", status.resident_models},
          {"job", or_null(status.job)}};
}

Json to_json(const JobProgress& progress) {
  return {{"gpu", progress.gpu},           {"image_index", progress.image_index},
          {"phase", name(progress.phase)}, {"step", progress.step},
          {"steps", progress.steps},       {"ratio", progress.ratio}};
}

Json to_json(const JobCounts& counts) {
  return {{"queued", counts.queued}, {"held", counts.held},     {"running", counts.running},
          {"done", counts.done},     {"failed", counts.failed}, {"cancelled", counts.cancelled}};
}

Json to_json(const Telemetry& telemetry) {
  return {{"state", telemetry.available ? "ok" : "unavailable"},
          {"reason", telemetry.reason.empty() ? Json(nullptr) : Json(telemetry.reason)}};
}

Result<JobSettings> job_settings_from_json(const Json& json) {
  try {
    JobSettings settings;
    json.at("prompt").get_to(settings.prompt);
    json.at("negative_prompt").get_to(settings.negative_prompt);
    json.at("model").get_to(settings.model);
    json.at("profile").get_to(settings.profile);
    const auto mode = mode_from(json.at("mode").get<std::string>());
    if (!mode) return fail(ErrorCode::corrupt, "job settings name an unknown mode");
    settings.mode = *mode;
    json.at("width").get_to(settings.width);
    json.at("height").get_to(settings.height);
    json.at("generate_width").get_to(settings.generate_width);
    json.at("generate_height").get_to(settings.generate_height);
    json.at("steps").get_to(settings.steps);
    json.at("cfg_scale").get_to(settings.cfg_scale);
    json.at("sampler").get_to(settings.sampler);
    json.at("scheduler").get_to(settings.scheduler);
    json.at("strength").get_to(settings.strength);
    for (const Json& lora : json.at("loras")) {
      settings.loras.push_back({lora.at("name").get<std::string>(), lora.at("weight").get<double>()});
    }
    return settings;
  } catch (const Json::exception& e) {
    return fail(ErrorCode::corrupt, format("job settings: {}", e.what()));
  }
}

Result<JobError> job_error_from_json(const Json& json) {
  try {
    return JobError{json.at("code").get<std::string>(), json.at("message").get<std::string>(),
                    json.at("evidence").get<std::vector<std::string>>()};
  } catch (const Json::exception& e) {
    return fail(ErrorCode::corrupt, format("job error: {}", e.what()));
  }
}

}  // namespace pixelfleet
