#include "control/loop.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "control/model_facts.h"
#include "domain/gpu_json.h"
#include "domain/job_json.h"

namespace pixelfleet::control {
namespace {

// How soon a commit that found the disk full is tried again.
constexpr auto kFullDiskRetry = std::chrono::seconds(1);

// Of gpu memory: a CUDA context, which every worker on an NVIDIA gpu has for itself.
constexpr std::int64_t kCudaContextBytes = 400'000'000;

scheduler::Algorithm algorithm_of(PolicyChoice policy) {
  switch (policy) {
    case PolicyChoice::amp: return scheduler::Algorithm::amp;
    case PolicyChoice::v18: return scheduler::Algorithm::v18;
    case PolicyChoice::fifo: return scheduler::Algorithm::fifo;
  }
  return scheduler::Algorithm::amp;
}

std::optional<Duration> limit_of(std::int64_t seconds) {
  return seconds > 0 ? std::optional<Duration>(std::chrono::seconds(seconds)) : std::nullopt;
}

Result<LiveSettings> with_durable(const LiveSettings& settings, const std::map<std::string, std::string>& durable) {
  Json changes = Json::object();
  for (const auto& [key, text] : durable) {
    auto value = parse_json(text);
    if (!value) return fail(ErrorCode::corrupt, format("stored setting {}: {}", key, value.error().message));
    changes[key] = std::move(*value);
  }
  return merge_settings(settings, changes);
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::open(Clock& clock, Mailbox& mailbox, Ports ports, CatalogPtr catalog,
                                         const LiveSettings& configured, LoopOptions options) {
  auto restored = ports.store.restore();
  if (!restored) return fail(restored.error());
  auto settings = with_durable(configured, restored->settings);
  if (!settings) return fail(settings.error());
  if (auto readable = sharing_settings(*settings, options.sharing); !readable) return fail(readable.error());
  return std::unique_ptr<Loop>(new Loop(clock, mailbox, ports, std::move(catalog), std::move(*settings),
                                        std::move(*restored), std::move(options)));
}

Loop::Loop(Clock& clock, Mailbox& mailbox, Ports ports, CatalogPtr catalog, LiveSettings settings, Restored restored,
           LoopOptions options)
    : clock_(clock),
      mailbox_(mailbox),
      ports_(ports),
      options_(std::move(options)),
      scheduler_({ChunkId{restored.last_chunk.value + 1}, WorkerId{restored.last_worker.value + 1}}),
      acceptance_(ports.store, options_.output_directory,
                  {RunId{restored.last_run.value + 1}, JobId{restored.last_job.value + 1},
                   ImageId{restored.last_image.value + 1}},
                  random_seed()),
      ledger_(restored.counts),
      feed_(restored.last_seq),
      now_(clock.now()),
      last_upload_(restored.last_upload),
      last_job_(restored.last_job),
      pauses_(std::move(restored.pauses)),
      forecasting_(ports.forecaster),
      settings_(std::move(settings)),
      catalog_(catalog) {
  for (JobRows& open : restored.open_jobs) {
    waiting_jobs_.push_back(open.job.id);
    ledger_.restore(std::move(open.job), std::move(open.images));
  }
  restore_health(restored);
  start_sharing();
  scheduler_.record_decisions();
  told_policy_ = policy();
  step(scheduler::PolicyChanged{told_policy_});
  for (const LearnedCost& cost : restored.costs) {
    if (const auto record = record_of(cost)) step(scheduler::CostRemembered{*record});
  }
  if (pauses_.all) step(scheduler::QueuePaused{});
  for (const std::string& owner : pauses_.owners) step(scheduler::QueuePaused{owner});
  CatalogChanged first{std::move(catalog)};
  handle(first);
  live_ = std::make_shared<LiveState>();
  commit_pending();
}

Loop::~Loop() { stop(); }

void Loop::start() {
  thread_ = std::thread([this] { run(); });
}

void Loop::stop() {
  if (!thread_.joinable()) return;
  mailbox_.post(ShutDown{});
  thread_.join();
}

void Loop::run() {
  while (!shutting_down_) turn(mailbox_.drain(next_deadline()));
}

std::optional<std::chrono::steady_clock::time_point> Loop::next_deadline() {
  const auto steady = std::chrono::steady_clock::now();
  if (store_error_) return steady + kFullDiskRetry;
  std::optional<Instant> next = wake_at_;
  for (const auto& also : {health_wake_at_, sharing_wake_at_}) {
    if (also && (!next || *also < *next)) next = also;
  }
  if (const auto due = forecasting_.due(); due && (!next || *due < *next)) next = due;
  if (!next) return std::nullopt;
  return steady + std::max(*next - clock_.now(), Duration::zero());
}

void Loop::turn(std::vector<Message> messages) {
  now_ = std::max(now_, clock_.now());
  accept_submissions(messages);
  for (Message& message : messages) {
    std::visit([this](auto& m) { handle(m); }, message);
  }
  if (wake_at_ && *wake_at_ <= now_) {
    wake_at_.reset();
    step(scheduler::TimerFired{});
  }
  pass_health_time();
  pass_sharing_time();
  if (!gpus_known_ && gpus_listed_ && all_gpus_seen()) {
    gpus_known_ = true;
    feed_waiting_jobs();
  }
  if (std::exchange(gpus_changed_, false)) tell_gpus();
  if (!commit_pending()) return;
  const JobCounts& counts = ledger_.counts();
  forecasting_.set_waiting_jobs(static_cast<std::size_t>(counts.queued + counts.held));
  forecasting_.look_if_due(scheduler_, now_);
}

bool Loop::commit_pending() {
  // An effect may queue nothing new: what workers and media answer comes back through the mailbox.
  if (!pending_changes_.empty()) {
    const auto committed = ports_.store.commit(pending_changes_);
    if (!committed && committed.error().code == ErrorCode::disk_full) {
      if (!store_error_) log::error("control", "the queue waits: {}", committed.error().message);
      store_error_ = committed.error();
      return false;
    }
    if (!committed) {
      log::error("control", "the store failed, ending: {}", committed.error().message);
      shutting_down_ = true;
      if (options_.on_fatal) options_.on_fatal(committed.error());
      return false;
    }
    if (store_error_) log::info("control", "the queue goes on: there is space again");
    store_error_.reset();
    pending_changes_.clear();
  }
  // First: whoever has an answer or an event must find in the live state what it tells of.
  const LiveStatePtr before = publish_live();
  for (const auto& effect : std::exchange(pending_effects_, {})) effect();
  for (const EventPtr& event : std::exchange(pending_events_, {})) feed_.publish(event);
  tell_changes_since(*before);
  return true;
}

// Returns the one before.
LiveStatePtr Loop::publish_live() {
  auto live = std::make_shared<LiveState>();
  live->seq = feed_.last_seq();
  live->gpus = gpu_statuses();
  live->telemetry = telemetry_;
  for (const auto& [fault, alarm] : alarms_) live->alarms.push_back(alarm);
  live->counts = ledger_.counts();
  live->pauses = pauses_;
  live->host_memory = staged_files_.view(host_memory_limit());
  live->prediction_error = {load_error_.mean(), run_error_.mean()};
  live->progress = progress_;
  live->outlooks = forecasting_.outlooks();
  MutexLock lock(published_mutex_);
  return std::exchange(live_, std::move(live));
}

void Loop::tell_changes_since(const LiveState& before) {
  if (!feed_.has_subscribers()) return;
  const LiveStatePtr live = this->live();
  if (before.counts != live->counts) {
    feed_.publish(feed_.lossy("counts", now_, {{"counts", to_json(live->counts)}}));
  }
  if (before.gpus != live->gpus || before.telemetry != live->telemetry || before.host_memory != live->host_memory) {
    Json gpus = Json::array();
    for (const GpuStatus& status : live->gpus) gpus.push_back(to_json(status));
    feed_.publish(feed_.lossy("gpu.sample", now_,
                              {{"gpus", std::move(gpus)},
                               {"telemetry", to_json(live->telemetry)},
                               {"host_memory", to_json(live->host_memory)}}));
  }
}

std::vector<GpuStatus> Loop::gpu_statuses() const {
  std::map<GpuUuid, scheduler::Scheduler::GpuView> views;
  for (auto& view : scheduler_.gpus()) views.emplace(view.uuid, std::move(view));
  std::map<GpuUuid, sharing::Verdict> verdicts;
  for (auto& verdict : sharing_.gpus()) verdicts.emplace(verdict.gpu, std::move(verdict));
  std::map<GpuUuid, sharing::MemoryPlan> plans;
  for (auto& plan : memory_ledger_.gpus()) plans.emplace(plan.gpu, std::move(plan));
  std::vector<Gpu> gpus = gpus_;
  for (const auto& [uuid, gpu] : lost_gpus_) gpus.push_back(gpu);
  std::stable_sort(gpus.begin(), gpus.end(), [](const Gpu& a, const Gpu& b) { return a.index < b.index; });
  std::vector<GpuStatus> statuses;
  for (const Gpu& gpu : gpus) {
    GpuStatus status;
    status.gpu = gpu;
    status.state = GpuState::offline;
    if (const auto sample = samples_.find(gpu.uuid); sample != samples_.end()) status.sample = sample->second;
    status.sample.uuid = gpu.uuid;
    if (const auto known = gpu_health_.find(gpu.uuid); known != gpu_health_.end()) status.health = known->second;
    if (const auto verdict = verdicts.find(gpu.uuid); verdict != verdicts.end()) {
      status.sharing = shown(verdict->second);
    }
    if (const auto plan = plans.find(gpu.uuid); plan != plans.end()) status.memory = shown(plan->second);
    if (const auto view = views.find(gpu.uuid); view != views.end()) {
      status.state = view->second.state;
      status.resident_models = view->second.resident_models;
      status.loading_model = view->second.loading_model;
      status.job = view->second.job;
      // A virtual gpu holds exactly what the ledger of the scheduler says: there is no device to ask.
      if (gpu.kind == GpuKind::virtual_gpu) {
        status.sample.memory_used_bytes = view->second.reserved_bytes;
        status.sample.memory_free_bytes = gpu.memory_total_bytes - view->second.reserved_bytes;
        status.sample.utilization_ratio = status.state == GpuState::busy ? 1.0 : 0.0;
      }
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

scheduler::Policy Loop::policy() const {
  const LiveSettings settings = this->settings();
  scheduler::Policy policy;
  policy.multi_gpu = settings.multi_gpu_enabled;
  policy.max_gpus = settings.multi_gpu_max_gpus;
  policy.gpus = settings.multi_gpu_list;
  policy.single_gpu = settings.multi_gpu_single;
  policy.resident_limit = options_.resident_limit.value_or(settings.multi_gpu_enabled ? -1 : 2);
  policy.algorithm = algorithm_of(settings.policy);
  policy.objective =
      settings.objective == ObjectiveChoice::latency ? scheduler::Objective::latency : scheduler::Objective::throughput;
  // Each model has a process of its own, so that every engine can.
  policy.load_beside_run =
      settings.load_beside_run == LoadBeside::off ? scheduler::LoadBesideRun::no : scheduler::LoadBesideRun::yes;
  const bool cuda = std::any_of(gpus_.begin(), gpus_.end(), [](const Gpu& gpu) { return gpu.kind == GpuKind::nvidia; });
  policy.worker_overhead_bytes = settings.worker_overhead_bytes.value_or(cuda ? kCudaContextBytes : 0);
  policy.host_memory_bytes = host_memory_limit();
  policy.disk_bytes_per_second = staged_files_.disk_bytes_per_second().value_or(policy.disk_bytes_per_second);
  policy.pinned_models = settings.pinned_models;
  policy.unload_idle_after = limit_of(settings.idle_gpu_seconds);
  policy.drop_idle_after = limit_of(settings.idle_host_seconds);
  return policy;
}

void Loop::warn_of_gpus_not_here() const {
  if (!gpus_listed_) return;
  for (const std::string& listed : settings().multi_gpu_list) {
    const bool here = std::any_of(gpus_.begin(), gpus_.end(), [&](const Gpu& gpu) { return is_called(gpu, listed); });
    if (here) continue;
    std::vector<std::string> known;
    for (const Gpu& gpu : gpus_) known.push_back(format("{} ({})", gpu.uuid, gpu.index));
    log::warn("control", "multi_gpu.gpus names {}, which is not here; here are {}", utf8_prefix(listed, 80),
              known.empty() ? "none" : format("{}", join(known, ", ")));
  }
}

void Loop::tell_policy() {
  scheduler::Policy now = policy();
  if (now == told_policy_) return;
  told_policy_ = std::move(now);
  step(scheduler::PolicyChanged{told_policy_});
}

std::int64_t Loop::host_memory_limit() const {
  return settings().host_memory_limit_bytes.value_or(options_.host_memory_bytes);
}

// --- the Service, from any thread -----------------------------------------------------------------------------

template <class T>
void Loop::request(Message message, const Reply<T>& reply) {
  if (mailbox_.request(std::move(message))) return;
  reply(fail(ErrorCode::resource_exhausted, "too many requests wait already; try again in a moment"));
}

void Loop::submit(std::vector<JobSpec> specs, Reply<SubmitReceipt> reply) {
  request(SubmitJobs{std::move(specs), reply}, reply);
}

void Loop::cancel(JobId job, Reply<Job> reply) { request(CancelJob{job, reply}, reply); }

void Loop::cancel_many(CancelSelection selection, Reply<CancelReceipt> reply) {
  request(CancelJobs{std::move(selection), reply}, reply);
}

void Loop::order(JobId job, JobOrder order, Reply<Job> reply) {
  request(OrderJob{job, std::move(order), reply}, reply);
}

void Loop::pause_queue(PauseQueue::Wish wish, std::optional<std::string> owner, Reply<Pauses> reply) {
  request(PauseQueue{wish, std::move(owner), reply}, reply);
}

void Loop::order_gpu(GpuUuid gpu, OrderGpu::Wish wish, Reply<GpuStatus> reply) {
  request(OrderGpu{std::move(gpu), wish, reply}, reply);
}

void Loop::override_gpu(GpuUuid gpu, std::chrono::minutes minutes, Reply<GpuStatus> reply) {
  request(OverrideGpu{std::move(gpu), minutes, reply}, reply);
}

void Loop::enable_model(ModelKey model, Reply<Model> reply) { request(EnableModel{std::move(model), reply}, reply); }

void Loop::change_settings(std::string changes_json, Reply<LiveSettings> reply) {
  request(ChangeSettings{std::move(changes_json), reply}, reply);
}

void Loop::add_upload(Upload upload, Reply<Upload> reply) { request(AddUpload{std::move(upload), reply}, reply); }

LiveStatePtr Loop::live() const {
  MutexLock lock(published_mutex_);
  return live_;
}

LiveSettings Loop::settings() const {
  MutexLock lock(published_mutex_);
  return settings_;
}

CatalogPtr Loop::catalog() const {
  MutexLock lock(published_mutex_);
  return catalog_;
}

std::string Loop::trace() const { return trace_.to_chrome_trace(clock_.now()); }

std::unique_ptr<Subscription> Loop::subscribe(std::function<void(const EventPtr&)> on_event) {
  return feed_.subscribe(std::move(on_event));
}

}  // namespace pixelfleet::control
