// What the loop makes of sharing's verdicts: when others come our chunk is the last one there, and their memory is not
// planned with.
#include <gmock/gmock.h>

#include "control/testing.h"

namespace pixelfleet::control {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kTheirs = 4711;

class GpuSharingTest : public testing::LoopTest {
 protected:
  void SetUp() override {
    configured.multi_gpu_enabled = true;
    open();
    turn(GpusSeen{{{"gpu-0", 0, "H100", GpuKind::nvidia, 24 * kGiB}}});
  }
  // A sample with somebody else's process of so much memory; 0: nobody's. Ours are in it by their pids.
  void sample(std::int64_t theirs) {
    GpuSample sample;
    sample.uuid = "gpu-0";
    std::int64_t used = theirs;
    sample.detail.processes.emplace();
    if (theirs > 0) sample.detail.processes->push_back({kTheirs, GpuProcess::Kind::compute, theirs, "train.py"});
    for (const auto& [worker, pid] : pids_) {
      sample.detail.processes->push_back({pid, GpuProcess::Kind::compute, 4 * kGiB, "pixelfleet"});
      used += 4 * kGiB;
    }
    sample.memory_used_bytes = used;
    sample.memory_free_bytes = 24 * kGiB - used;
    turn(GpuSamples{{sample}});
  }
  void seconds_with(int seconds, std::int64_t theirs) {
    for (int i = 0; i < seconds; ++i) {
      clock.at += std::chrono::seconds{1};
      sample(theirs);
    }
  }
  void start_worker() {
    const WorkerId worker = workers.started.back().id;
    pids_[worker] = 100 + worker.value;
    turn(WorkerIsSpawned{worker, pids_[worker]});
    make_ready();
  }
  void end_chunk() {
    const ChunkRequest& chunk = workers.requests.back();
    turn(ChunkIsOver{chunk.worker, chunk.id, "done", {}});
  }
  GpuStatus status() { return loop->live()->gpus.at(0); }

  std::map<WorkerId, std::int64_t> pids_;
};

TEST_F(GpuSharingTest, NothingStartsBeforeItIsKnownWhoIsThere) {
  ASSERT_TRUE(submit());
  EXPECT_THAT(workers.started, IsEmpty());
  EXPECT_EQ(loop->live()->counts.held, 0) << "nor is it held for a moment";
  sample(0);
  EXPECT_THAT(workers.started, SizeIs(1));
}

TEST_F(GpuSharingTest, NorDoesAnythingStartOnAGpuThatArrivesLater) {
  sample(0);
  turn(GpusSeen{{{"gpu-0", 0, "H100", GpuKind::nvidia, 24 * kGiB}, {"gpu-1", 1, "H100", GpuKind::nvidia, 24 * kGiB}}});
  JobSpec spec;
  spec.prompt = "fox";
  spec.gpu = "gpu-1";
  turn(SubmitJobs{{spec}, [](const Result<SubmitReceipt>& receipt) { ASSERT_TRUE(receipt); }});
  EXPECT_THAT(workers.started, IsEmpty());
  GpuSample nobody;
  nobody.uuid = "gpu-1";
  nobody.detail.processes.emplace();
  turn(GpuSamples{{nobody}});
  EXPECT_THAT(workers.started, SizeIs(1));
}

TEST_F(GpuSharingTest, WhenOthersComeTheChunkFinishesTheWorkerLeavesAndWeComeBackAfterAQuietTime) {
  sample(0);
  ASSERT_TRUE(submit());
  start_worker();
  ASSERT_TRUE(submit());
  seconds_with(3, 12 * kGiB);
  EXPECT_EQ(status().sharing.verdict, "leaving");
  ASSERT_THAT(status().sharing.reasons, SizeIs(1));
  EXPECT_EQ(status().sharing.reasons[0].kind, "others_compute");
  EXPECT_EQ(status().sharing.reasons[0].name, "train.py");
  EXPECT_EQ(status().sharing.reasons[0].pid, kTheirs);
  EXPECT_THAT(workers.requests, SizeIs(1)) << "one chunk, the last one";
  end_chunk();
  EXPECT_THAT(diary, Contains(HasSubstr("stop worker")));
  turn(WorkerHasEnded{workers.started.back().id});
  pids_.clear();
  seconds_with(5, 12 * kGiB);
  EXPECT_EQ(status().sharing.verdict, "closed");
  seconds_with(50, 0);
  EXPECT_THAT(workers.started, SizeIs(1));
  seconds_with(20, 0);
  EXPECT_THAT(workers.started, SizeIs(2)) << "after a minute without them";
}

TEST_F(GpuSharingTest, OurOwnWorkersAreNobodyElse) {
  sample(0);
  ASSERT_TRUE(submit());
  start_worker();
  end_chunk();
  seconds_with(30, 0);
  EXPECT_EQ(status().sharing.verdict, "open");
}

TEST_F(GpuSharingTest, ACanaryThatLoadsWhenOthersComeGoesAndIsTriedAgainWhenTheyHaveLeft) {
  sample(0);
  turn(GpusSeen{});
  turn(GpusSeen{{{"gpu-0", 0, "H100", GpuKind::nvidia, 24 * kGiB}}});
  seconds_with(31, 0);
  ASSERT_THAT(workers.started, SizeIs(1)) << "the canary";
  const WorkerId canary = workers.started.back().id;
  pids_[canary] = 101;
  turn(WorkerIsSpawned{canary, 101});
  seconds_with(1, 12 * kGiB);
  EXPECT_THAT(diary, Contains(format("stop worker {}", canary.value)));
  turn(WorkerIsReady{canary, {}, "synthetic", "1", 0, 0.0});  // that crossed the order
  EXPECT_THAT(workers.requests, IsEmpty());
  EXPECT_EQ(status().health.state, "quarantined") << "nor has it failed";
  turn(WorkerHasEnded{canary});
  pids_.clear();
  seconds_with(50, 0);
  EXPECT_THAT(workers.started, SizeIs(1));
  seconds_with(60, 0);
  EXPECT_THAT(workers.started, SizeIs(2));
}

TEST_F(GpuSharingTest, SomebodyMaySayToUseItAnyway) {
  sample(12 * kGiB);
  seconds_with(3, 12 * kGiB);
  ASSERT_TRUE(submit());
  EXPECT_THAT(workers.started, IsEmpty());
  Result<GpuStatus> answer = fail(ErrorCode::internal, "no reply");
  turn(OverrideGpu{"0", std::chrono::minutes{5}, [&](Result<GpuStatus> status) { answer = std::move(status); }});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->sharing.overridden, GpuSharing::Override::yes);
  EXPECT_THAT(workers.started, SizeIs(1));
  turn(OverrideGpu{"7", std::chrono::minutes{5}, [&](Result<GpuStatus> status) { answer = std::move(status); }});
  EXPECT_THAT(answer.error().message, HasSubstr("no gpu is called 7"));
}

TEST_F(GpuSharingTest, TheirMemoryIsNotPlannedWith) {
  turn(ChangeSettings{R"({"sharing.share": "always"})", [](const Result<LiveSettings>& done) { ASSERT_TRUE(done); }});
  seconds_with(3, 22 * kGiB);
  EXPECT_EQ(status().memory.plan_bytes, 2 * kGiB);
  EXPECT_EQ(status().memory.others_bytes, 22 * kGiB);
  ASSERT_TRUE(submit());  // 4 GiB
  EXPECT_THAT(workers.started, IsEmpty());
  EXPECT_EQ(loop->live()->counts.held, 1) << "it waits, it does not fail";
  seconds_with(40, 0);
  EXPECT_THAT(workers.started, SizeIs(1));
}

TEST_F(GpuSharingTest, QuietHoursThatCannotBeReadAreRefused) {
  std::string message;
  turn(ChangeSettings{
      R"({"sharing.gpus": {"gpu-0": {"quiet_hours": "25:00-3:00"}}})",
      [&](const Result<LiveSettings>& done) { message = done ? "accepted" : done.error().fields.at(0).field; }});
  EXPECT_EQ(message, "sharing.gpus");
}

}  // namespace
}  // namespace pixelfleet::control
