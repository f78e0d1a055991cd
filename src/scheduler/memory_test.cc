// What fits on a gpu under the amp policy, when what is known of it changes under way.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Policy amp() {
  return {.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
}

TEST(GpuMemory, ARunningWorkerHoldsWhatItStartedWithAfterItsModelBecameSmaller) {
  Rig rig(amp());
  rig.gpu(0, 24);
  rig.model("a", 8);
  rig.model("b", 20);
  rig.submit(1, "a");
  rig.ready(1);
  rig.model("a", 2);
  EXPECT_THAT(rig.submit(2, "b"), IsEmpty());  // 8 + 20 > 24
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("StopWorker 1", "StartWorker 2 gpu-0 b"));
}

TEST(GpuMemory, ResidentWorkersHoldTheOverheadTheyStartedWith) {
  Rig rig(amp());
  rig.gpu(0, 24);
  rig.model("a", 8);
  rig.model("b", 15);
  Policy policy = amp();
  policy.worker_overhead_bytes = 2 * kGiB;
  rig.give(PolicyChanged{policy});
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  policy.worker_overhead_bytes = 0;
  rig.give(PolicyChanged{policy});
  EXPECT_THAT(rig.submit(2, "b"), ElementsAre("StopWorker 1", "StartWorker 2 gpu-0 b"));  // 8 + 2 + 15 > 24
}

TEST(Eviction, AnOverdueJobKeepsItsModelOnlyOnGpusThatMayRunIt) {
  Policy policy = amp();
  policy.resident_limit = 1;
  Rig rig(policy);
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.model("b");
  rig.submit_pinned(1, "a", "gpu-0");
  rig.submit_pinned(2, "b", "gpu-1");
  rig.ready(1);
  rig.ready(2);
  rig.submit_pinned(3, "a", "gpu-1");
  rig.submit_pinned(4, "b", "gpu-0");
  rig.now += std::chrono::hours{1};
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre(StartsWith("RememberCost"), "StopWorker 1", "StartWorker 3 gpu-0 b"));
  rig.made(2, 0);
  EXPECT_THAT(rig.ended(2), ElementsAre(StartsWith("RememberCost"), "StopWorker 2", "StartWorker 4 gpu-1 a"));
}

TEST(Eviction, InAStrictOrderPinnedModelsLeaveLast) {
  Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::v18};
  policy.pinned_models = {"a"};
  Rig rig(policy);
  rig.gpu(0);
  for (const char* model : {"a", "b", "c"}) rig.model(model);
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  rig.submit(2, "b");
  rig.ready(2);
  rig.finish(2, 2);
  EXPECT_THAT(rig.submit(3, "c"), ElementsAre("StopWorker 2", "StartWorker 3 gpu-0 c")) << "a was used longer ago";
  rig.ready(3);
  rig.finish(3, 3);
  rig.model("d", 24);
  EXPECT_THAT(rig.submit(4, "d"), ElementsAre("StopWorker 3", "StopWorker 1", "StartWorker 4 gpu-0 d"))
      << "nothing else makes room";
}

}  // namespace
}  // namespace pixelfleet::scheduler
