#include "http/snapshot.h"

#include <algorithm>

#include "base/json_full.h"
#include "domain/gpu_json.h"
#include "domain/job_json.h"
#include "http/handlers.h"
#include "http/problem.h"

namespace pixelfleet::http {
namespace {

// Active jobs and the last ended ones. A job may move between the queries: the one read last wins.
Result<std::vector<Job>> snapshot_jobs(control::Reader& reader) {
  const control::JobQuery queries[] = {
      {{JobState::queued, JobState::held}, kSnapshotWaiting, std::nullopt},
      {{JobState::running}, kSnapshotRunning, std::nullopt},
      {{JobState::done, JobState::failed, JobState::cancelled}, kSnapshotEnded, std::nullopt},
  };
  std::map<JobId, Job, std::greater<>> by_id;
  for (const control::JobQuery& query : queries) {
    Result<std::vector<Job>> jobs = reader.jobs(query);
    if (!jobs) return fail(jobs.error());
    for (Job& job : *jobs) by_id.insert_or_assign(job.id, std::move(job));
  }
  std::vector<Job> newest_first;
  newest_first.reserve(by_id.size());
  for (auto& [id, job] : by_id) newest_first.push_back(std::move(job));
  return newest_first;
}

}  // namespace

Json job_json(const Job& job, const LiveState& live) {
  Json json = to_json(job);
  const auto progress = live.progress.find(job.id);
  json["progress"] = progress == live.progress.end() ? Json() : to_json(progress->second);
  put_outlook(json, outlook_of(job, live));
  return json;
}

Json gpus_json(const LiveState& live) {
  Json gpus = Json::array();
  for (const GpuStatus& status : live.gpus) gpus.push_back(to_json(status));
  return gpus;
}

Json alarms_json(const LiveState& live) {
  Json alarms = Json::array();
  for (const Alarm& alarm : live.alarms) alarms.push_back(to_json(alarm));
  return alarms;
}

Json models_json(const Catalog& catalog) {
  Json models = Json::array();
  for (const Model& model : catalog.models) models.push_back(to_json(model));
  return models;
}

Json profiles_json(const Catalog& catalog) {
  Json profiles = Json::array();
  for (const Profile& profile : catalog.profiles) profiles.push_back(to_json(profile));
  return profiles;
}

Json default_model_json(const Catalog& catalog) {
  const Model* model = catalog.default_model();
  return model == nullptr ? Json() : Json(model->key);
}

Result<Json> build_snapshot(const Context& context) {
  // The live state first: what the rows below already know beyond it comes again as events.
  const LiveStatePtr live = context.service.live();
  const CatalogPtr catalog = context.service.catalog();
  const Result<std::vector<Job>> jobs = snapshot_jobs(context.reader);
  if (!jobs) return fail(jobs.error());
  const Result<std::vector<Image>> images = context.reader.images({std::nullopt, kSnapshotImages, std::nullopt});
  if (!images) return fail(images.error());

  Json jobs_array = Json::array();
  for (const Job& job : *jobs) jobs_array.push_back(job_json(job, *live));
  Json images_array = Json::array();
  for (const Image& image : *images) images_array.push_back(to_json(image));
  const auto usable = std::count_if(live->gpus.begin(), live->gpus.end(),
                                    [](const GpuStatus& status) { return status.state != GpuState::offline; });
  Json server = {{"version", context.options.version},
                 {"instance_id", context.options.instance_id},
                 {"started_at_ms", to_unix_ms(context.started_at)},
                 {"output_dir", context.options.output_directory.string()},
                 {"multi_gpu_available", usable > 1}};
  Json snapshot = Json::object();
  snapshot["seq"] = live->seq;
  snapshot["server"] = std::move(server);
  snapshot["settings"] = to_json(context.service.settings());
  snapshot["gpus"] = gpus_json(*live);
  snapshot["telemetry"] = to_json(live->telemetry);
  snapshot["alarms"] = alarms_json(*live);
  snapshot["host_memory"] = to_json(live->host_memory);
  snapshot["scheduler"] = {{"prediction_error", to_json(live->prediction_error)}};
  snapshot["counts"] = to_json(live->counts);
  snapshot["queue"] = to_json(live->pauses);
  snapshot["jobs"] = std::move(jobs_array);
  snapshot["images"] = std::move(images_array);
  snapshot["models"] = models_json(*catalog);
  snapshot["profiles"] = profiles_json(*catalog);
  snapshot["default_model"] = default_model_json(*catalog);
  return snapshot;
}

void get_trace(const Request&, const Context& context, Responder respond) {
  Response response;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body = context.service.trace();
  respond(std::move(response));
}

void get_snapshot(const Request& request, const Context& context, Responder respond) {
  const Result<Json> snapshot = build_snapshot(context);
  respond(snapshot ? json_response(200, *snapshot) : problem(snapshot.error(), request.request_id));
}

}  // namespace pixelfleet::http
