// Jobs of one model that may run on different gpus: none hides another one from the amp policy.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

Policy amp() {
  Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 1, .algorithm = Algorithm::amp};
  policy.tuning.background_guard_seconds = 60.0;
  return policy;
}

TEST(AmpPins, AnEmptyGpuThatIsNotTheFirstOfItsKindIsLoadedForAJobPinnedToIt) {
  Rig rig(amp());
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  EXPECT_THAT(rig.submit_pinned(1, "a", "gpu-1"), Contains("StartWorker 1 gpu-1 a"));
}

TEST(AmpPins, AnEmptyGpuOfMoreMemoryIsLoadedForAModelThatFitsNoSmallerOne) {
  Rig rig(amp());
  rig.gpu(0, 8);
  rig.gpu(1, 24);
  rig.model("a", 20);
  EXPECT_THAT(rig.submit(1, "a"), Contains("StartWorker 1 gpu-1 a"));
}

TEST(AmpPins, AnOverdueJobIsSeenBehindAnEarlierOneThatIsPinnedToABusyGpu) {
  Rig rig(amp());
  rig.gpu(0);
  rig.gpu(1);
  for (const char* model : {"x", "y", "a"}) rig.model(model);
  rig.submit_pinned(1, "x", "gpu-0");
  rig.submit_pinned(2, "y", "gpu-1");
  rig.ready(1);
  rig.ready(2);
  JobFacts pinned;
  pinned.model = "a";
  pinned.priority = Priority::background;
  for (const int gpu : {0, 1}) {
    pinned.id = JobId{3 + gpu};
    pinned.pin = "gpu-" + std::to_string(gpu);
    rig.submit(pinned);
  }
  rig.now += std::chrono::hours{1};
  rig.submit_urgent(5, "y");
  rig.made(2, 0);
  EXPECT_THAT(rig.ended(2), IsSupersetOf({"StopWorker 2", "StartWorker 3 gpu-1 a"}));
}

TEST(AmpPins, AModelThatNobodyWaitsForAnyMoreIsNotKeptForItsJobThatWasOverdue) {
  Rig rig(amp());
  rig.gpu(0);
  rig.model("a");
  rig.model("b");
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "a");
  rig.now += std::chrono::hours{1};
  rig.made(1, 0);
  rig.ended(1);  // the second one starts, overdue
  rig.made(2, 0);
  rig.ended(2);
  EXPECT_THAT(rig.submit(3, "b"), IsSupersetOf({"StopWorker 1", "StartWorker 2 gpu-0 b"}));
}

TEST(AmpOverdue, WhileOneWaitsForAFreeGpuNothingElseIsLoadedBesideTheRun) {
  Policy policy = amp();
  policy.resident_limit = 2;
  Rig rig(policy);
  rig.gpu(0, 24);
  rig.model("a", 8);
  rig.model("b", 8);
  rig.model("large", 20);  // not beside a
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "large");
  rig.now += std::chrono::hours{1};
  EXPECT_THAT(rig.submit(3, "b"), IsEmpty());
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), IsSupersetOf({"StopWorker 1", "StartWorker 2 gpu-0 large"}));
}

}  // namespace
}  // namespace pixelfleet::scheduler
