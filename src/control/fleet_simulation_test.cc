// A day of sixteen gpus with a fault every 30 seconds, run by the real loop: scheduler, health, sharing and ledger.
//
// An auditor knows what is really broken. No job may be lost and no picture published twice; no gpu that is well may be
// retired; each that is well again must come back and work within a stated time; nothing starts where the loop knows
// that the gpu is dead, or in use by others. The seed is printed: PIXELFLEET_FLEET_SEED repeats its run,
// PIXELFLEET_FLEET_HOURS makes it longer (tests/sim/gpu_days plays many days), and PIXELFLEET_FLEET_TRACE set to 1
// prints what becomes of each gpu.
#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "control/fleet_truth.h"
#include "control/fleet_world.h"
#include "health/health.h"
#include "health/xid.h"

namespace pixelfleet::control {
namespace {

using testing::is_canary;
using testing::JobTruth;
using testing::kFirstChunk;
using testing::kGiB;
using testing::kLongestQuiet;
using testing::kReadmission;
using testing::Nature;
using testing::seconds;
using testing::Truth;
using testing::World;

constexpr int kGpus = 16;
constexpr double kFaultEvery = 30;  // seconds, on average
constexpr std::size_t kBacklog = 40;

class Fleet : public World {
 public:
  explicit Fleet(std::uint64_t seed) : World(seed, sixteen()) {
    auto catalog = std::make_shared<Catalog>();
    catalog->models = {testing::demo_model("small", 3, 1), testing::demo_model("medium", 6, 2),
                       testing::demo_model("large", 10, 3), testing::demo_model("huge", 16, 4)};
    catalog->profiles = {{"none", "None / Raw", {}, "", "", {}, {}}};
    catalog_ = catalog;
    for (const auto& [uuid, gpu] : gpus_) {
      Truth& truth = truths_[uuid];
      truth.well_since = truth.alone_since = truth.last_chunk = truth.may_work_since = start_;
    }
  }

  void run(double hours) {
    open();
    end_of_faults_ = start_ + seconds(3600 * hours);
    in(seconds(0.5), [this] { look(); });
    in(seconds(1), [this] { keep_busy(); });
    in(until_next_fault(), [this] { break_something(); });
    in(seconds(3600 * between(0.5, 6)), [this] { restart_server(); });
    run_until(end_of_faults_);
    // The longest back-off is an hour, and a job that kills its worker everywhere may be pinned to a gpu: it fails its
    // probation three times before the job is found out.
    for (int minutes = 0; minutes < 300 && !all_healthy() && !HasFailure(); ++minutes) run_until(now() + seconds(60));
    for (const auto& [uuid, truth] : truths_) {
      if (!HasFailure() && state_of(uuid) != health::State::healthy) fail(uuid, "is not healthy after five hours");
    }
    submits_ = Submits::no;
    for (int minutes = 0; minutes < 60 && !jobs_.empty() && !HasFailure(); ++minutes) run_until(now() + seconds(60));
    if (HasFailure()) return;
    for (const auto& [id, job] : jobs_) ADD_FAILURE() << "job " << id.value << " never ended";
    EXPECT_EQ(store_.twice, 0);
    EXPECT_TRUE(store_.disabled.empty());
    counts["pictures"] = store_.pictures;
    counts["pictures of attempts that no longer counted"] = store_.fenced;
    counts["turns"] = turns_;
  }

  std::map<std::string, std::int64_t> counts;
  std::vector<double> readmissions;  // seconds from well, alone and past the back-off to a chunk

 private:
  static bool HasFailure() { return ::testing::Test::HasFailure(); }
  static std::vector<Gpu> sixteen() {
    std::vector<Gpu> gpus;
    for (int i = 0; i < kGpus; ++i) {
      const std::int64_t gib = i % 4 == 0 ? 80 : i % 4 == 1 ? 48 : 24;
      gpus.push_back({format("GPU-{:02}", i), i, format("card of {} GiB", gib), GpuKind::nvidia, gib * kGiB});
    }
    return gpus;
  }
  void fail(const GpuUuid& uuid, const std::string& what) {
    const auto row = store_.gpu_states.find(uuid);
    ADD_FAILURE() << uuid << " " << what << " at " << hours() << " h; "
                  << (row == store_.gpu_states.end() ? "never changed" : row->second.state + " " + row->second.reason)
                  << ", well for " << std::chrono::duration<double>(now() - truths_[uuid].well_since).count()
                  << " s, alone for " << std::chrono::duration<double>(now() - truths_[uuid].alone_since).count();
  }
  bool sound(const GpuUuid& uuid) const {
    const Truth& truth = truths_.at(uuid);
    return truth.trouble == Truth::Trouble::none && truth.hold == health::Hold::none && !gpus_.at(uuid).stuck;
  }
  bool alone(const TrueGpu& gpu) const { return !gpu.foreigner && gpu.celsius < 80; }
  health::State state_of(const GpuUuid& uuid) const {
    const auto row = store_.gpu_states.find(uuid);
    return row == store_.gpu_states.end() ? health::State::healthy : *health::state_from(row->second.state);
  }
  bool all_healthy() const {
    return std::all_of(truths_.begin(), truths_.end(),
                       [this](const auto& entry) { return state_of(entry.first) == health::State::healthy; });
  }

  // --- jobs ---

  void keep_busy() {
    in(seconds(5), [this] { keep_busy(); });
    while (submits_ == Submits::yes && jobs_.size() < kBacklog) {
      const double nature = now() < end_of_faults_ ? rng_.unit() : 1.0;
      submit_one(nature < 0.004   ? Nature::poisoned
                 : nature < 0.008 ? Nature::too_large
                 : nature < 0.012 ? Nature::malformed
                                  : Nature::good);
    }
  }
  void submit_one(Nature nature) {
    static constexpr const char* kModels[] = {"small", "medium", "large", "huge"};
    JobSpec spec;
    spec.prompt = "fox";
    spec.model = kModels[rng_.below(4)];
    spec.count = 1 + static_cast<int>(rng_.below(4));
    if (rng_.chance(0.05)) spec.gpu = format("GPU-{:02}", rng_.below(kGpus));
    const JobId id = submit(std::move(spec));
    jobs_[id].nature = nature;
    ++counts["jobs"];
  }
  void on_ended(const Job& job) override {
    const auto found = jobs_.find(job.id);
    if (found == jobs_.end()) return ADD_FAILURE() << "job " << job.id.value << " ended twice", void();
    const JobTruth truth = found->second;
    jobs_.erase(found);
    if (job.state == JobState::done) {
      ++counts["jobs done"];
      EXPECT_EQ(job.published, job.requested.count);
      EXPECT_NE(truth.nature, Nature::malformed);
      EXPECT_NE(truth.nature, Nature::poisoned);
      return;
    }
    ASSERT_EQ(job.state, JobState::failed) << job.id.value;
    ASSERT_TRUE(job.error);
    if (job.error->code == "out_of_memory" && truth.nature == Nature::too_large)
      return void(++counts["jobs too large"]);
    if (job.error->code == "out_of_memory" && truth.crowded == JobTruth::Crowded::yes) {
      return void(++counts["good jobs that others left no memory"]);
    }
    if (job.error->code == "bad_request" && truth.nature == Nature::malformed) return void(++counts["jobs malformed"]);
    if (job.error->code == "engine_died" && job.worker_deaths >= kMaxWorkerDeaths && truth.deaths >= kMaxWorkerDeaths) {
      const bool pinned = job.requested.gpu.has_value();
      return void(++counts[truth.nature == Nature::poisoned ? "jobs poisoned"
                           : pinned                         ? "pinned jobs that met three faults"
                                                            : "good jobs that met three faults"]);
    }
    ADD_FAILURE() << "job " << job.id.value << " failed: " << job.error->code << " " << job.error->message << " after "
                  << truth.deaths << " deaths";
  }
  void on_allocation(const Worker& worker, bool fits) override {
    if (fits) return;
    ++counts["allocations that failed"];
    const TrueGpu& gpu = gpus_.at(worker.spec.gpu.uuid);
    const bool unseen = (gpu.foreigner && !gpu.foreigner->shown) || (gpu.stuck && gpu.stuck->server != server_);
    if (!unseen) return fail(gpu.gpu.uuid, "has less memory than the loop knows");
    if (const auto job = jobs_.find(worker.chunk.job); job != jobs_.end()) job->second.crowded = JobTruth::Crowded::yes;
  }
  Course course_of_load(const Worker& worker) override {
    const GpuUuid& uuid = worker.spec.gpu.uuid;
    const Course well = World::course_of_load(worker);
    if (gpus_.at(uuid).stuck) {  // of an earlier server
      in_server(seconds(45), [this, id = worker.spec.id] {
        if (!workers_.contains(id)) return;
        if (rng_.chance(0.5)) return die(id, {"engine_hung", "no sign of life while it loads", {}});
        truths_.at(workers_.at(id).spec.gpu.uuid).known = Truth::Known::yes;
        stick(id);
      });
      return {seconds(1000)};
    }
    if (truths_.at(uuid).trouble == Truth::Trouble::none) return well;
    if (truths_.at(uuid).trouble == Truth::Trouble::sick && !rng_.chance(0.3)) return well;
    return {seconds(between(0.2, 3)), any_failure(uuid)};
  }
  Course course_of_chunk(const Worker& worker) override {
    Course course = World::course_of_chunk(worker);
    if (truths_.at(worker.spec.gpu.uuid).trouble != Truth::Trouble::none) {
      return {seconds(between(0.5, 20)), any_failure(worker.spec.gpu.uuid)};
    }
    const auto job = jobs_.find(worker.chunk.job);
    if (job == jobs_.end()) return course;
    switch (job->second.nature) {
      case Nature::good: break;
      case Nature::poisoned: return {course.length / 2, JobError{"engine_died", "signal 11", {"assert failed"}}};
      case Nature::too_large:
        return {seconds(1), JobError{"out_of_memory", "cudaMalloc failed", {}}, Course::Ends::chunk};
      case Nature::malformed:
        return {seconds(0.2), JobError{"bad_request", "no such sampler", {}}, Course::Ends::chunk};
    }
    return course;
  }
  JobError any_failure(const GpuUuid& uuid) {
    static constexpr const char* kSick[] = {"engine_died", "device_error", "invalid_output", "protocol"};
    const bool sick = truths_.at(uuid).trouble == Truth::Trouble::sick;
    return {sick ? kSick[rng_.below(4)] : "device_error", "an illegal memory access was encountered", {"CUDA error"}};
  }
  void on_death(const Worker& worker, const JobError& failure) override {
    ++counts["workers' deaths"];
    Truth& truth = truths_.at(worker.spec.gpu.uuid);
    truth.deaths.push_back(now());
    if (failure.code == "gpu_stuck") return;
    if (worker.stage == Worker::Stage::running) {
      const auto job = jobs_.find(worker.chunk.job);
      if (job != jobs_.end()) ++job->second.deaths;
      return;
    }
    // A load is charged to the job that it was started for, which only the scheduler knows.
    for (auto& [id, job] : jobs_) {
      const auto rows = store_.open_jobs().find(id);
      if (rows != store_.open_jobs().end() && rows->second.job.settings.model == worker.spec.model.key) ++job.deaths;
    }
  }

  // --- faults ---

  Duration until_next_fault() { return seconds(-kFaultEvery * std::log(1.0 - rng_.unit())); }
  void break_something() {
    if (now() >= end_of_faults_) return;
    in(until_next_fault(), [this] { break_something(); });
    ++counts["faults"];
    const GpuUuid uuid = format("GPU-{:02}", rng_.below(kGpus));
    switch (rng_.below(16)) {
      case 0:
      case 1: return kill_one({"engine_died", "signal 11", {"assert failed"}}, "crashes", 0);
      case 2: return kill_one({"device_error", "an illegal memory access was encountered", {}}, "sticky errors", 31);
      case 3: return kill_one({"engine_hung", "no step for 45 s", {}}, "hangs", 0);
      case 4: return stick_one();
      case 5: return report_xid(uuid);
      case 6: return get_into(uuid, Truth::Trouble::sick, "sick gpus");
      case 7: return get_into(uuid, Truth::Trouble::asks_for_reset, "resets asked for");
      case 8: return get_into(uuid, Truth::Trouble::silent, "resets known by their Xid");
      case 9: return get_into(uuid, Truth::Trouble::lost, "gpus lost");
      case 10: return telemetry_gap();
      case 11: return heat(uuid);
      case 12: return throttle(uuid);
      case 13: return foreigner(uuid);
      case 14: return submit_one(rng_.chance(0.5) ? Nature::poisoned : Nature::too_large), void(++counts["odd jobs"]);
      default: return order(uuid);
    }
  }
  Worker* any_running() {
    std::vector<Worker*> running;
    for (auto& [id, worker] : workers_) {
      if (worker.stage == Worker::Stage::running && worker.wanted == Worker::Wanted::yes && !is_canary(id)) {
        running.push_back(&worker);
      }
    }
    return running.empty() ? nullptr : running[rng_.below(running.size())];
  }
  void kill_one(JobError failure, const char* what, int xid) {
    const Worker* worker = any_running();
    if (worker == nullptr) return;
    ++counts[what];
    if (xid != 0) gpus_.at(worker->spec.gpu.uuid).xids = {{xid, 1}, {45, 1}};
    die(worker->spec.id, std::move(failure));
  }
  void stick_one() {
    const Worker* worker = any_running();
    if (worker == nullptr || gpus_.at(worker->spec.gpu.uuid).stuck) return;
    ++counts["workers that cannot be ended"];
    const GpuUuid uuid = worker->spec.gpu.uuid;
    stick(worker->spec.id);
    truths_.at(uuid).known = Truth::Known::yes;
    in(seconds(between(30, 1200)), [this, uuid] {
      if (!gpus_.at(uuid).stuck) return;  // a reboot was first
      truths_.at(uuid).known = Truth::Known::no;
      end_stuck(gpus_.at(uuid));
      mended(uuid);
      note_known();
    });
  }
  // One that needs nothing to be done: it concerns a process, or nobody.
  void report_xid(const GpuUuid& uuid) {
    static constexpr int kHarmless[] = {13, 14, 31, 32, 37, 43, 45, 48, 63, 68, 74, 92, 94, 106, 121, 145, 154};
    const int xid = kHarmless[rng_.below(std::size(kHarmless))];
    gpus_.at(uuid).xids.push_back({xid, 1});
    ++counts["Xids of no consequence"];
    truths_.at(uuid).deaths.push_back(now());  // some of them count against the gpu as well
  }
  void get_into(const GpuUuid& uuid, Truth::Trouble trouble, const char* what) {
    Truth& truth = truths_.at(uuid);
    TrueGpu& gpu = gpus_.at(uuid);
    if (truth.trouble != Truth::Trouble::none) return;
    ++counts[what];
    truth.trouble = trouble;
    static constexpr int kReset[] = {46, 62, 64, 95, 109, 119, 120, 136, 140, 143, 155, 158};
    if (trouble == Truth::Trouble::asks_for_reset) {
      gpu.recovery = rng_.chance(0.5) ? GpuRecovery::reset : GpuRecovery::drain_and_reset;
    }
    if (trouble == Truth::Trouble::silent) {
      gpu.recovery.reset();  // an older driver
      gpu.xids.push_back({kReset[rng_.below(std::size(kReset))], 1});
    }
    if (trouble == Truth::Trouble::lost) lose(uuid);
    // What runs there fails soon.
    for (const WorkerId id : std::set<WorkerId>(gpu.workers)) {
      if (trouble == Truth::Trouble::sick) break;
      in_server(seconds(between(0, 3)), [this, id] {
        if (workers_.contains(id)) die(id, {"device_error", "the gpu is gone", {}});
      });
    }
    in(seconds(between(30, trouble == Truth::Trouble::sick ? 900 : 1200)),
       [this, uuid, boot = boot_] { mend(uuid, boot); });
  }
  void lose(const GpuUuid& uuid) {
    TrueGpu& gpu = gpus_.at(uuid);
    if (rng_.chance(0.4)) gpu.xids.push_back({79, 1});
    if (rng_.chance(0.7)) {  // first it answers with an error
      gpu.driver_code = 15;
      sample_if_there();
    }
    in(seconds(between(0, 2)), [this, uuid] {
      TrueGpu& lost = gpus_.at(uuid);
      if (truths_.at(uuid).trouble != Truth::Trouble::lost) return;
      lost.presence = TrueGpu::Presence::gone;
      lost.xids.clear();
      if (telemetry_ == Seen::yes) list_gpus();
      note_known();
    });
  }
  void mend(const GpuUuid& uuid, int boot) {
    Truth& truth = truths_.at(uuid);
    TrueGpu& gpu = gpus_.at(uuid);
    if (boot != boot_ || truth.trouble == Truth::Trouble::none) return;
    if (truth.trouble == Truth::Trouble::silent && gpu.presence == TrueGpu::Presence::there) {
      gpu.presence = TrueGpu::Presence::gone;  // while it is reset
      for (const WorkerId id : std::set<WorkerId>(gpu.workers)) die(id, {"device_error", "the gpu is gone", {}});
      if (telemetry_ == Seen::yes) list_gpus();
      note_known();
      return in(seconds(10), [this, uuid, boot] { mend(uuid, boot); });
    }
    if (telemetry_ == Seen::no) return in(seconds(5), [this, uuid, boot] { mend(uuid, boot); });
    truth.trouble = Truth::Trouble::none;
    gpu.recovery = GpuRecovery::none;
    gpu.driver_code.reset();
    const bool was_gone = std::exchange(gpu.presence, TrueGpu::Presence::there) == TrueGpu::Presence::gone;
    mended(uuid);
    if (was_gone) list_gpus();
  }
  void mended(const GpuUuid& uuid) {
    Truth& truth = truths_.at(uuid);
    truth.well_since = now();
    if (sound(uuid)) truth.known = Truth::Known::no;
  }
  void telemetry_gap() {
    if (telemetry_ == Seen::no) return;
    ++counts["telemetry gaps"];
    telemetry_ = Seen::no;
    tell(TelemetryChanged{{false, "the NVIDIA driver does not answer"}});
    in(seconds(between(5, 120)), [this] {
      telemetry_ = Seen::yes;
      for (auto& [uuid, gpu] : gpus_) gpu.xids.clear();  // the monitor that would have told them is another one now
      list_gpus();
      tell(TelemetryChanged{{true, ""}});
      note_known();
    });
  }
  void heat(const GpuUuid& uuid) {
    TrueGpu& gpu = gpus_.at(uuid);
    if (gpu.celsius > 80) return;
    ++counts["too hot"];
    gpu.celsius = 88;
    in(seconds(between(20, 300)), [this, uuid] { left(uuid, [](TrueGpu& its) { its.celsius = 55; }); });
  }
  void throttle(const GpuUuid& uuid) {
    ++counts["throttled"];
    gpus_.at(uuid).throttling = {"hw_thermal"};
    in(seconds(between(5, 120)), [this, uuid] { gpus_.at(uuid).throttling.clear(); });
  }
  void foreigner(const GpuUuid& uuid) {
    TrueGpu& gpu = gpus_.at(uuid);
    if (gpu.foreigner || gpu.presence == TrueGpu::Presence::gone) return;
    const auto bytes = std::min(static_cast<std::int64_t>(between(1.5, 20) * kGiB), free_bytes(gpu));
    if (bytes < kGiB + kGiB / 4) return;  // it finds no room and goes
    ++counts["foreign processes"];
    gpu.foreigner = Foreigner{4'000'000 + counts["foreign processes"], bytes, bytes, now(), {}};
    in(seconds(between(5, 900)), [this, uuid] { left(uuid, [](TrueGpu& its) { its.foreigner.reset(); }); });
  }
  void left(const GpuUuid& uuid, const std::function<void(TrueGpu&)>& go) {
    TrueGpu& gpu = gpus_.at(uuid);
    go(gpu);
    truths_.at(uuid).alone_since = now();
  }
  void order(const GpuUuid& uuid) {
    Truth& truth = truths_.at(uuid);
    if (truth.hold != health::Hold::none) return;
    const bool retire = rng_.chance(0.4);
    ++counts[retire ? "retired by the operator" : "drained by the operator"];
    truth.hold = retire ? health::Hold::retired : health::Hold::drained;
    tell_order(uuid, retire ? OrderGpu::Wish::retire : OrderGpu::Wish::drain);
    in(seconds(between(30, 1200)), [this, uuid] {
      truths_.at(uuid).hold = health::Hold::none;
      truths_.at(uuid).known = Truth::Known::no;  // the operator's word counts: a canary may try
      tell_order(uuid, OrderGpu::Wish::resume);
      mended(uuid);
      note_known();
    });
  }
  void tell_order(const GpuUuid& uuid, OrderGpu::Wish wish) {
    tell(OrderGpu{uuid, wish, [](const Result<GpuStatus>& answer) { EXPECT_TRUE(answer) << answer.error().message; }});
  }
  void restart_server() {
    if (now() >= end_of_faults_) return;
    in(seconds(3600 * between(0.5, 6)), [this] { restart_server(); });
    ++counts["restarts"];
    const bool boots = rng_.chance(0.2);
    if (boots) ++counts["reboots"];
    if (boots) ++boot_;
    telemetry_ = Seen::yes;
    for (auto& [uuid, gpu] : gpus_) {
      if (gpu.foreigner) gpu.foreigner->shown.reset();
      gpu.xids.clear();
      truths_.at(uuid).last_chunk = now();
      if (!boots) continue;
      const bool was_sound = sound(uuid);
      gpu.stuck.reset();
      gpu.recovery = GpuRecovery::none;
      gpu.driver_code.reset();
      gpu.presence = TrueGpu::Presence::there;
      truths_.at(uuid).trouble = Truth::Trouble::none;
      if (!was_sound) mended(uuid);
    }
    restart();
  }

  // --- what is seen ---

  enum class Seen { no, yes };

  void sample_if_there() {
    if (telemetry_ == Seen::no) return;
    sample();
    note_known();
  }
  // The loop has what it needs to know that nothing can run there.
  void note_known() {
    for (auto& [uuid, truth] : truths_) {
      const bool broken = truth.trouble != Truth::Trouble::none && state_of(uuid) == health::State::failed;
      if (broken || (gpus_.at(uuid).stuck && state_of(uuid) == health::State::stuck)) truth.known = Truth::Known::yes;
    }
  }
  void look() {
    in(seconds(1), [this] { look(); });
    sample_if_there();
    if (telemetry_ == Seen::no) tell(TelemetryChanged{{false, "the NVIDIA driver does not answer"}});
    tell_progress();
    for (auto& [uuid, truth] : truths_) audit(uuid, truth);
  }
  void tell_progress() {
    for (const auto& [id, worker] : workers_) {
      if (worker.stage != Worker::Stage::running || state_of(worker.spec.gpu.uuid) != health::State::draining) continue;
      tell(ChunkProgressed{id, worker.chunk.id, worker.chunk.items.front().index, Phase::sample, 1, 20});
      return;  // another one in the next second
    }
  }

  // --- the auditor ---

  void on_start(const WorkerSpec& spec) override {
    if (says_ == Says::all && is_canary(spec.id)) std::cout << format("{:.4f} h {} canary\n", hours(), spec.gpu.uuid);
    audit_use(spec.gpu.uuid, "a worker starts");
  }
  void on_run(const Worker& worker) override {
    const GpuUuid& uuid = worker.spec.gpu.uuid;
    audit_use(uuid, "a chunk starts");
    for (const WorkerId other : gpus_.at(uuid).workers) {
      if (other != worker.spec.id && workers_.at(other).stage == Worker::Stage::running &&
          workers_.at(other).wanted == Worker::Wanted::yes) {
        fail(uuid, "runs two chunks at a time");
      }
    }
    if (is_canary(worker.spec.id)) return void(++counts["canaries"]);
    ++counts["chunks"];
    if (!health::takes_work(state_of(uuid))) fail(uuid, "gets a chunk in this state");
    Truth& truth = truths_.at(uuid);
    truth.last_chunk = now();
    if (!truth.waits_since) return;
    readmissions.push_back(std::max(0.0, std::chrono::duration<double>(now() - *truth.waits_since).count()));
    truth.waits_since.reset();
  }
  void audit_use(const GpuUuid& uuid, const std::string& what) {
    const TrueGpu& gpu = gpus_.at(uuid);
    if (truths_.at(uuid).known == Truth::Known::yes) fail(uuid, what + " though it is known to be dead");
    if (gpu.foreigner && gpu.foreigner->shown && gpu.foreigner->shown < now()) fail(uuid, what + " beside others");
  }
  void on_gpu_state(const GpuStateRow& row) override {
    if (says_ == Says::all)
      std::cout << format("{:.4f} h {} {} {} {}\n", hours(), row.gpu, row.from, row.state, row.reason);
    if (row.from == row.state) return;
    ++counts["-> " + row.state];
    const Truth& truth = truths_.at(row.gpu);
    if (row.state == "failed" && truth.trouble == Truth::Trouble::none && truth.hold != health::Hold::retired) {
      fail(row.gpu, "is retired though it is well");
    }
    if (row.state == "stuck" && !gpus_.at(row.gpu).stuck) fail(row.gpu, "is stuck though nothing sticks");
    if (row.reason == "canary_passed") ++counts["readmissions"];
    if (row.reason == "failed_two_jobs" || row.reason == "faults_of_three") audit_quarantine(row.gpu, truth);
  }
  void audit_quarantine(const GpuUuid& uuid, const Truth& truth) {
    ++counts[truth.trouble == Truth::Trouble::none ? "quarantined while well" : "quarantined for software"];
    const auto lately = std::count_if(truth.deaths.begin(), truth.deaths.end(),
                                      [this](Instant at) { return now() - at <= std::chrono::minutes{11}; });
    if (lately < 2) fail(uuid, "is quarantined though it failed no two jobs");
  }
  void audit(const GpuUuid& uuid, Truth& truth) {
    const TrueGpu& gpu = gpus_.at(uuid);
    const health::State state = state_of(uuid);
    const bool works = health::takes_work(state);
    ++seconds_;
    if (sound(uuid) && alone(gpu) && !works) ++seconds_out_;
    if (!sound(uuid)) truth.well_since = now();
    if (!alone(gpu)) truth.alone_since = now();
    if (telemetry_ == Seen::no) truth.well_since = now();  // nobody sees that it is well
    const std::string verdict = verdict_on(uuid);
    const bool open = verdict == "open";
    // That others have left is seen when the gpu is back, if they left while it was gone.
    if (!open && now() - std::max(truth.alone_since, truth.well_since) > kLongestQuiet) {
      fail(uuid, "is alone, and sharing says " + verdict);
    }
    const auto row = store_.gpu_states.find(uuid);
    const Instant until = row == store_.gpu_states.end() ? start_ : row->second.until.value_or(row->second.since);
    if (!open || !sound(uuid)) truth.may_work_since = now();
    const Instant free_since = std::max({truth.may_work_since, truth.well_since, until});
    if (!works && now() > free_since + kReadmission) fail(uuid, "should be back");
    if (!works && !truth.waits_since) truth.waits_since = free_since;
    if (truth.waits_since) truth.waits_since = std::max(*truth.waits_since, free_since);
    if (submits_ == Submits::yes && works && now() > std::max(free_since, truth.last_chunk) + kFirstChunk) {
      fail(uuid, "is well and gets no work");
    }
  }
  std::string verdict_on(const GpuUuid& uuid) const {
    for (const GpuStatus& status : loop_->live()->gpus) {
      if (status.gpu.uuid == uuid) return status.sharing.verdict;
    }
    return "absent";
  }

 public:
  double share_out() const { return static_cast<double>(seconds_out_) / static_cast<double>(seconds_); }

 private:
  enum class Says { counts, all } says_ = std::getenv("PIXELFLEET_FLEET_TRACE") != nullptr ? Says::all : Says::counts;
  enum class Submits { no, yes } submits_ = Submits::yes;
  Seen telemetry_ = Seen::yes;
  Instant end_of_faults_;
  std::map<GpuUuid, Truth> truths_;
  std::map<JobId, JobTruth> jobs_;
  std::int64_t seconds_ = 0;  // of gpus
  std::int64_t seconds_out_ = 0;
};

double from_environment(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtod(text, nullptr);
}

#ifdef __SANITIZE_ADDRESS__
constexpr double kHours = 0.5;  // several times slower there, and a long way back may follow
#else
constexpr double kHours = 2;
#endif

TEST(FleetSimulation, NoJobIsLostNoGpuWronglyRetiredAndAllComeBack) {
  log::configure(log::Level::error, log::Style::text);
  const auto seed = static_cast<std::uint64_t>(
      from_environment("PIXELFLEET_FLEET_SEED", static_cast<double>(random_seed() % 1'000'000)));
  const double hours = from_environment("PIXELFLEET_FLEET_HOURS", kHours);
  SCOPED_TRACE(format("PIXELFLEET_FLEET_SEED={} PIXELFLEET_FLEET_HOURS={}", seed, hours));
  const auto began = std::chrono::steady_clock::now();
  Fleet fleet(seed);
  fleet.run(hours);
  auto& waits = fleet.readmissions;
  std::sort(waits.begin(), waits.end());
  std::cout << "seed " << seed << ", " << hours << " h:";
  for (const auto& [what, count] : fleet.counts) std::cout << " " << what << " " << count << ",";
  if (!waits.empty()) {
    std::cout << " seconds to work again: median " << waits[waits.size() / 2] << " most " << waits.back() << ",";
  }
  std::cout << format(" well but out {:.2f} % of the time, wall {:.1f} s\n", 100 * fleet.share_out(),
                      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  EXPECT_GT(fleet.counts["faults"], 80 * hours);
  EXPECT_GT(fleet.counts["readmissions"], 5 * hours);
}

}  // namespace
}  // namespace pixelfleet::control
