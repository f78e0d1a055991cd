// Jobs, images, models, profiles and gpus as JSON: the shapes of api/openapi.yaml, used by the API, the store and
// workers.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "domain/catalog.h"
#include "domain/gpu.h"
#include "domain/job.h"
#include "domain/live.h"

namespace pixelfleet {

// A client's job object. Unknown keys, wrong types and out-of-range numbers are all reported in Error.fields;
// resolve() checks the rest. `field_prefix` ("jobs[3].") goes before each field's name.
Result<JobSpec> job_spec_from_json(const Json& json, const std::string& field_prefix = "");

Json to_json(const JobSpec& spec);
Json to_json(const JobSettings& settings);
Json to_json(const JobError& error);
Json to_json(const Job& job);  // without images and live progress
Json to_json(const Image& image);
Json to_json(const Model& model);
Json to_json(const Profile& profile);
Json to_json(const JobProgress& progress);
Json to_json(const JobCounts& counts);
Json to_json(const Telemetry& telemetry);
Json to_json(const Pauses& pauses);
Json to_json(const HostMemory& memory);
Json to_json(const PredictionError& error);
// "reason" and "predicted_start", which stand beside the other keys of a job; null where there is none.
void put_outlook(Json& job, const std::optional<JobOutlook>& outlook);

// Rows that this program wrote itself. A row that does not parse is corrupt, not invalid.
Result<JobSettings> job_settings_from_json(const Json& json);
Result<JobError> job_error_from_json(const Json& json);

}  // namespace pixelfleet
