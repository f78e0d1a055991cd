// Loop: from the scheduler's actions to row changes, and to what happens after their commit.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/json_full.h"
#include "control/loop.h"
#include "control/model_facts.h"
#include "domain/gpu_json.h"
#include "domain/job_json.h"

namespace pixelfleet::control {

void Loop::step(const scheduler::Event& event) {
  if (!std::holds_alternative<scheduler::ChunkProgress>(event)) forecasting_.something_happened();
  const bool outermost = !std::exchange(stepping_, true);
  for (const scheduler::Action& action : scheduler_.step(event, now_)) {
    std::visit([this](const auto& a) { queue(a); }, action);
  }
  trace_.add(scheduler_.take_decisions());
  if (!outermost) return;
  stepping_ = false;
  carry_out_observations();
}

void Loop::queue(const scheduler::StartWorker& action) {
  const CatalogPtr catalog = this->catalog();
  const Model* model = catalog->find_model(action.model);
  const auto gpu = std::find_if(gpus_.begin(), gpus_.end(), [&](const Gpu& g) { return g.uuid == action.gpu; });
  CHECK(model != nullptr && gpu != gpus_.end());
  workers_[action.worker] = {action.gpu,
                             action.model,
                             WorkerFacts::Phase::loading,
                             model->engine,
                             {},
                             now_,
                             scheduler_.expected_seconds(action.worker)};
  trace_.load_began(action.worker, action.gpu, action.model, now_);
  tell_worker_to_sharing(action.worker, action.gpu, facts_of(*model, options_.time_scale));
  after_commit([this, spec = WorkerSpec{action.worker, *gpu, *model}] { ports_.workers.start(spec); });
}

void Loop::queue(const scheduler::StopWorker& action) {
  workers_.erase(action.worker);
  trace_.load_ended(action.worker, "stopped", now_);
  after_commit([this, worker = action.worker] { ports_.workers.stop(worker); });
}

void Loop::queue(const scheduler::StartChunk& action) {
  OpenJob* open = ledger_.find(action.job);
  CHECK(open != nullptr);
  RunningChunk& chunk = chunks_[action.chunk];
  chunk.job = action.job;
  chunk.worker = action.worker;
  chunk.started_at = now_;
  chunk.expected_seconds = scheduler_.expected_seconds(action.worker);
  ChunkRequest request{action.chunk, action.worker, action.job, open->job.settings, {}};
  for (const int index : action.indices) {
    const auto at = static_cast<std::size_t>(index);
    open->attempts[at] = action.chunk;
    request.items.push_back({index, open->images[at].seed});
  }
  forecasting_.job_started(action.job, now_);
  tell_sharing(sharing::ChunkStarted{action.worker, action.job});
  tell_health(health::ChunkStarted{action.gpu, action.job, open->job.settings.model});
  trace_.run_began(action.chunk, action.gpu, open->job.settings.model, action.job, action.indices.size(), now_);
  change(InsertChunk{action.chunk, action.job, action.indices, action.worker, action.gpu, now_});
  after_commit([this, request = std::move(request)] { ports_.workers.run(request); });
}

void Loop::queue(const scheduler::CancelChunk& action) {
  after_commit([this, action] { ports_.workers.cancel(action.worker, action.chunk); });
}

void Loop::queue(const scheduler::AbandonChunk& action) {
  const auto chunk = chunks_.find(action.chunk);
  if (chunk != chunks_.end()) {
    tell_sharing(sharing::ChunkEnded{chunk->second.worker});
    const auto worker = workers_.find(chunk->second.worker);
    if (worker != workers_.end()) tell_health(health::ChunkDropped{worker->second.gpu});
    chunks_.erase(chunk);
  }
  trace_.run_ended(action.chunk, "lost", now_);
  change(FinishChunk{action.chunk, "lost", action.failure, now_});
}

void Loop::queue(const scheduler::SetJobState& action) {
  OpenJob* open = ledger_.find(action.job);
  CHECK(open != nullptr);
  change(ledger_.set_state(*open, action.state, action.held, action.error, action.worker_deaths, now_));
  if (action.state != JobState::running) progress_.erase(action.job);
  if (open->job.ended()) tell_health(health::JobForgotten{action.job});
  tell_job("job.updated", open->job);
  forget_if_over(action.job);
}

void Loop::queue(const scheduler::SetJobOrder& action) {
  OpenJob* open = ledger_.find(action.job);
  CHECK(open != nullptr);
  change(ledger_.set_order(*open, action.priority, action.rank, action.pin));
  tell_job("job.updated", open->job);
}

void Loop::queue(const scheduler::StageModel& action) {
  staged_files_.begin(action.model);
  trace_.staging_began(action.model, now_);
  after_commit([this, files = staged_files_.files_of(*catalog(), action.model)] { ports_.host_memory.stage(files); });
}

void Loop::queue(const scheduler::UnstageModel& action) {
  after_commit([this, files = staged_files_.files_of(*catalog(), action.model)] { ports_.host_memory.unstage(files); });
  staged_files_.let_go(action.model);
}

void Loop::queue(const scheduler::RememberCost& action) { change(PutCost{learned_from(action.record), now_}); }

void Loop::queue(const scheduler::WakeAt& action) { wake_at_ = action.at; }

void Loop::forget_if_over(JobId id) {
  OpenJob* open = ledger_.find(id);
  if (open == nullptr || !open->job.ended() || open->pictures_in_flight > 0) return;
  after_commit([this, job = open->job, images = open->images, catalog = this->catalog()] {
    ports_.media.log_job(job, images, catalog->find_model(job.settings.model));
  });
  forget_write_failures(id);
  ledger_.remove(id);
}

void Loop::forget_write_failures(JobId id) {
  std::erase_if(write_failures_, [id](const auto& entry) { return entry.first.first == id; });
}

void Loop::tell(EventPtr event) {
  if (event->durable()) change(AppendEvent{event});
  pending_events_.push_back(std::move(event));
}

void Loop::tell_job(const char* type, const Job& job) { tell(feed_.durable(type, now_, {{"job", to_json(job)}})); }

void Loop::tell_lossy(const char* type, const Json& data) { tell(feed_.lossy(type, now_, data)); }

void Loop::tell_gpus() {
  Json gpus = Json::array();
  for (const GpuStatus& status : gpu_statuses()) gpus.push_back(to_json(status));
  Json alarms = Json::array();
  for (const auto& [fault, alarm] : alarms_) alarms.push_back(to_json(alarm));
  tell(feed_.durable("gpu.changed", now_,
                     {{"gpus", std::move(gpus)}, {"telemetry", to_json(telemetry_)}, {"alarms", std::move(alarms)}}));
}

}  // namespace pixelfleet::control
