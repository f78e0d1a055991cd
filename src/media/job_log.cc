#include "media/job_log.h"

#include "base/format.h"
#include "base/json_full.h"
#include "media/metadata.h"

namespace pixelfleet::media {
namespace {

Json seconds_between(const std::optional<Instant>& from, const std::optional<Instant>& to) {
  if (!from || !to) return nullptr;
  return std::chrono::duration<double>(*to - *from).count();
}

// A sweep's run directory tells what it was: see run_directory() in domain/output_name.h.
bool is_multi_profile(const Job& job) {
  return job.run_dir.starts_with("multi_profiles_") || job.run_dir.starts_with("all_models_profiles_");
}

std::string model_id(const Model* model) {
  if (model == nullptr) return {};
  if (!model->hub_id.empty()) return model->hub_id;
  return model->parts.empty() ? model->key : model->parts.front().file;
}

Json v17_keys(const Job& job, const Model* model, const LogContext& context) {
  const JobSettings& settings = job.settings;
  return {
      {"timestamp", to_local_stamp(job.created_at)},
      {"mode", std::string(name(settings.mode))},
      {"multi_profile", is_multi_profile(job)},
      {"profile_style", settings.profile},
      {"prompt", job.requested.prompt},
      {"styled_prompt", settings.prompt},
      {"negative_prompt", job.requested.negative_prompt},
      {"effective_negative_prompt", settings.negative_prompt},
      {"model_key", model != nullptr ? model->title : settings.model},
      {"model_id", model_id(model)},
      {"scheduler", sampler_label(settings.sampler)},
      {"steps", settings.steps},
      {"guidance_scale", settings.cfg_scale},
      {"width", settings.width},
      {"height", settings.height},
      {"batch_size", job.requested.count},
      {"seed_base", job.seed_base},
      {"seeds", Json::array()},
      {"paths", Json::array()},
      {"error", job.error ? Json(job.error->message) : Json(nullptr)},
      {"run_dir", context.output_directory + "/" + job.run_dir},
      {"logged_at", to_rfc3339_utc(context.logged_at)},
      {"instance_id", context.instance_id},
  };
}

}  // namespace

std::string job_log_file(const std::string& instance_id) {
  std::string safe = instance_id;
  for (char& c : safe) {
    const bool allowed =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    if (!allowed) c = '_';
  }
  if (safe.size() > 128) safe.resize(128);
  return format("jobs_{}.log", safe);
}

std::string job_log_line(const Job& job, const std::vector<Image>& images, const Model* model,
                         const LogContext& context) {
  Json line = v17_keys(job, model, context);
  Json gpu = nullptr;
  Json image_seconds = Json::array();
  bool demo = model != nullptr && model->is_demo();
  for (const Image& image : images) {
    if (image.state != ImageState::published) continue;
    line["seeds"].push_back(image.seed);
    line["paths"].push_back(context.output_directory + "/" + image.path);
    image_seconds.push_back(image.effective.seconds);
    if (gpu.is_null() && !image.effective.gpu.empty()) gpu = image.effective.gpu;
    demo = demo || image.demo;
  }
  line["job_id"] = job.id.value;
  line["state"] = std::string(name(job.state));
  line["model"] = job.settings.model;
  line["demo"] = demo;
  line["gpu"] = std::move(gpu);
  line["attempt"] = job.worker_deaths + 1;
  line["warnings"] = job.warnings;
  line["timings"] = {{"queued_seconds", seconds_between(job.created_at, job.started_at)},
                     {"run_seconds", seconds_between(job.started_at, job.finished_at)},
                     {"image_seconds", std::move(image_seconds)}};
  return to_text(line) + "\n";
}

}  // namespace pixelfleet::media
