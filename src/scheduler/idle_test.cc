// What nobody uses leaves gpus and host memory in its time.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

using std::chrono::seconds;

Policy with_limits(Algorithm algorithm = Algorithm::amp) {
  Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = algorithm};
  policy.host_memory_bytes = 64 * kGiB;
  policy.unload_idle_after = seconds{300};
  policy.drop_idle_after = seconds{600};
  return policy;
}

class IdleTest : public testing::TestWithParam<Algorithm> {
 protected:
  void SetUp() override {
    rig.gpu(0);
    rig.model("a");
  }
  // Job `id` is loaded for, run and published; the gpu idles from now on.
  void run(std::int64_t id) {
    rig.submit(id, "a");
    rig.ready(id);
    rig.finish(id, id);
  }
  Rig::Lines after(seconds time) {
    rig.now += time;
    return rig.give(TimerFired{});
  }

  Rig rig{with_limits(GetParam())};
};

TEST_P(IdleTest, AModelLeavesItsGpuWhenNoJobHasUsedItForTheGivenTime) {
  run(1);
  EXPECT_THAT(after(seconds{299}), Not(Contains("StopWorker 1")));
  EXPECT_THAT(after(seconds{1}), Contains("StopWorker 1"));
  EXPECT_THAT(rig.view(0).resident_models, IsEmpty());
  EXPECT_THAT(rig.submit(2, "a"), Contains("StartWorker 2 gpu-0 a"));
}

TEST_P(IdleTest, TheWishToBeWokenCoversIt) {
  rig.submit(1, "a");
  rig.ready(1);
  rig.made(1, 0);
  rig.now += seconds{7};
  EXPECT_THAT(rig.ended(1), Contains("WakeAt 1307000000"));
}

TEST_P(IdleTest, AJobOnTheWayStartsTheTimeAnew) {
  run(1);
  rig.now += seconds{200};
  rig.submit(2, "a");
  rig.made(2, 0);
  rig.now += seconds{200};
  EXPECT_THAT(rig.give(TimerFired{}), Not(Contains("StopWorker 1"))) << "it runs";
  rig.ended(2);
  rig.published(2);
  EXPECT_THAT(after(seconds{299}), Not(Contains("StopWorker 1")));
  EXPECT_THAT(after(seconds{1}), Contains("StopWorker 1"));
}

TEST_P(IdleTest, APinnedModelStays) {
  Policy policy = with_limits(GetParam());
  policy.pinned_models = {"a"};
  rig.give(PolicyChanged{policy});
  run(1);
  EXPECT_THAT(after(seconds{3000}), IsEmpty());
  EXPECT_THAT(rig.give(PolicyChanged{with_limits(GetParam())}), ElementsAre("WakeAt 4000001000"));
  EXPECT_THAT(after(seconds{1}), Contains("StopWorker 1"));
}

INSTANTIATE_TEST_SUITE_P(EveryPolicy, IdleTest, testing::Values(Algorithm::amp, Algorithm::v18, Algorithm::fifo));

TEST(Idle, AModelThatAJobWaitsForStays) {
  Rig rig(with_limits());
  rig.gpu(0, 24);
  rig.model("a", 20);
  rig.model("b", 20);
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit_pinned(2, "a", "gpu-0");
  rig.finish(1, 1);
  rig.ended(2);  // job 2 runs in chunk 2
  rig.submit(3, "b");
  rig.now += seconds{1000};
  EXPECT_THAT(rig.give(TimerFired{}), Not(Contains("StopWorker 2"))) << "b loads or waits, and is wanted";
}

TEST(Idle, WithoutLimitsNothingLeavesAndNobodyIsWoken) {
  Policy policy = with_limits();
  policy.unload_idle_after.reset();
  policy.drop_idle_after.reset();
  Rig rig(policy);
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  rig.give(ModelStaged{"a"});
  rig.now += std::chrono::hours{1000};
  EXPECT_THAT(rig.give(TimerFired{}), IsEmpty());
  EXPECT_THAT(rig.view(0).resident_models, ElementsAre("a"));
}

TEST(Idle, FilesLeaveHostMemoryWhenTheirModelIsNotUsed) {
  Rig rig(with_limits());
  rig.gpu(0);
  ModelFacts model{"a", Engine::synthetic, 8 * kGiB};
  model.file_bytes = 8 * kGiB;
  rig.give(ModelKnown{model});
  EXPECT_THAT(rig.give(ModelStaged{"a"}), ElementsAre("WakeAt 1600000000"));
  rig.now += seconds{500};
  rig.submit(1, "a");
  rig.ready(1);
  rig.now += seconds{500};
  EXPECT_THAT(rig.give(TimerFired{}), Not(Contains("UnstageModel a"))) << "it runs";
  rig.finish(1, 1);
  rig.now += seconds{300};
  rig.give(TimerFired{});
  EXPECT_THAT(rig.view(0).resident_models, IsEmpty());
  rig.now += seconds{299};
  EXPECT_THAT(rig.give(TimerFired{}), Not(Contains("UnstageModel a")));
  rig.now += seconds{1};
  EXPECT_THAT(rig.give(TimerFired{}), ElementsAre("UnstageModel a"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
