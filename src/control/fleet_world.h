// For tests: a machine of gpus as they really are, on which the real loop works in virtual time.
//
// The world keeps the truth (gpus, processes, memory, rows on disk) and tells the loop no more than its edges could
// see. It is a discrete-event simulation: one agenda, ties in the order of their entry, everything else from one seed.
// A test derives from it, breaks things and judges what the loop does.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/rng.h"
#include "control/testing.h"

namespace pixelfleet::control::testing {

inline Duration seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

inline constexpr std::int64_t kGiB = std::int64_t{1} << 30;
inline constexpr std::int64_t kFirstCanaryId = std::int64_t{1} << 52;
inline constexpr std::int64_t kContextBytes = 400'000'000;
inline bool is_canary(WorkerId worker) { return worker.value >= kFirstCanaryId; }

// What is on the disk, and the fence of each picture. Jobs that have ended leave; how they ended is told.
class WorldStore final : public StorePort {
 public:
  Result<Restored> restore() override {
    Restored restored = rest_;
    for (const auto& [id, rows] : open_) {
      restored.open_jobs.push_back(rows);
      ++(rows.job.state == JobState::held      ? restored.counts.held
         : rows.job.state == JobState::running ? restored.counts.running
                                               : restored.counts.queued);
    }
    for (const auto& [gpu, row] : gpu_states) restored.gpu_states.push_back(row);
    for (const auto& [key, cost] : costs_) restored.costs.push_back(cost);
    for (const auto& [key, model] : disabled) restored.disabled_models.push_back(model);
    return restored;
  }
  Result<> commit(std::span<const Change> changes) override {
    for (const Change& change : changes) {
      std::visit([this](const auto& row) { keep(row); }, change);
    }
    return {};
  }
  Result<JobRows> load_job(JobId id) override {
    const auto found = open_.find(id);
    if (found == open_.end()) return fail(ErrorCode::not_found, "it has ended");
    return found->second;
  }
  Result<Upload> load_upload(UploadId) override { return fail(ErrorCode::not_found, "no such upload"); }
  bool run_directory_taken(const std::string&) override { return false; }

  const std::map<JobId, JobRows>& open_jobs() const { return open_; }

  std::function<void(const Job&)> on_ended;
  std::function<void(const GpuStateRow&)> on_gpu_state;
  std::map<GpuUuid, GpuStateRow> gpu_states;
  std::map<ModelKey, DisabledModel> disabled;
  std::int64_t pictures = 0;
  std::int64_t twice = 0;   // published although it was already
  std::int64_t fenced = 0;  // of an attempt that no longer counted

 private:
  void keep(const InsertRun& row) { rest_.last_run = row.run.id; }
  void keep(const InsertJob& row) {
    open_[row.job.id] = {row.job, row.images};
    rest_.last_job = row.job.id;
    if (!row.images.empty()) rest_.last_image = row.images.back().id;
  }
  void keep(const UpdateJob& row) {
    const auto found = open_.find(row.id);
    if (found == open_.end()) return ADD_FAILURE() << "a row for job " << row.id.value << ", which is over", void();
    Job& job = found->second.job;
    job.state = row.state;
    job.held_reason = row.held_reason;
    job.error = row.error;
    job.worker_deaths = row.worker_deaths;
    job.cancel_requested = row.cancel_requested;
    end_if_over(found);
  }
  void keep(const UpdateJobOrder&) {}
  void keep(const InsertChunk& row) {
    rest_.last_chunk = std::max(rest_.last_chunk, row.id);
    rest_.last_worker = std::max(rest_.last_worker, row.worker_id);
    for (const int index : row.indices) attempts_[{row.job_id, index}] = row.id;
  }
  void keep(const FinishChunk&) {}
  void keep(const PublishImage& row) {
    const auto found = open_.find(row.job_id);
    if (found == open_.end() || attempts_[{row.job_id, row.index}] != row.attempt) return void(++fenced);
    Image& image = found->second.images.at(static_cast<std::size_t>(row.index));
    if (image.state == ImageState::published) return void(++twice);
    image.state = ImageState::published;
    ++found->second.job.published;
    ++pictures;
    end_if_over(found);
  }
  void keep(const PutSettings&) {}
  void keep(const PutPauses&) {}
  void keep(const PutCost& row) {
    costs_[row.cost.kind + "\n" + row.cost.subject + "\n" + row.cost.gpu_type] = row.cost;
  }
  void keep(const AppendGpuState& row) {
    gpu_states[row.row.gpu] = row.row;
    if (on_gpu_state) on_gpu_state(row.row);
  }
  void keep(const PutDisabledModel& row) { disabled[row.model.model] = row.model; }
  void keep(const DropDisabledModel& row) { disabled.erase(row.model); }
  void keep(const InsertUpload&) {}
  void keep(const AppendEvent& row) { rest_.last_seq = row.event->seq; }

  void end_if_over(std::map<JobId, JobRows>::iterator entry) {
    const Job& job = entry->second.job;
    if (!job.ended()) return;
    // In one commit the last picture's row may come after its job's.
    if (job.state == JobState::done && job.published < job.requested.count) return;
    if (job.state == JobState::done) ++rest_.counts.done;
    if (job.state == JobState::failed) ++rest_.counts.failed;
    if (job.state == JobState::cancelled) ++rest_.counts.cancelled;
    for (int index = 0; index < job.requested.count; ++index) attempts_.erase({job.id, index});
    if (on_ended) on_ended(job);
    open_.erase(entry);
  }

  Restored rest_;
  std::map<JobId, JobRows> open_;
  std::map<std::pair<JobId, int>, ChunkId> attempts_;
  std::map<std::string, LearnedCost> costs_;
};

class TwoColours final : public Pixels {
 public:
  std::span<const std::uint8_t> bytes() const override { return bytes_; }
  int width() const override { return 2; }
  int height() const override { return 1; }

 private:
  std::array<std::uint8_t, 6> bytes_{7, 7, 7, 9, 9, 9};
};

class World : public WorkerPort, public MediaPort, public HostMemoryPort {
 public:
  // A process on a gpu. Its memory: a context from its start, weights when they are loaded, activations during a chunk.
  struct Worker {
    WorkerSpec spec;
    std::int64_t pid = 0;
    Instant ordered_at;
    enum class Stage { waiting, loading, resting, running, silent } stage = Stage::waiting;
    enum class Wanted { yes, no } wanted = Wanted::yes;  // no: it was told to end
    int life = 0;                                        // what was planned for an earlier one is void
    std::int64_t held_bytes = 0;
    std::int64_t activation_bytes = 0;
    ChunkRequest chunk;
    std::size_t next_item = 0;
  };
  struct Foreigner {
    std::int64_t pid = 0;
    std::int64_t wants_bytes = 0;
    std::int64_t held_bytes = 0;
    Instant came;
    std::optional<Instant> shown;  // the loop has had a sample that shows it
  };
  struct Stuck {  // a process that does not end although it was killed
    WorkerId worker;
    std::int64_t pid = 0;
    std::int64_t held_bytes = 0;
    int server = 0;  // whose it was: a later one does not know it
  };
  struct TrueGpu {
    Gpu gpu;
    enum class Presence { there, gone } presence = Presence::there;
    std::optional<GpuRecovery> recovery = GpuRecovery::none;
    std::optional<int> driver_code;
    std::vector<GpuXid> xids;  // for the next sample
    double celsius = 55;
    std::vector<std::string> throttling;
    std::optional<Foreigner> foreigner;
    std::optional<Stuck> stuck;
    std::set<WorkerId> workers;
    Instant free_at{};  // the last process that was told to end is gone
  };
  enum class Pids { visible, hidden };

  World(std::uint64_t seed, std::vector<Gpu> gpus) : rng_(seed) {
    clock_.at = from_unix_ms(1'795'511'730'000);
    start_ = clock_.at;
    for (Gpu& gpu : gpus) gpus_[gpu.uuid].gpu = gpu;
    settings_.multi_gpu_enabled = true;
    settings_.multi_gpu_max_gpus = static_cast<int>(gpus.size());
    store_.on_ended = [this](const Job& job) { on_ended(job); };
    store_.on_gpu_state = [this](const GpuStateRow& row) { on_gpu_state(row); };
  }
  ~World() override = default;

  Instant now() const { return clock_.at; }
  double hours() const { return std::chrono::duration<double, std::ratio<3600>>(clock_.at - start_).count(); }

 protected:
  // --- time ---

  void in(Duration delay, std::function<void()> action) { agenda_.emplace(clock_.at + delay, std::move(action)); }
  // As `in`, unless the server has been restarted meanwhile.
  void in_server(Duration delay, std::function<void()> action) {
    in(delay, [this, server = server_, action = std::move(action)] {
      if (server == server_) action();
    });
  }
  void run_until(Instant end) {
    while (!agenda_.empty() && agenda_.begin()->first <= end && !::testing::Test::HasFailure()) {
      const auto next = agenda_.begin();
      clock_.at = next->first;
      const std::function<void()> action = std::move(next->second);
      agenda_.erase(next);
      action();
    }
    clock_.at = std::max(clock_.at, end);
  }
  double between(double low, double high) { return low + (high - low) * rng_.unit(); }

  // --- the server ---

  void open() {
    LoopOptions options;
    options.output_directory = "/nowhere";
    options.boot_id = format("boot {}", boot_);
    options.sharing.margin_bytes = margin_bytes_;
    auto opened = Loop::open(clock_, mailbox_, {store_, *this, *this, *this}, catalog_, settings_, options);
    ASSERT_TRUE(opened) << opened.error().message;
    loop_ = std::move(*opened);
    list_gpus();
  }
  // Its processes end with it.
  void restart() {
    ++server_;
    loop_.reset();
    for (auto& [uuid, gpu] : gpus_) {
      gpu.workers.clear();
      gpu.free_at = now();
    }
    workers_.clear();
    open();
  }
  template <class M>
  void tell(M message) {
    std::vector<Message> messages;
    messages.emplace_back(std::move(message));
    loop_->turn(std::move(messages));
    ++turns_;
  }
  void list_gpus() {
    GpusSeen seen;
    for (const auto& [uuid, gpu] : gpus_) {
      if (gpu.presence == TrueGpu::Presence::there) seen.gpus.push_back(gpu.gpu);
    }
    tell(std::move(seen));
  }
  JobId submit(JobSpec spec) {
    JobId id;
    tell(SubmitJobs{{std::move(spec)}, [&](const Result<SubmitReceipt>& receipt) {
                      ASSERT_TRUE(receipt) << receipt.error().message;
                      id = receipt->jobs.at(0).id;
                    }});
    return id;
  }
  void sample() {
    GpuSamples samples;
    for (auto& [uuid, gpu] : gpus_) {
      if (gpu.presence == TrueGpu::Presence::there) samples.samples.push_back(sample_of(gpu));
    }
    tell(std::move(samples));
    for (auto& [uuid, gpu] : gpus_) {
      const bool answers = gpu.presence == TrueGpu::Presence::there && !gpu.driver_code;
      if (!answers || !gpu.foreigner || gpu.foreigner->shown) continue;
      if (gpu.foreigner->held_bytes >= kGiB && shows_foreigner(gpu)) gpu.foreigner->shown = now();
    }
  }

  // --- what a test decides and hears ---

  // How long it takes, and how it ends where that is not well.
  struct Course {
    Duration length;
    std::optional<JobError> failure = {};
    enum class Ends { worker, chunk } ends = Ends::worker;  // with the failure
  };
  virtual Course course_of_load(const Worker&) { return {seconds(between(2, 6))}; }
  virtual Course course_of_chunk(const Worker& worker) {
    return {seconds(between(6, 14) * static_cast<double>(worker.chunk.items.size()))};
  }
  virtual void on_start(const WorkerSpec&) {}
  virtual void on_run(const Worker&) {}
  virtual void on_death(const Worker&, const JobError&) {}
  virtual void on_ended(const Job&) {}
  virtual void on_gpu_state(const GpuStateRow&) {}
  virtual void on_allocation(const Worker&, bool) {}
  virtual void on_end(const Worker&) {}  // whatever the reason
  // Whether a sample of now can be told from one without the foreigner.
  virtual bool shows_foreigner(const TrueGpu&) const { return true; }

  // --- processes ---

  Worker* find(WorkerId id, int life) {
    const auto found = workers_.find(id);
    return found == workers_.end() || found->second.life != life ? nullptr : &found->second;
  }
  std::int64_t free_bytes(const TrueGpu& gpu) const {
    std::int64_t free = gpu.gpu.memory_total_bytes - (gpu.foreigner ? gpu.foreigner->held_bytes : 0) -
                        (gpu.stuck ? gpu.stuck->held_bytes : 0);
    for (const WorkerId id : gpu.workers) free -= held_by(workers_.at(id));
    return free;
  }
  static std::int64_t held_by(const Worker& worker) { return worker.held_bytes + worker.activation_bytes; }
  bool allocate(Worker& worker, std::int64_t bytes) {
    const bool fits = bytes <= free_bytes(gpus_.at(worker.spec.gpu.uuid));
    on_allocation(worker, fits);
    return fits;
  }
  // It ends by itself, or is ended by the supervisor because of what it does.
  void die(WorkerId id, JobError failure) {
    const auto found = workers_.find(id);
    if (found == workers_.end()) return;
    const bool wanted = found->second.wanted == Worker::Wanted::yes;
    if (wanted) on_death(found->second, failure);
    erase(found);
    if (wanted) tell(WorkerIsGone{id, std::move(failure), false});
    tell(WorkerHasEnded{id});
  }

  static JobError gpu_stuck() { return {"gpu_stuck", "it does not end although it was killed", {}}; }
  void stick(WorkerId id) {
    const auto found = workers_.find(id);
    ASSERT_NE(found, workers_.end());
    const Worker worker = found->second;
    gpus_.at(worker.spec.gpu.uuid).stuck = Stuck{id, worker.pid, held_by(worker), server_};
    if (worker.wanted == Worker::Wanted::yes) on_death(worker, gpu_stuck());
    erase(found);
    tell(WorkerIsGone{id, gpu_stuck(), false});
  }
  void end_stuck(TrueGpu& gpu) {
    const auto stuck = std::exchange(gpu.stuck, {});
    if (!stuck || stuck->server != server_) return;
    tell(WorkerHasEnded{stuck->worker});
    tell(GpuReaped{gpu.gpu.uuid});
  }

  void start(const WorkerSpec& spec) override {
    on_start(spec);
    Worker& worker = workers_[spec.id];
    worker.spec = spec;
    worker.ordered_at = now();
    TrueGpu& gpu = gpus_.at(spec.gpu.uuid);
    gpu.workers.insert(spec.id);
    if (gpu.stuck && gpu.stuck->server == server_) {
      return plan(spec.id, seconds(0.01), [this](Worker& its) { die(its.spec.id, gpu_stuck()); });
    }
    const Duration wait = std::max(gpu.free_at - now(), Duration::zero()) + seconds(0.05);
    plan(spec.id, wait, [this](Worker& its) { spawn(its); });
  }
  void run(const ChunkRequest& request) override {
    const auto found = workers_.find(request.worker);
    if (found == workers_.end()) return;  // its end is on the way to the loop
    Worker& worker = found->second;
    EXPECT_EQ(worker.stage, Worker::Stage::resting) << "chunk " << request.id.value;
    worker.chunk = request;
    on_run(worker);
    plan(request.worker, Duration{0}, [this](Worker& its) { begin_chunk(its); });
  }
  void cancel(WorkerId worker, ChunkId) override {
    plan(worker, seconds(0.1), [this](Worker& its) { end_chunk(its, "cancelled", {}); });
  }
  void image_taken(WorkerId, ChunkId, int) override {}
  void stop(WorkerId id) override {
    const auto found = workers_.find(id);
    if (found == workers_.end()) return;
    Worker& worker = found->second;
    worker.wanted = Worker::Wanted::no;
    const Duration grace = seconds(between(0.05, 0.5));
    TrueGpu& gpu = gpus_.at(worker.spec.gpu.uuid);
    gpu.free_at = std::max(gpu.free_at, now() + grace);
    plan(id, grace, [this](Worker& its) { die(its.spec.id, {}); });
  }
  void write_picture(PictureRequest request) override {
    in_server(seconds(0.1), [this, request = std::move(request)] {
      EffectiveImage effective = request.image.effective;
      tell(PictureWritten{request.worker, request.attempt, request.job.id, request.image.index, 1000, effective});
    });
  }
  void encode_preview(JobId, int, int, int, PixelsPtr) override {}
  void log_job(const Job&, const std::vector<Image>&, const Model*) override {}
  void stage(const FilesOfModel&) override {}
  void unstage(const FilesOfModel&) override {}
  void check(const FilesOfModel&) override {}

  Rng rng_;
  FakeClock clock_;
  Instant start_;
  Mailbox mailbox_;
  WorldStore store_;
  CatalogPtr catalog_;
  LiveSettings settings_;
  std::int64_t margin_bytes_ = 512LL << 20;
  Pids pids_ = Pids::visible;
  int boot_ = 0;
  int server_ = 0;
  std::int64_t turns_ = 0;
  std::map<GpuUuid, TrueGpu> gpus_;
  std::map<WorkerId, Worker> workers_;
  std::unique_ptr<Loop> loop_;

 private:
  using Ends = Course::Ends;

  void plan(WorkerId id, Duration delay, std::function<void(Worker&)> action) {
    const auto found = workers_.find(id);
    if (found == workers_.end()) return;
    const int life = ++found->second.life;
    in_server(delay, [this, id, life, action = std::move(action)] {
      if (Worker* worker = find(id, life)) action(*worker);
    });
  }
  void erase(std::map<WorkerId, Worker>::iterator entry) {
    on_end(entry->second);
    gpus_.at(entry->second.spec.gpu.uuid).workers.erase(entry->first);
    workers_.erase(entry);
  }
  static JobError out_of_memory() { return {"out_of_memory", "cudaMalloc failed", {}}; }

  void spawn(Worker& worker) {
    const WorkerId id = worker.spec.id;
    worker.stage = Worker::Stage::loading;
    worker.pid = ++last_pid_;
    tell(WorkerIsSpawned{id, worker.pid});
    const auto found = workers_.find(id);
    if (found == workers_.end() || found->second.wanted == Worker::Wanted::no) return;
    if (!allocate(found->second, kContextBytes)) return die(id, out_of_memory());
    found->second.held_bytes = kContextBytes;
    const Course course = course_of_load(found->second);
    plan(id, course.length, [this, failure = course.failure](Worker& its) {
      if (failure) return die(its.spec.id, *failure);
      loaded(its);
    });
  }
  void loaded(Worker& worker) {
    const Model& model = worker.spec.model;
    const std::int64_t weights = model.memory_bytes - model.workspace_bytes;
    if (!allocate(worker, weights)) return die(worker.spec.id, out_of_memory());
    worker.held_bytes += weights;
    worker.stage = Worker::Stage::resting;
    tell(WorkerIsReady{worker.spec.id, {}, "synthetic", "1", worker.held_bytes, 3.0});
  }
  void begin_chunk(Worker& worker) {
    if (!allocate(worker, worker.spec.model.workspace_bytes)) return end_chunk(worker, "failed", out_of_memory());
    worker.activation_bytes = worker.spec.model.workspace_bytes;
    worker.stage = Worker::Stage::running;
    worker.next_item = 0;
    const Course course = course_of_chunk(worker);
    if (course.failure) {
      return plan(worker.spec.id, course.length, [this, course](Worker& its) {
        if (course.ends == Ends::worker) return die(its.spec.id, *course.failure);
        end_chunk(its, "failed", *course.failure);
      });
    }
    next_picture(worker, course.length / static_cast<std::int64_t>(worker.chunk.items.size()));
  }
  void next_picture(Worker& worker, Duration each) {
    plan(worker.spec.id, each, [this, each](Worker& its) {
      const WorkerId id = its.spec.id;
      const auto item = its.chunk.items.at(its.next_item++);
      const bool last = its.next_item == its.chunk.items.size();
      const int life = its.life;
      tell(ImageArrived{id, its.chunk.id, item.index, item.seed, 1.0, std::make_shared<TwoColours>()});
      Worker* still = find(id, life);
      if (still == nullptr) return;  // the loop has ended it
      if (last) return end_chunk(*still, "done", {});
      next_picture(*still, each);
    });
  }
  void end_chunk(Worker& worker, const char* outcome, JobError failure) {
    worker.activation_bytes = 0;
    worker.stage = Worker::Stage::resting;
    ++worker.life;
    tell(ChunkIsOver{worker.spec.id, worker.chunk.id, outcome, std::move(failure)});
  }

  GpuSample sample_of(TrueGpu& gpu) {
    GpuSample sample;
    sample.uuid = gpu.gpu.uuid;
    if (gpu.driver_code) {
      sample.detail.driver_code = gpu.driver_code;
      sample.detail.xids = std::exchange(gpu.xids, {});
      return sample;
    }
    sample.memory_free_bytes = free_bytes(gpu);
    sample.memory_used_bytes = gpu.gpu.memory_total_bytes - *sample.memory_free_bytes;
    sample.temperature_celsius = gpu.celsius;
    sample.detail.temperature_slowdown_celsius = 90;
    sample.detail.throttle_reasons = gpu.throttling;
    sample.detail.recovery_action = gpu.recovery;
    sample.detail.xids = std::exchange(gpu.xids, {});
    sample.detail.processes.emplace();
    bool computes = gpu.foreigner.has_value();
    for (const WorkerId id : gpu.workers) {
      const Worker& worker = workers_.at(id);
      computes = computes || worker.stage == Worker::Stage::running;
      if (pids_ == Pids::visible && worker.pid > 0) {
        sample.detail.processes->push_back({worker.pid, GpuProcess::Kind::compute, held_by(worker), "pixelfleet"});
      }
    }
    if (pids_ == Pids::visible && gpu.foreigner) {
      sample.detail.processes->push_back(
          {gpu.foreigner->pid, GpuProcess::Kind::compute, gpu.foreigner->held_bytes, "train.py"});
    }
    if (pids_ == Pids::visible && gpu.stuck) {
      sample.detail.processes->push_back(
          {gpu.stuck->pid, GpuProcess::Kind::compute, gpu.stuck->held_bytes, "pixelfleet"});
    }
    sample.utilization_ratio = computes ? 0.95 : 0.0;
    return sample;
  }

  std::multimap<Instant, std::function<void()>> agenda_;
  std::int64_t last_pid_ = 1000;
};

inline Model demo_model(const std::string& key, double gib, double workspace_gib) {
  Model model;
  model.key = key;
  model.title = key;
  model.engine = "synthetic";
  model.memory_bytes = static_cast<std::int64_t>(gib * static_cast<double>(kGiB));
  model.workspace_bytes = static_cast<std::int64_t>(workspace_gib * static_cast<double>(kGiB));
  model.demo = DemoTraits{};
  return model;
}

}  // namespace pixelfleet::control::testing
