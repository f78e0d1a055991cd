// What the loop makes of health's verdicts: whom it lets work, what it stores and tells, and how a gpu comes back.
#include <gmock/gmock.h>

#include "base/log.h"
#include "control/gpu_rows.h"
#include "control/testing.h"

namespace pixelfleet::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class Grey final : public Pixels {
 public:
  explicit Grey(bool one_colour) {
    if (!one_colour) bytes_[5] = 1;
  }
  std::span<const std::uint8_t> bytes() const override { return bytes_; }
  int width() const override { return 2; }
  int height() const override { return 1; }

 private:
  std::array<std::uint8_t, 6> bytes_{7, 7, 7, 7, 7, 7};
};

class GpuHealthTest : public testing::LoopTest {
 protected:
  void SetUp() override {
    configured.multi_gpu_enabled = true;
    configured.multi_gpu_max_gpus = 8;
  }
  static Gpu gpu(int index) { return {format("gpu-{}", index), index, "V", GpuKind::virtual_gpu, 24 * kGiB}; }
  void gpus(std::vector<int> indices) {
    GpusSeen seen;
    for (const int index : indices) seen.gpus.push_back(gpu(index));
    turn(std::move(seen));
  }
  void open_with(std::vector<int> indices) {
    open();
    gpus(std::move(indices));
  }
  void later(std::chrono::seconds seconds) {
    clock.at += seconds;
    turn();
  }
  // Whatever has started and waits is made ready.
  void ready_all() {
    for (; ready_ < workers.started.size(); ++ready_) {
      turn(WorkerIsReady{workers.started[ready_].id, {}, "synthetic", "1", 0, 0.0});
    }
  }
  // The chunk that runs on the gpu, by its worker; the last one given.
  const ChunkRequest* chunk_on(const GpuUuid& uuid) {
    const ChunkRequest* found = nullptr;
    for (const ChunkRequest& request : workers.requests) {
      for (const WorkerSpec& spec : workers.started) {
        if (spec.id == request.worker && spec.gpu.uuid == uuid) found = &request;
      }
    }
    return found;
  }
  void crash_on(const GpuUuid& uuid) {
    const ChunkRequest* chunk = chunk_on(uuid);
    ASSERT_NE(chunk, nullptr);
    turn(WorkerIsGone{chunk->worker, {"engine_died", "signal 11", {"assert failed"}}, false});
  }
  // Two different jobs kill their workers on gpu-0.
  void break_gpu_0() {
    for (int i = 1; i <= 2; ++i) {
      submit_pinned("gpu-0");
      ready_all();
      crash_on("gpu-0");
      turn(CancelJob{JobId{i}, [](const Result<Job>&) {}});
    }
    ready_ = workers.started.size();
  }
  void submit_pinned(const GpuUuid& uuid) {
    JobSpec spec;
    spec.prompt = "fox";
    spec.gpu = uuid;
    turn(SubmitJobs{{spec}, [](const Result<SubmitReceipt>& receipt) { ASSERT_TRUE(receipt); }});
  }
  GpuStatus status(int index) {
    for (const GpuStatus& each : loop->live()->gpus) {
      if (each.gpu.index == index) return each;
    }
    return {};
  }
  std::string health(int index) { return status(index).health.state; }
  std::vector<std::string> rows() const {
    std::vector<std::string> texts;
    for (const Change& change : store.rows) {
      if (const auto* row = std::get_if<AppendGpuState>(&change)) {
        texts.push_back(format("{} {} -> {} {}", row->row.gpu, row->row.from, row->row.state, row->row.reason));
      }
    }
    return texts;
  }
  WorkerId canary() { return workers.started.back().id; }
  void pass_canary(bool good = true) {
    const WorkerId worker = canary();
    turn(WorkerIsReady{worker, {}, "synthetic", "1", 0, 0.0});
    ready_ = workers.started.size();
    const ChunkRequest request = workers.requests.back();
    ASSERT_EQ(request.worker, worker);
    turn(ImageArrived{worker, request.id, 0, request.items.at(0).seed, 0.1, std::make_shared<Grey>(!good)});
    if (good) turn(ChunkIsOver{worker, request.id, "done", {}});
  }
  std::string order(const GpuUuid& uuid, OrderGpu::Wish wish) {
    std::string answer = "no reply";
    turn(OrderGpu{uuid, wish, [&](const Result<GpuStatus>& status) {
                    answer = status ? status->health.state : status.error().message;
                  }});
    return answer;
  }

  // What the log says while something is done.
  template <class Do>
  std::string logged(Do something) {
    log::configure(log::Level::info, log::Style::text);
    ::testing::internal::CaptureStderr();
    something();
    return ::testing::internal::GetCapturedStderr();
  }

  std::size_t ready_ = 0;
};

TEST_F(GpuHealthTest, WarnsOfListedGpusThatAreMissing) {
  configured.multi_gpu_list = {"gpu-1", "GPU-of-another-machine"};
  const std::string missing = "multi_gpu.gpus names GPU-of-another-machine, which is not here; here are ";
  EXPECT_THAT(logged([&] { open(); }), Not(HasSubstr("which is not here"))) << "nothing is known yet";
  const std::string first = logged([&] { gpus({0, 1}); });
  EXPECT_THAT(first, HasSubstr(missing + "gpu-0 (0), gpu-1 (1)"));
  EXPECT_THAT(first, Not(HasSubstr("names gpu-1,")));
  EXPECT_THAT(logged([&] { gpus({0, 1}); }), Not(HasSubstr("which is not here"))) << "the same list says nothing new";
  EXPECT_THAT(logged([&] { gpus({0}); }), HasSubstr("names gpu-1, which is not here; here are gpu-0 (0)"));
  EXPECT_THAT(logged([&] { gpus({}); }), HasSubstr(missing + "none"));
}

TEST_F(GpuHealthTest, WarnsOfListedGpusThatAreMissingWhenTheListIsChangedAndOnlyThen) {
  open_with({0, 1});
  const auto change = [&](const char* json) {
    return logged([&] { turn(ChangeSettings{json, [](const Result<LiveSettings>& done) { ASSERT_TRUE(done); }}); });
  };
  EXPECT_THAT(change(R"({"multi_gpu.gpus": ["gpu-9"]})"),
              HasSubstr("multi_gpu.gpus names gpu-9, which is not here; here are gpu-0 (0), gpu-1 (1)"));
  EXPECT_THAT(change(R"({"multi_gpu.max_gpus": 2})"), Not(HasSubstr("which is not here")));
}

TEST_F(GpuHealthTest, AGpuThatFailsTwoJobsGetsNoWorkUntilACanaryHasLived) {
  open_with({0, 1});
  break_gpu_0();
  EXPECT_EQ(health(0), "quarantined");
  EXPECT_EQ(status(0).state, GpuState::closed);
  EXPECT_THAT(rows(), ElementsAre("gpu-0 healthy -> suspect fault", "gpu-0 suspect -> quarantined failed_two_jobs"));
  EXPECT_THAT(status(0).health.evidence, Contains(HasSubstr("assert failed")));
  const std::size_t before = workers.started.size();

  later(std::chrono::seconds{29});
  EXPECT_THAT(workers.started, SizeIs(before));
  later(std::chrono::seconds{1});
  ASSERT_THAT(workers.started, SizeIs(before + 1)) << "the canary";
  EXPECT_EQ(workers.started.back().gpu.uuid, "gpu-0");
  pass_canary();
  EXPECT_EQ(health(0), "probation");
  EXPECT_THAT(diary, Contains(format("stop worker {}", workers.started[before].id.value))) << "the canary goes";
  EXPECT_THAT(media.pictures, IsEmpty()) << "its picture goes nowhere";
}

TEST_F(GpuHealthTest, ACanaryThatDiesOrPaintsOneColourLengthensTheQuarantine) {
  open_with({0, 1});
  break_gpu_0();
  later(std::chrono::seconds{30});
  turn(WorkerIsGone{canary(), {"engine_died", "signal 11", {}}, false});
  ready_ = workers.started.size();
  EXPECT_THAT(rows().back(), HasSubstr("canary_failed"));
  const std::size_t before = workers.started.size();
  later(std::chrono::seconds{59});
  EXPECT_THAT(workers.started, SizeIs(before));
  later(std::chrono::seconds{1});
  ASSERT_THAT(workers.started, SizeIs(before + 1));
  pass_canary(false);
  EXPECT_EQ(health(0), "quarantined");
}

TEST_F(GpuHealthTest, ACanaryGoesOnWhenItsGpuIsExoneratedMeanwhile) {
  open_with({0, 1});
  for (int i = 1; i <= 2; ++i) {
    submit_pinned("gpu-0");
    ready_all();
    crash_on("gpu-0");
    if (i == 1) turn(OrderJob{JobId{1}, HoldJob{}, [](const Result<Job>&) {}});
  }
  EXPECT_EQ(health(0), "quarantined");
  ready_ = workers.started.size();
  later(std::chrono::seconds{30});
  ASSERT_GT(workers.started.size(), ready_);
  const WorkerId the_canary = canary();
  ready_ = workers.started.size();
  ChangeJob elsewhere;
  elsewhere.gpu = "gpu-1";
  turn(OrderJob{JobId{2}, elsewhere, [](const Result<Job>& job) { ASSERT_TRUE(job); }});
  ready_all();
  crash_on("gpu-1");
  EXPECT_THAT(rows(), Contains("gpu-0 quarantined -> quarantined exonerated"));
  EXPECT_THAT(diary, Not(Contains(format("stop worker {}", the_canary.value))));
  turn(WorkerIsReady{the_canary, {}, "synthetic", "1", 0, 0.0});
  const ChunkRequest request = workers.requests.back();
  turn(ImageArrived{the_canary, request.id, 0, request.items.at(0).seed, 0.1, std::make_shared<Grey>(false)});
  turn(ChunkIsOver{the_canary, request.id, "done", {}});
  EXPECT_EQ(health(0), "probation");
}

TEST_F(GpuHealthTest, ACanaryThatIsNotAnsweredIsStopped) {
  open_with({0, 1});
  break_gpu_0();
  later(std::chrono::seconds{30});
  const WorkerId the_canary = canary();
  later(std::chrono::minutes{5});
  EXPECT_THAT(rows().back(), HasSubstr("canary_unanswered"));
  EXPECT_THAT(diary, Contains(format("stop worker {}", the_canary.value)));
}

TEST_F(GpuHealthTest, ACanaryWithoutMemorySaysNothingAndIsTriedAgain) {
  open_with({0, 1});
  break_gpu_0();
  later(std::chrono::seconds{30});
  const std::size_t before = workers.started.size();
  turn(WorkerIsGone{canary(), {"out_of_memory", "cudaMalloc failed", {}}, false});
  ready_ = workers.started.size();
  EXPECT_EQ(health(0), "quarantined");
  EXPECT_THAT(rows().back(), HasSubstr("failed_two_jobs")) << "no longer than before";
  later(std::chrono::seconds{30});
  ASSERT_THAT(workers.started, SizeIs(before + 1));
  pass_canary();
  EXPECT_EQ(health(0), "probation");
}

TEST_F(GpuHealthTest, ACanaryThatCannotBeEndedLeavesItsGpuStuckUntilItIsGone) {
  open_with({0, 1});
  break_gpu_0();
  later(std::chrono::seconds{30});
  turn(WorkerIsGone{canary(), {"gpu_stuck", "it does not end although it was killed", {}}, false});
  EXPECT_EQ(health(0), "stuck");
  const std::size_t before = workers.started.size();
  later(std::chrono::hours{1});
  EXPECT_THAT(workers.started, SizeIs(before));
  turn(GpuReaped{"gpu-0"});
  EXPECT_THAT(workers.started, SizeIs(before + 1)) << "its back-off is over: the next canary";
}

TEST_F(GpuHealthTest, ANewServerKnowsNoWorkerThatCannotBeEndedAndFindsOutByACanary) {
  health::StateChanged change;
  change.record.gpu = "gpu-0";
  change.record.state = health::State::stuck;
  change.record.reason = health::Reason::unreapable;
  change.record.workers = health::Workers::unreapable;
  change.record.since = change.record.until.emplace(clock.at);
  store.restored.gpu_states = {row_of(change, clock.at, "")};
  open_with({0, 1});
  EXPECT_THAT(rows(), Contains("gpu-0 stuck -> quarantined reaped"));
  later(std::chrono::seconds{30});
  ASSERT_THAT(workers.started, SizeIs(1)) << "the canary";
  pass_canary();
  EXPECT_EQ(health(0), "probation");
}

TEST_F(GpuHealthTest, AJobThatFailsOnTwoGpusKeepsItsLastAttempt) {
  open_with({0, 1, 2});
  ASSERT_TRUE(submit());
  for (int deaths = 1; deaths <= 2; ++deaths) {
    ready_all();
    turn(WorkerIsGone{workers.requests.back().worker, {"engine_died", "signal 11", {}}, false});
  }
  ready_all();
  EXPECT_THAT(workers.requests, SizeIs(3));
  EXPECT_EQ(health(0), "healthy") << "the job is to blame";
  EXPECT_EQ(health(1), "healthy");
}

TEST_F(GpuHealthTest, ALostGpuIsOutUntilItIsSeenAgainAndACanaryHasLived) {
  open_with({0, 1});
  gpus({1});
  EXPECT_THAT(rows(), ElementsAre("gpu-0 healthy -> failed lost"));
  gpus({0, 1});
  EXPECT_EQ(health(0), "quarantined");
  submit_pinned("gpu-0");
  EXPECT_THAT(workers.started, IsEmpty());
  later(std::chrono::seconds{30});
  pass_canary();
  ready_all();
  EXPECT_EQ(workers.started.back().gpu.uuid, "gpu-0") << "its job starts at last";
}

TEST_F(GpuHealthTest, TheOnlyGpuComesBackAtOnce) {
  open_with({0});
  gpus({});
  gpus({0});
  ASSERT_THAT(workers.started, SizeIs(1)) << "the canary";
  pass_canary();
  EXPECT_EQ(health(0), "probation");
}

TEST_F(GpuHealthTest, XidsAndTheDriversWordsCountInTheSampleThatTheyComeWith) {
  open_with({0, 1});
  GpuSample sample;
  sample.uuid = "gpu-0";
  sample.detail.driver_code = 15;
  sample.detail.xids = {{79, 1}};
  turn(GpuSamples{{sample}});
  EXPECT_EQ(health(0), "failed");
  EXPECT_EQ(status(0).health.reason, "reboot_needed") << "the Xid says more than that it is lost";
  sample.uuid = "gpu-1";
  sample.detail = {};
  sample.detail.recovery_action = GpuRecovery::reset;
  turn(GpuSamples{{sample}});
  EXPECT_EQ(status(1).health.reason, "reset_needed");
}

TEST_F(GpuHealthTest, ARestartForgetsNoQuarantine) {
  health::StateChanged change;
  change.record.gpu = "gpu-0";
  change.record.state = health::State::quarantined;
  change.record.reason = health::Reason::failed_two_jobs;
  change.record.since = clock.at;
  change.record.until = clock.at + std::chrono::seconds{30};
  store.restored.gpu_states = {row_of(change, clock.at, "")};
  open_with({0, 1});
  EXPECT_EQ(health(0), "quarantined");
  submit_pinned("gpu-0");
  EXPECT_THAT(workers.started, IsEmpty());
  later(std::chrono::seconds{30});
  EXPECT_THAT(workers.started, SizeIs(1)) << "the canary";
}

TEST_F(GpuHealthTest, AMachineThatWasRestartedHasRestartedItsGpusAServerHasNot) {
  const auto open_after_reboot_needed = [this](const std::string& boot_then, const std::string& boot_now) {
    health::StateChanged change;
    change.record.gpu = "gpu-0";
    change.record.state = health::State::failed;
    change.record.reason = health::Reason::reboot_needed;
    change.record.hardware = health::Hardware::reboot_needed;
    change.record.since = clock.at;
    change.record.until = clock.at + std::chrono::seconds{30};
    store.restored.gpu_states = {row_of(change, clock.at, boot_then)};
    boot_id = boot_now;
    open_with({0, 1});
  };
  open_after_reboot_needed("boot 1", "boot 1");
  EXPECT_EQ(health(0), "failed") << "seen again, but by another server of the same boot";
  open_after_reboot_needed("boot 1", "boot 2");
  EXPECT_EQ(health(0), "quarantined") << "to be tried";
}

TEST_F(GpuHealthTest, ADrainedGpuFinishesARetiredOneDoesNotAndBothComeBackWhenResumed) {
  open_with({0, 1});
  submit_pinned("gpu-0");
  submit_pinned("gpu-1");
  ready_all();
  diary.clear();
  EXPECT_EQ(order("gpu-0", OrderGpu::Wish::drain), "draining");
  EXPECT_EQ(status(0).state, GpuState::draining);
  EXPECT_THAT(diary, Not(Contains(HasSubstr("stop worker"))));
  EXPECT_EQ(order("1", OrderGpu::Wish::retire), "failed");
  EXPECT_THAT(diary, Contains(HasSubstr("stop worker")));
  EXPECT_EQ(order("gpu-0", OrderGpu::Wish::resume), "healthy");
  EXPECT_THAT(order("gpu-7", OrderGpu::Wish::drain),
              HasSubstr("no gpu is called gpu-7; here are gpu-0 (0), gpu-1 (1)"));
  EXPECT_THAT(order("gpu-0", OrderGpu::Wish::resume), "healthy") << "nothing to do";
}

TEST_F(GpuHealthTest, AModelThatNoGpuCouldLoadWaitsUntilItIsEnabled) {
  open_with({0, 1, 2});
  ASSERT_TRUE(submit());
  for (int i = 0; i < 3; ++i) {
    turn(WorkerIsGone{workers.started.back().id, {"engine_died", "signal 11", {}}, false});
    later(std::chrono::seconds{31});
    if (loop->catalog()->models.front().state != ModelState::installed) break;
  }
  EXPECT_EQ(loop->catalog()->models.front().state, ModelState::unloadable);
  EXPECT_THAT(loop->catalog()->models.front().reason, HasSubstr("it is disabled"));
  EXPECT_EQ(loop->live()->counts.held, 1);
  const std::size_t before = workers.started.size();
  Result<Model> answer = fail(ErrorCode::internal, "no reply");
  turn(EnableModel{"demo-landscape", [&](Result<Model> model) { answer = std::move(model); }});
  EXPECT_TRUE(answer);
  EXPECT_GT(workers.started.size(), before);
  turn(EnableModel{"demo-landscape", [&](Result<Model> model) { answer = std::move(model); }});
  EXPECT_EQ(answer.error().message, "model demo-landscape is not disabled");
}

TEST_F(GpuHealthTest, ARestartForgetsNoDisabledModel) {
  store.restored.disabled_models = {{"demo-landscape", "three loads failed", {"signal 11"}, "", clock.at}};
  open_with({0});
  EXPECT_EQ(loop->catalog()->models.front().state, ModelState::unloadable);
  EXPECT_THAT(loop->catalog()->models.front().reason, HasSubstr("three loads failed"));
  turn(EnableModel{"demo-landscape", [](const Result<Model>& model) { EXPECT_TRUE(model); }});
  ASSERT_TRUE(submit());
  EXPECT_THAT(workers.started, SizeIs(1));
}

TEST_F(GpuHealthTest, AJobsLastAttemptIsNotMadeOnAGpuOnProbation) {
  open_with({0, 1, 2});
  break_gpu_0();
  later(std::chrono::seconds{30});
  pass_canary();
  ASSERT_EQ(health(0), "probation");
  submit_pinned("gpu-1");
  const JobId job = store.jobs.rbegin()->first;
  for (int deaths = 1; deaths <= 2; ++deaths) {
    ready_all();
    crash_on("gpu-1");
  }
  ChangeJob anywhere;
  anywhere.gpu.emplace(std::nullopt);
  turn(OrderJob{job, anywhere, [](const Result<Job>& changed) { ASSERT_TRUE(changed); }});
  EXPECT_EQ(workers.started.back().gpu.uuid, "gpu-2");
}

TEST_F(GpuHealthTest, WhatSlowsACardDownIsEvidenceOnceForAsLongAsItLasts) {
  open_with({0, 1});
  const auto throttled_by = [this](std::vector<std::string> reasons, std::vector<GpuXid> xids = {}) {
    GpuSample sample;
    sample.uuid = "gpu-0";
    sample.detail.throttle_reasons = std::move(reasons);
    sample.detail.xids = std::move(xids);
    turn(GpuSamples{{sample}});
  };
  throttled_by({"sw_power_cap", "hw_thermal"});
  throttled_by({"sw_power_cap", "hw_thermal"}, {{31, 1}});  // a note between, for one that repeats the last is left out
  throttled_by({"hw_thermal"});
  throttled_by({"sw_power_cap"});
  throttled_by({"hw_power_brake"});
  EXPECT_EQ(health(0), "healthy") << "it is no fault";
  submit_pinned("gpu-0");
  ready_all();
  crash_on("gpu-0");
  ASSERT_EQ(health(0), "suspect");
  EXPECT_THAT(status(0).health.evidence,
              ElementsAre(HasSubstr("crash"), "signal 11", "assert failed", "throttled: hw_thermal",
                          HasSubstr("Xid 31"), "throttled: hw_power_brake"));
}

TEST_F(GpuHealthTest, MachinesThatLoseHalfTheirGpusRaiseAnAlarm) {
  open_with({0, 1, 2});
  gpus({2});
  ASSERT_THAT(loop->live()->alarms, SizeIs(1));
  EXPECT_EQ(loop->live()->alarms[0].fault, "lost");
  EXPECT_THAT(loop->live()->alarms[0].gpus, ElementsAre("gpu-0", "gpu-1"));
  later(std::chrono::seconds{301});
  EXPECT_THAT(loop->live()->alarms, IsEmpty());
}

}  // namespace
}  // namespace pixelfleet::control
