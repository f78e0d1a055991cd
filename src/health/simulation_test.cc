// A day of sixteen gpus with a fault every 30 seconds, watched by an auditor who knows what is really broken.
//
// The world runs jobs on the gpus that Health gives work, breaks things and tells Health no more than a server could
// see. Every two to six hours the server restarts, with Health made from its rows. The seed is printed;
// PIXELFLEET_HEALTH_SEED=N repeats a run.
#include <gmock/gmock.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "base/format.h"
#include "base/rng.h"
#include "health/health.h"

namespace pixelfleet::health {
namespace {

constexpr Instant kStart{std::chrono::hours{500000}};
constexpr Duration kDay = std::chrono::hours{24};
constexpr Duration kQuiet = std::chrono::hours{2};  // afterwards, for the longest back-off
constexpr Duration kFaultEvery = std::chrono::seconds{30};
// Beyond back-off: sample, canary, three jobs with a load each and what was running.
constexpr Duration kReadmission = std::chrono::seconds{400};
constexpr int kGpus = 16;

Duration seconds(double value) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value)); }

struct Job {
  JobId id;
  ModelKey model;
  enum class Nature { good, poisoned, too_large, malformed } nature = Nature::good;
  std::set<GpuUuid> failed_on;
};

struct Truth {  // of one gpu
  enum class Trouble { none, lost, reset_asked, reset_silent, off_the_bus } trouble = Trouble::none;
  enum class Sick { no, yes } sick = Sick::no;  // everything that runs on it fails
  enum class Worker { ends, hangs } worker = Worker::ends;
  enum class Presence { there, gone } presence = Presence::there;
  Hold hold = Hold::none;
  Instant blameless_since = kStart;                     // nothing that may count against it happened after this
  Instant last_cause = kStart - std::chrono::hours{1};  // of a software fault
  State state = State::healthy;
  std::optional<Instant> until;
  enum class Work { none, some } work = Work::some;  // as permitted

  std::optional<Job> job;
  int life = 0;  // of what runs on it; events of an earlier one are void
  ModelKey resident;

  bool sound() const {
    return trouble == Trouble::none && sick == Sick::no && worker == Worker::ends && hold == Hold::none;
  }
};

class World {
 public:
  explicit World(std::uint64_t seed) : rng_(seed) {
    for (int i = 0; i < kGpus; ++i) truths_[format("gpu-{:02}", i)];
  }

  void run() {
    every(std::chrono::seconds{2}, kDay + kQuiet, [this] { sample(); });
    every(kFaultEvery, kDay, [this] { break_something(); });
    for (Instant at = kStart; at < kStart + kDay; at += seconds(kHour * between(2, 6))) {
      if (at > kStart) agenda_.emplace(at, [this] { restart(); });
    }
    while (!agenda_.empty() && !testing::Test::HasFailure()) {
      const auto next = agenda_.begin();
      if (next->first > kStart + kDay + kQuiet) break;
      now_ = next->first;
      const std::function<void()> action = std::move(next->second);
      agenda_.erase(next);
      action();
    }
    if (testing::Test::HasFailure()) return;
    for (auto& [uuid, gpu] : truths_) {
      if (gpu.state != State::healthy) fail(uuid, "is not healthy long after the last fault");
    }
    EXPECT_EQ(health_.alarms().size(), 0u);
    EXPECT_TRUE(open_poison_.empty()) << "a poisoned job was never found guilty";
  }

  // What happened, for those who read the output.
  std::map<std::string, int> counts;

 private:
  static constexpr double kHour = 3600;
  double between(double low, double high) { return low + (high - low) * rng_.unit(); }
  void in(Duration delay, std::function<void()> action) { agenda_.emplace(now_ + delay, std::move(action)); }
  void every(Duration step, Duration until, const std::function<void()>& action) {
    for (Duration at = step; at <= until; at += step) agenda_.emplace(kStart + at, action);
  }
  void fail(const GpuUuid& gpu, const std::string& what) {
    const Truth& truth = truths_[gpu];
    ADD_FAILURE() << gpu << " " << what << " at " << std::chrono::duration<double>(now_ - kStart).count()
                  << " s; state " << name(truth.state) << ", blameless since "
                  << std::chrono::duration<double>(truth.blameless_since - kStart).count();
  }

  // --- Health and what it orders ---

  void tell(const Event& event) {
    for (const Action& action : health_.step(event, now_)) {
      std::visit([this](const auto& order) { carry_out(order); }, action);
    }
  }
  void carry_out(const StateChanged& row) {
    rows_[row.record.gpu] = row.record;
    Truth& gpu = truths_[row.record.gpu];
    gpu.state = row.record.state;
    gpu.until = row.record.until;
    audit(row);
  }
  void carry_out(const StopWork& order) {
    Truth& gpu = truths_[order.gpu];
    gpu.work = Truth::Work::none;
    if (order.running == Running::abandon) give_up(gpu);
  }
  void carry_out(const GiveWork& order) {
    truths_[order.gpu].work = Truth::Work::some;
    in(Duration{0}, [this, uuid = order.gpu] { dispatch(uuid); });
  }
  void carry_out(const RunCanary& order) {
    in(seconds(5), [this, uuid = order.gpu, server = server_] {
      if (server != server_) return;  // it ended with the server
      const Truth& gpu = truths_[uuid];
      const bool good = gpu.trouble == Truth::Trouble::none && gpu.sick == Truth::Sick::no;
      ++counts[good ? "canaries passed" : "canaries failed"];
      tell(CanaryEnded{uuid, good ? Canary::passed : Canary::failed, {}});
    });
  }
  void carry_out(const BlameJob& order) {
    forget(order.job);
    if (malformed_.erase(order.job) > 0) return;
    ++counts[open_poison_.erase(order.job) > 0 ? "poisoned jobs found" : "good jobs that failed on two sick gpus"];
  }
  void carry_out(const DisableModel& order) {
    ++counts["models disabled"];
    EXPECT_TRUE(order.model.starts_with("bad")) << order.model << ": " << order.why;
    disabled_.insert(order.model);
    std::erase_if(waiting_, [&](const Job& job) { return job.model == order.model; });
  }
  void carry_out(const RaiseAlarm&) { ++counts["alarms"]; }
  void carry_out(const ClearAlarm&) { ++counts["alarms cleared"]; }
  void carry_out(const RefuseOrder& order) { ADD_FAILURE() << order.why; }
  void carry_out(const WakeAt& order) {
    if (order.at < now_) ADD_FAILURE() << "a wish to wake in the past";
    agenda_.emplace(order.at, [this] { tell(TimerFired{}); });
  }

  void restart() {
    ++server_;
    ++counts["restarts"];
    std::vector<GpuRecord> records;
    for (const auto& [uuid, record] : rows_) records.push_back(record);
    health_ = Health(records);
    for (auto& [uuid, gpu] : truths_) give_up(gpu);
    for (const GpuRecord& record : health_.gpus()) {
      truths_[record.gpu].work = takes_work(record.state) ? Truth::Work::some : Truth::Work::none;
    }
    for (const auto& [uuid, model] : worked_) tell(ModelWorked{uuid, model});
    if (!rng_.chance(0.3)) return;
    ++counts["reboots"];
    for (auto& [uuid, gpu] : truths_) {
      gpu.presence = Truth::Presence::there;
      gpu.trouble = Truth::Trouble::none;
      gpu.worker = Truth::Worker::ends;
      gpu.blameless_since = now_;
    }
    tell(MachineBooted{});
  }

  // --- work ---

  void give_up(Truth& gpu) {
    ++gpu.life;
    if (gpu.job && !disabled_.contains(gpu.job->model)) waiting_.push_front(*gpu.job);
    gpu.job.reset();
    gpu.resident.clear();
  }
  void forget(JobId job) {
    std::erase_if(waiting_, [job](const Job& waits) { return waits.id == job; });
    tell(JobForgotten{job});
  }
  Job next_job(const GpuUuid& uuid) {
    for (auto job = waiting_.begin(); job != waiting_.end(); ++job) {
      if (job->failed_on.contains(uuid)) continue;
      Job taken = *job;
      waiting_.erase(job);
      return taken;
    }
    return {JobId{++last_job_}, format("model-{}", rng_.below(4)), Job::Nature::good, {}};
  }
  void dispatch(const GpuUuid& uuid) {
    Truth& gpu = truths_[uuid];
    if (gpu.job || gpu.work == Truth::Work::none) return;
    if (gpu.worker == Truth::Worker::hangs) return fail(uuid, "gets work beside a worker that cannot be ended");
    gpu.job = next_job(uuid);
    const int life = ++gpu.life;
    if (gpu.resident == gpu.job->model) return run_chunk(uuid);
    gpu.resident.clear();
    after(uuid, life, seconds(5), [this, uuid, &gpu] {
      if (gpu.job->model.starts_with("bad")) return end_load(uuid, rng_.chance(0.5) ? Exit::model_load : Exit::crash);
      if (gpu.sick == Truth::Sick::yes && rng_.chance(0.3)) return end_load(uuid, Exit::crash);
      gpu.resident = gpu.job->model;
      run_chunk(uuid);
    });
  }
  void after(const GpuUuid& uuid, int life, Duration delay, std::function<void()> action) {
    in(delay, [this, uuid, life, action = std::move(action)] {
      if (truths_[uuid].life == life) action();
    });
  }
  void run_chunk(const GpuUuid& uuid) {
    Truth& gpu = truths_[uuid];
    tell(ChunkStarted{uuid, gpu.job->id, gpu.job->model});
    if (!gpu.job) return;
    const double length = between(15, 60);
    const int life = gpu.life;
    switch (gpu.job->nature) {
      case Job::Nature::too_large: return after(uuid, life, seconds(2), [=, this] { end(uuid, Exit::out_of_memory); });
      case Job::Nature::malformed: return after(uuid, life, seconds(1), [=, this] { end(uuid, Exit::bad_request); });
      case Job::Nature::poisoned: return after(uuid, life, seconds(length / 2), [=, this] { end(uuid, any_exit()); });
      case Job::Nature::good: break;
    }
    after(uuid, life, seconds(length), [=, this] {
      if (truths_[uuid].sick == Truth::Sick::yes) return end(uuid, any_exit());
      finish(uuid);
    });
  }
  Exit any_exit() {
    constexpr Exit kExits[] = {Exit::sticky_device, Exit::crash, Exit::hung, Exit::invalid_output, Exit::protocol};
    return kExits[rng_.below(std::size(kExits))];
  }
  void finish(const GpuUuid& uuid) {
    Truth& gpu = truths_[uuid];
    const Job job = *gpu.job;
    gpu.job.reset();
    ++counts["jobs done"];
    worked_.insert({uuid, job.model});
    tell(ChunkDone{uuid, job.id, job.model});
    tell(JobForgotten{job.id});
    dispatch(uuid);
  }
  void blame(Truth& gpu) {
    gpu.last_cause = now_;
    gpu.blameless_since = now_;
  }
  void end_load(const GpuUuid& uuid, Exit exit) {
    Truth& gpu = truths_[uuid];
    blame(gpu);
    Job job = *gpu.job;
    give_up(gpu);
    tell(WorkerFailed{uuid, job.id, job.model, Phase::loading, exit, {}});
    in(seconds(1), [this, uuid] { dispatch(uuid); });
  }
  void end(const GpuUuid& uuid, Exit exit) {
    Truth& gpu = truths_[uuid];
    Job job = *gpu.job;
    const bool over = exit == Exit::out_of_memory || exit == Exit::bad_request;
    if (!over) {
      blame(gpu);
      job.failed_on.insert(uuid);
      if (job.nature == Job::Nature::poisoned && job.failed_on.size() > 3)
        fail(uuid, "is the fourth to meet a poisoned job");
      waiting_.push_front(job);
    }
    gpu.job.reset();
    gpu.resident.clear();
    ++gpu.life;
    if (exit == Exit::sticky_device) tell(XidReported{uuid, 31});
    tell(WorkerFailed{uuid, job.id, job.model, Phase::running, exit, {}});
    if (exit == Exit::sticky_device) tell(XidReported{uuid, 45});
    in(seconds(1), [this, uuid] { dispatch(uuid); });
  }

  // --- faults ---

  void break_something() {
    const GpuUuid uuid = format("gpu-{:02}", rng_.below(kGpus));
    Truth& gpu = truths_[uuid];
    const auto kind = rng_.below(12);
    if (kind <= 1) return add(Job::Nature::poisoned);
    if (kind == 2) return add(rng_.chance(0.5) ? Job::Nature::too_large : Job::Nature::malformed);
    if (kind == 3) return add_bad_model();
    if (kind == 4) return throttle(uuid);
    if (!gpu.sound()) return throttle(uuid);
    switch (kind) {
      case 5:
      case 6: return fall_sick(uuid);
      case 7: return get_into(uuid, Truth::Trouble::lost);
      case 8: return get_into(uuid, rng_.chance(0.5) ? Truth::Trouble::reset_asked : Truth::Trouble::reset_silent);
      case 9: return get_into(uuid, Truth::Trouble::off_the_bus);
      case 10: return hang(uuid);
      default: return take_away(uuid);
    }
  }
  void add(Job::Nature nature) {
    ++counts["odd jobs"];
    const Job job{JobId{++last_job_}, format("model-{}", rng_.below(4)), nature, {}};
    if (nature == Job::Nature::poisoned) open_poison_.insert(job.id);
    if (nature == Job::Nature::malformed) malformed_.insert(job.id);
    waiting_.push_back(job);
  }
  void add_bad_model() {
    const ModelKey model = format("bad-{}", ++counts["bad models"]);
    for (int i = 0; i < 5; ++i) waiting_.push_back({JobId{++last_job_}, model, Job::Nature::good, {}});
  }
  void throttle(const GpuUuid& uuid) {
    ++counts["throttled"];
    tell(Throttled{uuid, "thermal"});
    tell(XidReported{uuid, 63});
  }
  void fall_sick(const GpuUuid& uuid) {
    ++counts["sick gpus"];
    truths_[uuid].sick = Truth::Sick::yes;
    in(seconds(between(60, 900)), [this, uuid] {
      truths_[uuid].sick = Truth::Sick::no;
      truths_[uuid].blameless_since = now_;
    });
  }
  void get_into(const GpuUuid& uuid, Truth::Trouble trouble) {
    ++counts["hardware faults"];
    Truth& gpu = truths_[uuid];
    gpu.trouble = trouble;
    gpu.blameless_since = now_;
    if (trouble == Truth::Trouble::lost || trouble == Truth::Trouble::off_the_bus) gpu.presence = Truth::Presence::gone;
    if (gpu.job && rng_.chance(0.5)) {
      end(uuid, Exit::sticky_device);  // its worker notices first
    }
    if (trouble == Truth::Trouble::off_the_bus) tell(XidReported{uuid, 79});
    if (trouble == Truth::Trouble::reset_asked || trouble == Truth::Trouble::reset_silent) tell(XidReported{uuid, 119});
    in(seconds(between(30, 1200)), [this, uuid, trouble] { mend(uuid, trouble); });
  }
  void mend(const GpuUuid& uuid, Truth::Trouble trouble) {
    Truth& gpu = truths_[uuid];
    if (gpu.trouble != trouble) return;  // a reboot was first
    if (trouble != Truth::Trouble::reset_silent || gpu.presence == Truth::Presence::gone) {
      gpu.presence = Truth::Presence::there;
      gpu.trouble = Truth::Trouble::none;
      gpu.blameless_since = now_;
      return;
    }
    gpu.presence = Truth::Presence::gone;  // while it is reset
    in(seconds(10), [this, uuid, trouble] { mend(uuid, trouble); });
  }
  void hang(const GpuUuid& uuid) {
    Truth& gpu = truths_[uuid];
    if (!gpu.job) return;
    ++counts["stuck gpus"];
    gpu.worker = Truth::Worker::hangs;
    Job job = *gpu.job;
    job.failed_on.insert(uuid);
    gpu.job.reset();
    ++gpu.life;
    waiting_.push_front(job);
    tell(WorkerFailed{uuid, job.id, job.model, Phase::running, Exit::unreapable, {}});
    in(seconds(between(30, 1200)), [this, uuid] {
      Truth& stuck = truths_[uuid];
      if (stuck.worker == Truth::Worker::ends) return;
      stuck.worker = Truth::Worker::ends;
      stuck.blameless_since = now_;
      tell(WorkersReaped{uuid});
    });
  }
  void take_away(const GpuUuid& uuid) {
    ++counts["operator's orders"];
    Truth& gpu = truths_[uuid];
    gpu.hold = rng_.chance(0.5) ? Hold::drained : Hold::retired;
    if (gpu.hold == Hold::drained) {
      tell(OperatorDrained{uuid});
    } else {
      tell(OperatorRetired{uuid});
    }
    in(seconds(between(30, 1200)), [this, uuid] {
      truths_[uuid].hold = Hold::none;
      truths_[uuid].blameless_since = now_;
      tell(OperatorResumed{uuid});
    });
  }

  // --- what is seen ---

  void sample() {
    for (auto& [uuid, gpu] : truths_) {
      if (gpu.presence == Truth::Presence::gone) {
        tell(GpuLost{uuid});
      } else {
        const bool asked = gpu.trouble == Truth::Trouble::reset_asked;
        const bool silent = gpu.trouble == Truth::Trouble::reset_silent;
        tell(GpuSeen{uuid, asked ? RecoveryAction::reset : silent ? RecoveryAction::unknown : RecoveryAction::none});
      }
      if (gpu.state == State::draining && gpu.job) tell(StepMade{uuid});
      dispatch(uuid);
      audit(uuid, gpu);
    }
  }

  // --- the auditor ---

  void audit(const StateChanged& row) {
    const GpuUuid& uuid = row.record.gpu;
    const Truth& gpu = truths_[uuid];
    if (row.from == row.record.state) return;
    ++counts[format("-> {}", name(row.record.state))];
    if (row.record.state == State::failed && gpu.trouble == Truth::Trouble::none && gpu.hold != Hold::retired) {
      fail(uuid, "is retired without a reason");
    }
    const Reason reason = row.record.reason;
    if (reason == Reason::canary_failed && gpu.sound()) fail(uuid, "failed a canary while sound");
    if (reason != Reason::failed_two_jobs && reason != Reason::faults_of_three &&
        reason != Reason::failed_on_probation) {
      return;
    }
    ++counts["software quarantines"];
    if (gpu.last_cause + std::chrono::minutes{10} < now_) fail(uuid, "is quarantined though nothing failed there");
    for (const auto& [other, truth] : truths_) {
      if (takes_work(truth.state)) return;
    }
    fail(uuid, "was the last one with work, and is quarantined for software");
  }
  void audit(const GpuUuid& uuid, const Truth& gpu) {
    if (!gpu.sound() || gpu.state == State::healthy || gpu.state == State::suspect) return;
    const Instant latest = std::max(gpu.blameless_since, gpu.until.value_or(kStart)) + kReadmission;
    // On probation: since it got work.
    const auto row = rows_.find(uuid);
    const Instant since = row != rows_.end() && gpu.state == State::probation ? row->second.since : kStart;
    if (now_ > std::max(latest, since + kReadmission)) fail(uuid, "should be back");
  }

  Rng rng_;
  Instant now_ = kStart;
  std::multimap<Instant, std::function<void()>> agenda_;
  Health health_;
  std::map<GpuUuid, GpuRecord> rows_;
  std::map<GpuUuid, Truth> truths_;
  std::set<std::pair<GpuUuid, ModelKey>> worked_;
  std::deque<Job> waiting_;
  std::set<JobId> open_poison_;
  std::set<JobId> malformed_;
  std::set<ModelKey> disabled_;
  std::int64_t last_job_ = 0;
  int server_ = 0;
};

TEST(Simulation, OfADayOfFaultsRetiresNoGpuWronglyAndBringsAllBack) {
  const char* asked = std::getenv("PIXELFLEET_HEALTH_SEED");
  const std::uint64_t seed = asked != nullptr ? std::strtoull(asked, nullptr, 10) : random_seed() % 1'000'000;
  SCOPED_TRACE(format("PIXELFLEET_HEALTH_SEED={}", seed));
  World world(seed);
  world.run();
  std::cout << "seed " << seed << ":";
  for (const auto& [what, count] : world.counts) std::cout << " " << what << " " << count << ",";
  std::cout << "\n";
  EXPECT_GT(world.counts["-> probation"], 100);
  EXPECT_GT(world.counts["software quarantines"], 50);
  EXPECT_GT(world.counts["poisoned jobs found"], 100);
  EXPECT_GT(world.counts["models disabled"], 50);
}

}  // namespace
}  // namespace pixelfleet::health
