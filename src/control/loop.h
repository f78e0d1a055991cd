// Loop: the control thread. Drains the mailbox, steps the scheduler, commits, acts, tells.
//
// Each turn: new submissions are made durable first (their clients wait for it); then every message becomes scheduler
// events; the resulting row changes go to the store in one transaction; only then are workers and media told what to
// do, and only then do subscribers hear of it. While the disk is full a turn's changes wait and nothing is acted upon.
//
// Threading: everything private belongs to the control thread, except what is marked otherwise.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/mutex.h"
#include "control/acceptance.h"
#include "control/deviation.h"
#include "control/feed.h"
#include "control/forecasting.h"
#include "control/gpu_terms.h"
#include "control/ledger.h"
#include "control/mailbox.h"
#include "control/service.h"
#include "control/sharing_words.h"
#include "control/staged_files.h"
#include "control/trace_log.h"
#include "health/health.h"
#include "scheduler/scheduler.h"
#include "sharing/memory_ledger.h"
#include "sharing/sharing.h"

namespace pixelfleet::control {

struct Ports {
  StorePort& store;
  WorkerPort& workers;
  MediaPort& media;
  HostMemoryPort& host_memory;
  Forecaster* forecaster = nullptr;  // without one nobody hears why jobs wait
};

struct LoopOptions {
  std::filesystem::path output_directory;
  std::optional<int> resident_limit;   // PIPE_CACHE_MAX; absent: 2 with multi-GPU off, no limit with it on
  std::int64_t host_memory_bytes = 0;  // the limit of staged files where the setting says auto
  double time_scale = 1.0;             // what the times of demo models are divided by
  std::set<std::string> locked;        // settings that no request may change
  SharingLimits sharing;
  std::string boot_id;                  // of the machine: another one than before means it was restarted
  std::function<void(Error)> on_fatal;  // the store broke: called once, on the control thread, which then ends
};

class Loop final : public Service {
 public:
  // Restores the queue from the store. `configured` comes from defaults, file, environment and flags; what somebody
  // set in the page or the API is durable and wins, key by key.
  static Result<std::unique_ptr<Loop>> open(Clock& clock, Mailbox& mailbox, Ports ports, CatalogPtr catalog,
                                            const LiveSettings& configured, LoopOptions options);
  ~Loop() override;

  void start();  // the control thread begins
  void stop();   // finishes the current turn and joins; workers are the caller's to end

  void submit(std::vector<JobSpec> specs, Reply<SubmitReceipt> reply) override;
  void cancel(JobId job, Reply<Job> reply) override;
  void cancel_many(CancelSelection selection, Reply<CancelReceipt> reply) override;
  void order(JobId job, JobOrder order, Reply<Job> reply) override;
  void pause_queue(PauseQueue::Wish wish, std::optional<std::string> owner, Reply<Pauses> reply) override;
  void order_gpu(GpuUuid gpu, OrderGpu::Wish wish, Reply<GpuStatus> reply) override;
  void override_gpu(GpuUuid gpu, std::chrono::minutes minutes, Reply<GpuStatus> reply) override;
  void enable_model(ModelKey model, Reply<Model> reply) override;
  void change_settings(std::string changes_json, Reply<LiveSettings> reply) override;
  void add_upload(Upload upload, Reply<Upload> reply) override;
  LiveStatePtr live() const override;
  LiveSettings settings() const override;
  CatalogPtr catalog() const override;
  std::string trace() const override;
  std::unique_ptr<Subscription> subscribe(std::function<void(const EventPtr&)> on_event) override;

  // One turn by hand, for tests that own the time: handles `messages` as if they had just been drained.
  void turn(std::vector<Message> messages);

 private:
  // What a worker that was started is, for the metadata of its images.
  struct WorkerFacts {
    GpuUuid gpu;
    ModelKey model;
    enum class Phase { loading, ready } phase = Phase::loading;
    std::string engine;
    std::string engine_version;
    Instant started_at;
    std::optional<double> expected_seconds;  // until it is ready
  };
  struct RunningChunk {
    JobId job;
    WorkerId worker;
    Instant started_at;
    std::optional<double> expected_seconds;
    double image_ratio = 0.0;  // of the picture at hand
    Phase phase = Phase::load;
    std::optional<Instant> told_at;     // its progress, to subscribers
    std::optional<Instant> stepped_at;  // likewise, to the scheduler
  };

  Loop(Clock& clock, Mailbox& mailbox, Ports ports, CatalogPtr catalog, LiveSettings settings, Restored restored,
       LoopOptions options);

  template <class T>
  void request(Message message, const Reply<T>& reply);
  void run();
  std::optional<std::chrono::steady_clock::time_point> next_deadline();
  void feed_waiting_jobs();
  void accept_submissions(std::vector<Message>& messages);
  bool commit_pending();
  LiveStatePtr publish_live();
  void tell_changes_since(const LiveState& before);

  void handle(SubmitJobs& message);
  void handle(CancelJob& message);
  void handle(CancelJobs& message);
  void handle(OrderJob& message);
  void handle(PauseQueue& message);
  void handle(OrderGpu& message);
  void handle(OverrideGpu& message);
  void handle(EnableModel& message);
  void handle(ChangeSettings& message);
  void handle(AddUpload& message);
  void handle(ShutDown& message);
  void handle(WorkerIsSpawned& message);
  void handle(WorkerHasEnded& message);
  void handle(WorkerIsReady& message);
  void handle(WorkerIsGone& message);
  void handle(WorkerLoading& message);
  void handle(ChunkProgressed& message);
  void handle(PreviewArrived& message);
  void handle(ImageArrived& message);
  void handle(ChunkIsOver& message);
  void handle(ModelIsStaged& message);
  void handle(ModelIsUnstaged& message);
  void handle(PictureWritten& message);
  void handle(PictureFailed& message);
  void handle(PreviewEncoded& message);
  void handle(GpusSeen& message);
  void handle(GpuSamples& message);
  void handle(TelemetryChanged& message);
  void handle(GpuReaped& message);
  void handle(CatalogChanged& message);
  void handle(ForecastMade& message);

  // loop_orders.cc: what people want of jobs that are there.
  Result<> know_gpus() const;
  Result<OpenJob*> find_open(JobId id);
  Result<OpenJob*> find_waiting(JobId id, std::string_view to_be);
  Result<std::vector<JobId>> selected(const CancelSelection& selection) const;
  Job cancel_open(OpenJob& open);
  Result<> apply(JobId id, const HoldJob& order);
  Result<> apply(JobId id, const ReleaseJob& order);
  Result<> apply(JobId id, const MoveJob& order);
  Result<> apply(JobId id, const ChangeJob& order);
  Result<> apply(JobId id, const RetryJob& order);
  Result<> check_pin(const GpuUuid& gpu) const;
  Result<OpenJob*> load_ended(JobId id);

  void tell_outlooks();

  // loop_gpus.cc: what is heard of the gpus, and what the operator wants of them.
  const Gpu* find_gpu(const GpuUuid& uuid) const;
  Result<GpuUuid> find_gpu_called(const std::string& text) const;  // also one that is lost
  GpuStatus status_of(const GpuUuid& gpu) const;
  void note_throttling(const GpuSample& sample);

  // loop_health.cc: what health makes of the gpus, carried out when the scheduler's orders of this step are.
  void restore_health(const Restored& restored);
  void tell_health(health::Event event);
  void pass_health_time();
  void carry_out(const health::StateChanged& action);
  void carry_out(const health::StopWork& action);
  void carry_out(const health::GiveWork& action);
  void carry_out(const health::RunCanary& action);
  void carry_out(const health::BlameJob& action);
  void carry_out(const health::DisableModel& action);
  void carry_out(const health::RaiseAlarm& action);
  void carry_out(const health::ClearAlarm& action);
  void carry_out(const health::RefuseOrder& action);
  void carry_out(const health::WakeAt& action);
  // Told with the scheduler's next step, when what it concerns is in order; tell_ does it at once where that may be.
  void observe(std::variant<health::Event, sharing::Event> event) { observations_.push_back(std::move(event)); }
  void carry_out_observations();
  void set_terms(GpuTerms::Voice voice, const GpuUuid& gpu, GpuTerms::Verdict verdict);
  CatalogPtr with_disabled_models(const CatalogPtr& catalog) const;
  void forget_replaced_models(const Catalog& catalog);

  // loop_sharing.cc: what others do on the gpus, and whose memory is whose. Waits for orders as health does.
  void start_sharing();
  void tell_sharing(sharing::Event event);
  void pass_sharing_time();
  void tell_local_time();
  void tell_worker_to_sharing(WorkerId worker, const GpuUuid& gpu, const scheduler::ModelFacts& model);
  void carry_out(const sharing::Close& action);
  void carry_out(const sharing::Open& action);
  void carry_out(const sharing::WakeAt& action);
  void carry_out(const sharing::PlanChanged& action);
  void carry_out(const sharing::DiscrepancyFound& action);
  void carry_out(const sharing::DiscrepancyEnded& action);
  bool all_gpus_seen() const;

  // loop_canary.cc: one small picture on a gpu that is to be trusted again, by a worker that no scheduler knows.
  void begin_canary(const Gpu& gpu);
  void run_canary(WorkerId worker);
  void judge_canary(const ImageArrived& image);
  void end_canary(WorkerId worker, health::Canary result, std::vector<std::string> evidence);
  void put_off_canary_of(const GpuUuid& gpu);
  void stop_canary_of(const GpuUuid& gpu);

  // Steps the scheduler and queues what its actions change and do.
  void step(const scheduler::Event& event);
  void queue(const scheduler::StartWorker& action);
  void queue(const scheduler::StopWorker& action);
  void queue(const scheduler::StartChunk& action);
  void queue(const scheduler::CancelChunk& action);
  void queue(const scheduler::AbandonChunk& action);
  void queue(const scheduler::SetJobState& action);
  void queue(const scheduler::SetJobOrder& action);
  void queue(const scheduler::StageModel& action);
  void queue(const scheduler::UnstageModel& action);
  void queue(const scheduler::RememberCost& action);
  void queue(const scheduler::WakeAt& action);

  void change(Change row) { pending_changes_.push_back(std::move(row)); }
  void after_commit(std::function<void()> effect) { pending_effects_.push_back(std::move(effect)); }
  void tell(EventPtr event);
  void tell_job(const char* type, const Job& job);
  void tell_lossy(const char* type, const Json& data);
  void tell_gpus();
  void set_progress(OpenJob& open, RunningChunk& chunk, JobProgress progress);
  double ratio_of(const OpenJob& open) const;
  void use_catalog(CatalogPtr next);
  void check_staged(const ModelKey& key);
  std::int64_t host_memory_limit() const;
  void forget_if_over(JobId id);
  void forget_write_failures(JobId id);
  static scheduler::JobFacts facts_of_job(const OpenJob& open);
  std::vector<GpuStatus> gpu_statuses() const;
  scheduler::Policy policy() const;
  void warn_of_gpus_not_here() const;
  void tell_policy();  // to the scheduler, if it has changed

  Clock& clock_;
  Mailbox& mailbox_;
  const Ports ports_;
  const LoopOptions options_;

  scheduler::Scheduler scheduler_;
  Acceptance acceptance_;
  Ledger ledger_;
  Feed feed_;
  Instant now_;
  std::optional<Instant> wake_at_;
  UploadId last_upload_;
  JobId last_job_;
  Pauses pauses_;
  bool shutting_down_ = false;

  std::map<WorkerId, WorkerFacts> workers_;
  std::map<ChunkId, RunningChunk> chunks_;
  std::map<std::pair<JobId, int>, int> write_failures_;
  // Jobs the scheduler has not been told of: until the gpus are known each of them would only be held(no_gpu).
  std::vector<JobId> waiting_jobs_;
  CatalogPtr scanned_catalog_;  // as it is; the published one has models marked that no gpu could load
  bool gpus_listed_ = false;
  bool gpus_known_ = false;  // listed, and what others do there, too
  std::vector<Gpu> gpus_;
  std::map<GpuUuid, Gpu> lost_gpus_;  // were there since the start, and are not now; shown as offline
  std::map<GpuUuid, GpuSample> samples_;
  Telemetry telemetry_;
  health::Health health_;
  GpuTerms terms_;
  std::map<GpuUuid, GpuHealth> gpu_health_;  // as shown
  std::map<health::FaultClass, Alarm> alarms_;
  std::map<ModelKey, DisabledModel> disabled_models_;
  sharing::Sharing sharing_;
  sharing::MemoryLedger memory_ledger_;
  // That wait for the step under way to be carried out.
  std::deque<std::variant<health::Event, sharing::Event>> observations_;
  bool stepping_ = false;  // actions of the scheduler, or of health, are being carried out
  bool gpus_changed_ = false;
  std::optional<Instant> health_wake_at_;
  std::optional<Instant> sharing_wake_at_;
  std::optional<Duration> local_time_ahead_;
  Instant local_time_told_;
  std::optional<std::string> refusal_;  // of the order at hand
  struct Canary {
    GpuUuid gpu;
    Model model;
    enum class Phase { loading, running } phase = Phase::loading;
    bool has_picture = false;
  };
  std::map<WorkerId, Canary> canaries_;
  std::int64_t next_canary_ = 0;
  std::map<JobId, JobProgress> progress_;  // of a job in several chunks: what was heard last
  scheduler::Policy told_policy_;
  StagedFiles staged_files_;
  Deviation load_error_;
  Deviation run_error_;
  Forecasting forecasting_;
  TraceLog trace_;  // synchronises itself

  std::vector<Change> pending_changes_;
  std::vector<std::function<void()>> pending_effects_;
  std::vector<EventPtr> pending_events_;
  std::optional<Error> store_error_;  // the disk is full: changes wait, submissions are refused with it

  mutable Mutex published_mutex_;
  LiveStatePtr live_ GUARDED_BY(published_mutex_);
  LiveSettings settings_ GUARDED_BY(published_mutex_);
  CatalogPtr catalog_ GUARDED_BY(published_mutex_);

  std::thread thread_;
};

}  // namespace pixelfleet::control
