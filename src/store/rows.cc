#include "store/rows_internal.h"

#include "base/format.h"
#include "base/json_full.h"
#include "domain/job_json.h"

namespace pixelfleet::store {
namespace {

// The stored number is the running order.
static_assert(static_cast<int>(Priority::interactive) == 0 && static_cast<int>(Priority::normal) == 1 &&
              static_cast<int>(Priority::background) == 2);

Error corrupt(std::string_view what, std::string_view key, std::string_view column, std::string_view why) {
  return {ErrorCode::corrupt,
          format("the stored {} {} is damaged in column {}: {}. Restore a backup of the data directory", what, key,
                 column, why)};
}

// Our own text: no limits to enforce, so one pass of the parser is enough.
Result<Json> parse_own(std::string_view text, std::int64_t job_id, std::string_view column) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(corrupt("job", format("{}", job_id), column, "not valid JSON"));
  return json;
}

// A list of texts; nothing when it is something else.
std::optional<std::vector<std::string>> read_texts(std::string_view text) {
  std::vector<std::string> texts;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) return std::nullopt;
  for (const Json& each : json) {
    if (!each.is_string()) return std::nullopt;
    texts.push_back(each.get<std::string>());
  }
  return texts;
}

std::optional<Priority> priority_from_number(std::int64_t number) {
  for (const Priority priority : {Priority::interactive, Priority::normal, Priority::background}) {
    if (static_cast<std::int64_t>(priority) == number) return priority;
  }
  return std::nullopt;
}

Result<std::vector<std::string>> read_warnings(std::string_view text, std::int64_t job_id) {
  if (text.empty()) return std::vector<std::string>();
  auto warnings = read_texts(text);
  if (!warnings) return fail(corrupt("job", format("{}", job_id), "warnings", "not a list of texts"));
  return std::move(*warnings);
}

}  // namespace

JobTexts texts_of(const Job& job) {
  JobTexts texts;
  texts.requested = to_text(to_json(job.requested));
  texts.settings = to_text(to_json(job.settings));
  if (job.error) texts.error = text_of(*job.error);
  if (!job.warnings.empty()) texts.warnings = to_text(Json(job.warnings));
  return texts;
}

std::string text_of(const JobError& error) { return to_text(to_json(error)); }

std::string text_of(std::span<const int> indices) { return to_text(Json(indices)); }

void bind_job(Call& call, const Job& job, const JobTexts& texts) {
  const JobSpec& asked = job.requested;
  std::optional<std::string_view> held_reason;
  if (job.held_reason) held_reason = name(*job.held_reason);
  call.with(job.id, job.run_id, name(job.state), held_reason, static_cast<int>(asked.priority), asked.rank, asked.gpu,
            asked.owner, job.settings.model, texts.requested, texts.settings, job.seed_base, asked.count, job.published,
            job.worker_deaths, job.cancel_requested ? 1 : 0, texts.error, texts.warnings, asked.sweep_id,
            asked.campaign_id, job.created_at, job.started_at, job.finished_at);
}

void bind_image(Call& call, const Image& image) {
  const EffectiveImage& made = image.effective;
  call.with(image.id, image.job_id, image.index, name(image.state), image.seed, image.path, image.bytes,
            image.demo ? 1 : 0, made.model_hash, made.engine, made.engine_version, made.gpu, made.seconds, made.width,
            made.height, image.published_at);
}

Result<Job> read_job(Row row) {
  Job job;
  job.id = JobId(row.integer());
  job.run_id = RunId(row.integer());
  const auto state = job_state_from(row.text());
  if (!state) return fail(corrupt("job", format("{}", job.id.value), "state", "unknown word"));
  job.state = *state;
  if (const auto reason = row.text(); !reason.empty()) {
    job.held_reason = held_reason_from(reason);
    if (!job.held_reason) return fail(corrupt("job", format("{}", job.id.value), "held_reason", "unknown word"));
  }

  const auto requested = parse_own(row.text(), job.id.value, "requested");
  if (!requested) return fail(requested.error());
  auto spec = job_spec_from_json(*requested);
  if (!spec) return fail(corrupt("job", format("{}", job.id.value), "requested", spec.error().message));
  job.requested = std::move(*spec);
  const auto priority = priority_from_number(row.integer());
  if (!priority) return fail(corrupt("job", format("{}", job.id.value), "priority", "unknown number"));
  job.requested.priority = *priority;
  job.requested.rank = row.real();
  job.requested.gpu.reset();
  if (const auto pin = row.text(); !pin.empty()) job.requested.gpu = pin;
  const auto stored_settings = parse_own(row.text(), job.id.value, "settings");
  if (!stored_settings) return fail(stored_settings.error());
  auto settings = job_settings_from_json(*stored_settings);
  if (!settings) return fail(corrupt("job", format("{}", job.id.value), "settings", settings.error().message));
  job.settings = std::move(*settings);

  job.seed_base = row.integer();
  job.published = row.small();
  job.worker_deaths = row.small();
  job.cancel_requested = row.integer() != 0;
  if (const auto text = row.text(); !text.empty()) {
    const auto json = parse_own(text, job.id.value, "error");
    if (!json) return fail(json.error());
    auto error = job_error_from_json(*json);
    if (!error) return fail(corrupt("job", format("{}", job.id.value), "error", error.error().message));
    job.error = std::move(*error);
  }
  auto warnings = read_warnings(row.text(), job.id.value);
  if (!warnings) return fail(warnings.error());
  job.warnings = std::move(*warnings);
  job.run_dir = row.string();
  job.created_at = row.time();
  job.started_at = row.time_or_null();
  job.finished_at = row.time_or_null();
  return job;
}

Result<Image> read_image(Row row) {
  Image image;
  image.id = ImageId(row.integer());
  image.job_id = JobId(row.integer());
  image.index = row.small();
  // The table allows these two words only.
  image.state = row.text() == name(ImageState::published) ? ImageState::published : ImageState::pending;
  image.seed = row.integer();
  image.path = row.string();
  image.bytes = row.integer();
  image.demo = row.integer() != 0;
  image.effective.model_hash = row.string();
  image.effective.engine = row.string();
  image.effective.engine_version = row.string();
  image.effective.gpu = row.string();
  image.effective.seconds = row.real();
  image.effective.width = row.small();
  image.effective.height = row.small();
  image.published_at = row.time_or_null();
  return image;
}

control::Upload read_upload(Row row) {
  control::Upload upload;
  upload.id = UploadId(row.integer());
  upload.file = row.string();
  upload.media_type = row.string();
  upload.width = row.small();
  upload.height = row.small();
  upload.bytes = row.integer();
  upload.created_at = row.time();
  return upload;
}

EventPtr read_event(Row row) {
  auto event = std::make_shared<Event>();
  event->seq = row.integer();
  event->type = row.string();
  event->at = row.time();
  event->data = row.string();
  return event;
}

Result<control::GpuStateRow> read_gpu_state(Row row) {
  control::GpuStateRow gpu;
  gpu.gpu = row.string();
  gpu.at = row.time();
  gpu.from = row.string();
  gpu.state = row.string();
  gpu.reason = row.string();
  gpu.since = row.time();
  gpu.until = row.time_or_null();
  gpu.back_off_level = row.small();
  gpu.hold = row.string();
  gpu.hardware = row.string();
  gpu.workers = row.string();
  if (const auto job = row.integer_or_null()) gpu.job = JobId{*job};
  gpu.model = row.string();
  auto evidence = read_texts(row.text());
  if (!evidence) return fail(corrupt("state of gpu", gpu.gpu, "evidence", "not a list of texts"));
  gpu.evidence = std::move(*evidence);
  gpu.boot_id = row.string();
  return gpu;
}

Result<control::DisabledModel> read_disabled_model(Row row) {
  control::DisabledModel model;
  model.model = row.string();
  model.why = row.string();
  auto evidence = read_texts(row.text());
  if (!evidence) return fail(corrupt("disabled model", model.model, "evidence", "not a list of texts"));
  model.evidence = std::move(*evidence);
  model.files = row.string();
  model.at = row.time();
  return model;
}

Result<> add_count(JobCounts& counts, Row row) {
  const std::string state = row.string();
  const std::int64_t count = row.integer();
  const auto known = job_state_from(state);
  if (!known) return fail(ErrorCode::corrupt, format("the stored count of \"{}\" jobs is of no known state", state));
  switch (*known) {
    case JobState::queued: counts.queued += count; break;
    case JobState::held: counts.held += count; break;
    case JobState::running: counts.running += count; break;
    case JobState::done: counts.done += count; break;
    case JobState::failed: counts.failed += count; break;
    case JobState::cancelled: counts.cancelled += count; break;
  }
  return {};
}

}  // namespace pixelfleet::store
