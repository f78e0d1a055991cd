// Loop: from the messages of the edges to scheduler events and row changes.
#include <algorithm>
#include <tuple>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"
#include "base/log.h"
#include "control/gpu_rows.h"
#include "control/loop.h"
#include "control/model_facts.h"
#include "domain/job_json.h"

namespace pixelfleet::control {
namespace {

// A picture that cannot be written this often ends its job: the reason is not going away.
constexpr int kMaxWriteFailures = 3;
// Progress of one job is told at most this often; every phase change and last step is told at once.
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

// The scheduler hears of one chunk's steps this often.
constexpr auto kStepInterval = std::chrono::milliseconds(250);

double seconds_between(Instant from, Instant to) { return std::chrono::duration<double>(to - from).count(); }

std::string as_text(std::vector<LoraRef> loras) {
  std::sort(loras.begin(), loras.end(), [](const LoraRef& a, const LoraRef& b) { return a.name < b.name; });
  std::string text;
  for (const LoraRef& lora : loras) text += format("{}:{} ", lora.name, lora.weight);
  return text;
}

std::vector<std::string> evidence_of(const JobError& failure) {
  std::vector<std::string> lines;
  if (!failure.message.empty()) lines.push_back(failure.message);
  lines.insert(lines.end(), failure.evidence.begin(), failure.evidence.end());
  return lines;
}

// Ends of workers that say nothing about the job they had at hand.
bool nobodys_fault(const std::string& code) { return code == "cancelled" || code == "recycled" || code == "gpu_stuck"; }

// Without memory, which others may have taken, a canary says nothing about the gpu.
health::Canary canary_result_of(const JobError& failure) {
  const bool no_memory = failure.code == "out_of_memory" || failure.code == "killed";
  return no_memory || nobodys_fault(failure.code) ? health::Canary::not_run : health::Canary::failed;
}

}  // namespace

void Loop::accept_submissions(std::vector<Message>& messages) {
  struct Submission {
    Accepted accepted;
    Reply<SubmitReceipt> reply;
  };
  std::vector<Submission> submissions;
  std::vector<Change> rows;
  std::vector<EventPtr> events;
  const CatalogPtr catalog = this->catalog();
  const std::int64_t seq_before = feed_.last_seq();
  for (Message& message : messages) {
    auto* request = std::get_if<SubmitJobs>(&message);
    if (request == nullptr) continue;
    if (store_error_) {
      request->reply(fail(*store_error_));
      continue;
    }
    auto accepted = acceptance_.accept(request->specs, *catalog, now_);
    if (!accepted) {
      request->reply(fail(accepted.error()));
      continue;
    }
    rows.push_back(InsertRun{accepted->run});
    for (const auto& entry : accepted->entries) {
      rows.push_back(InsertJob{entry.job, entry.images});
      events.push_back(feed_.durable("job.created", now_, {{"job", to_json(entry.job)}}));
      rows.push_back(AppendEvent{events.back()});
    }
    submissions.push_back({std::move(*accepted), std::move(request->reply)});
  }
  if (submissions.empty()) return;
  if (const auto committed = ports_.store.commit(rows); !committed) {
    log::error("control", "{} submissions refused: {}", submissions.size(), committed.error().message);
    feed_.rewind(seq_before);
    for (const Submission& submission : submissions) submission.reply(fail(committed.error()));
    return;
  }
  for (Submission& submission : submissions) {
    SubmitReceipt receipt{{}, submission.accepted.run.directory};
    for (auto& entry : submission.accepted.entries) {
      receipt.jobs.push_back(entry.job);
      last_job_ = entry.job.id;
      waiting_jobs_.push_back(entry.job.id);
      ledger_.add(std::move(entry.job), std::move(entry.images));
    }
    submission.reply(std::move(receipt));
  }
  for (const EventPtr& event : events) feed_.publish(event);
  if (gpus_known_) feed_waiting_jobs();
}

scheduler::JobFacts Loop::facts_of_job(const OpenJob& open) {
  scheduler::JobFacts facts;
  const Job& job = open.job;
  facts.id = job.id;
  facts.owner = job.requested.owner;
  facts.priority = job.requested.priority;
  facts.rank = job.requested.rank;
  facts.model = job.settings.model;
  facts.pin = job.requested.gpu;
  facts.worker_deaths = job.worker_deaths;
  for (const Image& image : open.images) {
    if (image.state == ImageState::pending) facts.missing.push_back(image.index);
  }
  if (job.state == JobState::held) facts.held = job.held_reason;
  facts.cancel_requested = job.cancel_requested;
  const JobSettings& settings = job.settings;
  facts.shape = {settings.sampled_steps(), std::int64_t{settings.generate_width} * settings.generate_height,
                 settings.sampler, as_text(settings.loras)};
  facts.arrived_at = job.created_at;
  return facts;
}

void Loop::feed_waiting_jobs() {
  for (const JobId id : std::exchange(waiting_jobs_, {})) {
    OpenJob* open = ledger_.find(id);
    if (open == nullptr) continue;
    // A restart finds jobs that ran: they queue again, or end if somebody had asked for that.
    if (open->job.state == JobState::running && !open->job.cancel_requested) {
      change(ledger_.set_state(*open, JobState::queued, {}, {}, open->job.worker_deaths, now_));
      tell_job("job.updated", open->job);
    }
    step(scheduler::JobSubmitted{facts_of_job(*open)});
  }
}

void Loop::handle(SubmitJobs&) {}  // accept_submissions has answered it

void Loop::handle(ChangeSettings& message) {
  auto changes = parse_json(message.changes);
  if (!changes) return message.reply(fail(changes.error()));
  auto merged = merge_settings(settings(), *changes);
  if (!merged) return message.reply(fail(merged.error()));
  for (const ModelKey& key : merged->pinned_models) {
    const CatalogPtr catalog = this->catalog();
    const Model* model = catalog->find_model(key);
    if (settings().pinned_models.contains(key) || (model != nullptr && model->key == key)) continue;
    FieldError unknown = catalog->unknown_model(key);
    unknown.field = "models.pinned";
    return message.reply(fail(invalid_fields({std::move(unknown)})));
  }
  auto shared = sharing_settings(*merged, options_.sharing);
  if (!shared) return message.reply(fail(shared.error()));
  PutSettings row;
  for (const auto& [key, value] : changes->items()) {
    if (options_.locked.count(key) > 0) {
      return message.reply(fail(ErrorCode::permission_denied, format("{} is locked by config.locked", key)));
    }
    row.values[key] = to_text(value);
  }
  change(std::move(row));
  const bool lists_others = merged->multi_gpu_list != settings().multi_gpu_list;
  {
    MutexLock lock(published_mutex_);
    settings_ = *merged;
  }
  if (lists_others) warn_of_gpus_not_here();
  tell(feed_.durable("settings.changed", now_, {{"settings", to_json(*merged)}}));
  tell_policy();
  tell_sharing(sharing::SettingsChanged{std::move(*shared)});
  after_commit([reply = std::move(message.reply), settings = std::move(*merged)] { reply(settings); });
}

void Loop::handle(AddUpload& message) {
  last_upload_ = UploadId{last_upload_.value + 1};
  message.upload.id = last_upload_;
  message.upload.created_at = now_;
  change(InsertUpload{message.upload});
  after_commit([reply = std::move(message.reply), upload = std::move(message.upload)] { reply(upload); });
}

void Loop::handle(ShutDown&) { shutting_down_ = true; }

void Loop::handle(WorkerIsReady& message) {
  if (canaries_.contains(message.worker)) return run_canary(message.worker);
  const auto worker = workers_.find(message.worker);
  if (worker == workers_.end()) return;
  worker->second.phase = WorkerFacts::Phase::ready;
  observe(sharing::WorkerReady{message.worker});
  if (message.device_bytes > 0) observe(sharing::WorkerMeasured{message.worker, message.device_bytes});
  worker->second.engine = message.engine;
  worker->second.engine_version = message.engine_version;
  if (const auto expected = std::exchange(worker->second.expected_seconds, {})) {
    load_error_.add(seconds_between(worker->second.started_at, now_), *expected);
  }
  const ModelKey model = worker->second.model;
  trace_.load_ended(message.worker, "ready", now_);
  step(scheduler::WorkerReady{message.worker});
  check_staged(model);
}

// What a worker has read may be in host memory now, for the next one.
void Loop::check_staged(const ModelKey& key) {
  const Model* model = catalog()->find_model(key);
  if (host_memory_limit() == 0 || model == nullptr || model->is_demo() || staged_files_.contains(key)) return;
  after_commit([this, files = staged_files_.files_of(*catalog(), key)] { ports_.host_memory.check(files); });
}

void Loop::handle(WorkerIsGone& message) {
  if (const auto canary = canaries_.find(message.worker); canary != canaries_.end()) {
    if (message.failure.code == "gpu_stuck") {  // this says more than how a canary ends
      return tell_health(health::WorkerFailed{canary->second.gpu,
                                              {},
                                              canary->second.model.key,
                                              health::Phase::loading,
                                              health::Exit::unreapable,
                                              evidence_of(message.failure)});
    }
    return end_canary(message.worker, canary_result_of(message.failure), evidence_of(message.failure));
  }
  const auto worker = workers_.find(message.worker);
  if (worker == workers_.end()) return;
  if (const auto exit = exit_of(message)) {
    const auto chunk = std::find_if(chunks_.begin(), chunks_.end(),
                                    [&](const auto& entry) { return entry.second.worker == message.worker; });
    const bool runs = chunk != chunks_.end();
    const bool loads = worker->second.phase == WorkerFacts::Phase::loading;
    tell_health(health::WorkerFailed{worker->second.gpu, runs ? std::optional(chunk->second.job) : std::nullopt,
                                     worker->second.model, loads ? health::Phase::loading : health::Phase::running,
                                     *exit, evidence_of(message.failure)});
  }
  workers_.erase(message.worker);
  trace_.load_ended(message.worker, "failed", now_);
  log::warn("control", "worker {} is gone: {}", message.worker.value, message.failure.message);
  if (message.permanent) {
    step(scheduler::ModelUnloadable{message.worker, std::move(message.failure)});
    return;
  }
  const auto blame = nobodys_fault(message.failure.code) ? scheduler::Blame::none : scheduler::Blame::job;
  step(scheduler::WorkerLost{message.worker, std::move(message.failure), blame});
}

void Loop::handle(WorkerLoading& message) {
  const auto worker = workers_.find(message.worker);
  if (worker == workers_.end()) return;
  tell_lossy("worker.loading",
             {{"gpu", worker->second.gpu}, {"model", worker->second.model}, {"ratio", message.ratio}});
}

void Loop::handle(ChunkProgressed& message) {
  const auto chunk = chunks_.find(message.chunk);
  const auto worker = workers_.find(message.worker);
  if (chunk == chunks_.end() || worker == workers_.end()) return;
  OpenJob* open = ledger_.find(chunk->second.job);
  if (open == nullptr) return;
  RunningChunk& running = chunk->second;
  running.image_ratio = message.phase == Phase::sample && message.steps > 0
                            ? static_cast<double>(message.step) / static_cast<double>(message.steps)
                            : (message.phase == Phase::decode ? 1.0 : 0.0);
  set_progress(*open, running,
               {worker->second.gpu, message.index, message.phase, message.step, message.steps, ratio_of(*open)});
  const bool says_when_it_ends = message.phase == Phase::sample && message.step > 0;
  if (!says_when_it_ends || (running.stepped_at && now_ - *running.stepped_at < kStepInterval)) return;
  running.stepped_at = now_;
  if (gpu_health_.contains(worker->second.gpu)) tell_health(health::StepMade{worker->second.gpu});
  step(scheduler::ChunkProgress{message.chunk, message.index, message.step, message.steps});
}

// Of the whole job, all its chunks together.
double Loop::ratio_of(const OpenJob& open) const {
  double done = open.job.published + open.pictures_in_flight;
  for (const auto& [id, chunk] : chunks_) {
    if (chunk.job == open.job.id) done += chunk.image_ratio;
  }
  return std::min(1.0, done / static_cast<double>(open.job.requested.count));
}

void Loop::set_progress(OpenJob& open, RunningChunk& chunk, JobProgress progress) {
  JobProgress& last = progress_[open.job.id];
  progress.ratio = std::max(progress.ratio, last.ratio);
  last = progress;
  const bool notable = std::exchange(chunk.phase, progress.phase) != progress.phase || progress.step == progress.steps;
  if (!feed_.has_subscribers()) return;
  if (!notable && chunk.told_at && now_ - *chunk.told_at < kProgressInterval) return;
  chunk.told_at = now_;
  tell_lossy("job.progress", {{"job_id", open.job.id.value}, {"progress", to_json(progress)}});
}

void Loop::handle(PreviewArrived& message) {
  const auto chunk = chunks_.find(message.chunk);
  if (chunk == chunks_.end() || !feed_.has_subscribers()) return;
  ports_.media.encode_preview(chunk->second.job, message.index, message.step, message.steps, std::move(message.pixels));
}

void Loop::handle(ImageArrived& message) {
  if (canaries_.contains(message.worker)) return judge_canary(message);
  const auto chunk = chunks_.find(message.chunk);
  const auto worker = workers_.find(message.worker);
  if (chunk == chunks_.end() || worker == workers_.end() || chunk->second.worker != message.worker) return;
  OpenJob* open = ledger_.find(chunk->second.job);
  if (open == nullptr || message.index < 0 || message.index >= open->job.requested.count) return;
  if (message.pixels && is_one_colour(*message.pixels)) {
    log::warn("control",
              "picture {} of job {} is of one single colour: half-precision overflow does this; try a lower "
              "cfg_scale or another VAE",
              message.index + 1, open->job.id.value);
  }
  const CatalogPtr catalog = this->catalog();
  const Model* model = catalog->find_model(open->job.settings.model);
  PictureRequest request;
  request.worker = message.worker;
  request.attempt = message.chunk;
  request.job = open->job;
  request.image = open->images[static_cast<std::size_t>(message.index)];
  if (model != nullptr) request.model = *model;
  request.pixels = std::move(message.pixels);
  EffectiveImage& effective = request.image.effective;
  if (!request.model.parts.empty()) effective.model_hash = request.model.parts.front().hash;
  effective.engine = worker->second.engine;
  effective.engine_version = worker->second.engine_version;
  effective.gpu = worker->second.gpu;
  effective.seconds = message.seconds;
  ++open->pictures_in_flight;
  chunk->second.image_ratio = 0.0;
  step(scheduler::ImageMade{message.chunk, message.index});
  after_commit([this, request = std::move(request)]() mutable { ports_.media.write_picture(std::move(request)); });
}

void Loop::handle(ChunkIsOver& message) {
  if (canaries_.contains(message.worker)) {
    const bool good = message.outcome == "done" && canaries_.at(message.worker).has_picture;
    return end_canary(message.worker, good ? health::Canary::passed : canary_result_of(message.failure),
                      evidence_of(message.failure));
  }
  const auto chunk = chunks_.find(message.chunk);
  if (chunk == chunks_.end()) return;
  if (chunk->second.expected_seconds && message.outcome == "done") {
    run_error_.add(seconds_between(chunk->second.started_at, now_), *chunk->second.expected_seconds);
  }
  if (const auto worker = workers_.find(message.worker); worker != workers_.end()) {
    const auto& [gpu, model] = std::tie(worker->second.gpu, worker->second.model);
    if (message.outcome == "done") {
      observe(health::ChunkDone{gpu, chunk->second.job, model});
    } else {
      observe(health::ChunkDropped{gpu});  // the worker lives and has answered: no fault of the gpu
    }
  }
  observe(sharing::ChunkEnded{message.worker});
  chunks_.erase(chunk);
  auto outcome = scheduler::ChunkOutcome::done;
  if (message.outcome == "cancelled") outcome = scheduler::ChunkOutcome::cancelled;
  if (message.outcome == "failed") outcome = scheduler::ChunkOutcome::failed;
  trace_.run_ended(message.chunk, message.outcome, now_);
  const bool failed = outcome == scheduler::ChunkOutcome::failed;
  change(FinishChunk{message.chunk, message.outcome, failed ? std::optional(message.failure) : std::nullopt, now_});
  step(scheduler::ChunkEnded{message.chunk, outcome, std::move(message.failure)});
}

void Loop::handle(ModelIsStaged& message) {
  staged_files_.arrived(message);
  trace_.staging_ended(message.model, "staged", now_);
  step(scheduler::ModelStaged{message.model});
  tell_policy();
}

void Loop::handle(ModelIsUnstaged& message) {
  staged_files_.left(message.model);
  trace_.staging_ended(message.model, "not staged", now_);
  step(scheduler::ModelUnstaged{message.model});
}

void Loop::handle(PictureWritten& message) {
  after_commit([this, worker = message.worker, attempt = message.attempt, index = message.index] {
    ports_.workers.image_taken(worker, attempt, index);
  });
  OpenJob* open = ledger_.find(message.job);
  if (open == nullptr) return;
  --open->pictures_in_flight;
  if (auto row = ledger_.publish(*open, message.index, message.attempt, message.bytes, message.effective, now_)) {
    change(std::move(*row));
    const Image& image = open->images[static_cast<std::size_t>(message.index)];
    tell(feed_.durable("image.published", now_, {{"image", to_json(image)}, {"job_id", message.job.value}}));
    step(scheduler::ImagePublished{message.job, message.index});
  }
  forget_if_over(message.job);
}

void Loop::handle(PictureFailed& message) {
  after_commit([this, worker = message.worker, attempt = message.attempt, index = message.index] {
    ports_.workers.image_taken(worker, attempt, index);
  });
  log::error("control", "picture {} of job {}: {}", message.index, message.job.value, message.error.message);
  OpenJob* open = ledger_.find(message.job);
  if (open == nullptr) return;
  --open->pictures_in_flight;
  if (++write_failures_[{message.job, message.index}] < kMaxWriteFailures) {
    step(scheduler::ImageRejected{message.job, message.index});
  } else {
    step(scheduler::JobUnpublishable{message.job, {"not_writable", message.error.message, {}}});
  }
  forget_if_over(message.job);
}

void Loop::handle(PreviewEncoded& message) {
  if (ledger_.find(message.job) == nullptr) return;
  tell_lossy("image.preview", {{"job_id", message.job.value},
                               {"image_index", message.index},
                               {"step", message.step},
                               {"steps", message.steps},
                               {"media_type", "image/jpeg"},
                               {"base64", message.base64_jpeg}});
}

void Loop::handle(ForecastMade& message) {
  forecasting_.take(std::move(message.outlooks));
  if (feed_.has_subscribers()) tell_outlooks();
}

// Of those that start soonest: a page shows no more, and the snapshot has all.
void Loop::tell_outlooks() {
  constexpr std::size_t kMostTold = 200;
  const Outlooks& outlooks = *forecasting_.outlooks();
  Json jobs = Json::array();
  for (const JobId id : outlooks.soonest_first) {
    if (jobs.size() == kMostTold) break;
    Json job = {{"id", id.value}};
    put_outlook(job, outlooks.jobs.at(id));
    jobs.push_back(std::move(job));
  }
  tell_lossy("queue.forecast", {{"jobs", std::move(jobs)}});
}

void Loop::handle(CatalogChanged& message) {
  forget_replaced_models(*message.catalog);
  scanned_catalog_ = message.catalog;
  use_catalog(with_disabled_models(message.catalog));
}

void Loop::use_catalog(CatalogPtr next) {
  const CatalogPtr before = catalog();
  const auto usable = [](const Model* model) { return model != nullptr && model->state == ModelState::installed; };
  // With the old catalogue in place: what the scheduler orders after one model is forgotten may still name the next.
  for (const Model& model : before->models) {
    if (!usable(next->find_model(model.key))) step(scheduler::ModelForgotten{model.key});
  }
  {
    MutexLock lock(published_mutex_);
    catalog_ = next;
  }
  for (const Model& model : next->models) {
    if (usable(&model)) step(scheduler::ModelKnown{facts_of(model, options_.time_scale)});
  }
  if (before == next) return;
  Json models = Json::array();
  for (const Model& model : next->models) models.push_back(to_json(model));
  const Model* first = next->default_model();
  tell(feed_.durable("models.changed", now_,
                     {{"models", std::move(models)}, {"default_model", first ? Json(first->key) : Json(nullptr)}}));
}

}  // namespace pixelfleet::control
