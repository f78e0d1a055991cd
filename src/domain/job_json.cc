#include "domain/job_json.h"

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet {
namespace {

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
  put_if(json, "mask_feather", spec.mask_feather);
  put_if(json, "gpu", spec.gpu);
  put_if(json, "sweep_id", spec.sweep_id);
  put_if(json, "campaign_id", spec.campaign_id);
  if (!spec.loras.empty()) json["loras"] = to_json(spec.loras);
  if (!spec.labels.empty()) json["labels"] = spec.labels;
  return json;
}

Json to_json(const std::optional<InputPicture>& picture) {
  if (!picture) return nullptr;
  return {{"upload", picture->upload.value}, {"file", picture->file}};
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
          {"init_image", to_json(settings.init_image)},
          {"mask_image", to_json(settings.mask_image)},
          {"mask_feather", settings.mask_feather},
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

Json to_json(const HostMemory& memory) {
  return {{"limit_bytes", memory.limit_bytes},
          {"used_bytes", memory.used_bytes},
          {"staging", or_null(memory.staging)},
          {"staged", memory.staged},
          {"disk_bytes_per_second", or_null(memory.disk_bytes_per_second)}};
}

Json to_json(const PredictionError& error) { return {{"load", or_null(error.load)}, {"run", or_null(error.run)}}; }

Json to_json(const Pauses& pauses) { return {{"paused_all", pauses.all}, {"paused_owners", pauses.owners}}; }

namespace {

std::optional<InputPicture> input_from(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return InputPicture{UploadId{json.at("upload").get<std::int64_t>()}, json.at("file").get<std::string>()};
}

}  // namespace

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
    settings.init_image = input_from(json.at("init_image"));
    settings.mask_image = input_from(json.at("mask_image"));
    json.at("mask_feather").get_to(settings.mask_feather);
    for (const Json& lora : json.at("loras")) {
      settings.loras.push_back({lora.at("name").get<std::string>(), lora.at("weight").get<double>()});
    }
    return settings;
  } catch (const Json::exception& e) {
    return fail(ErrorCode::corrupt, format("job settings: {}", e.what()));
  }
}

void put_outlook(Json& job, const std::optional<JobOutlook>& outlook) {
  job["reason"] = outlook ? to_json(outlook->reason) : Json(nullptr);
  job["predicted_start"] = outlook && outlook->start ? to_json(*outlook->start) : Json(nullptr);
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
