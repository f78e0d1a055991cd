// Chunks on workers: who answers for what, when one job has several.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::ElementsAre;

TEST(Chunks, AWorkerThatDiesAfterItHandedOverItsChunkIsNotChargedToAJobThatHasMoreToMake) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a", {0, 1});
  rig.ready(1);
  rig.made(1, 0);
  rig.give(ImageRejected{JobId{1}, 0});
  rig.made(1, 1);
  EXPECT_THAT(rig.lost(1), ElementsAre("AbandonChunk 1 engine_died", "SetJobState 1 queued", "StartWorker 2 gpu-0 a"));
}

TEST(Chunks, AWorkerThatDiesBeforeIsCharged) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a", {0, 1});
  rig.ready(1);
  rig.made(1, 0);
  EXPECT_THAT(rig.lost(1),
              ElementsAre("AbandonChunk 1 engine_died", "SetJobState 1 queued deaths 1", "StartWorker 2 gpu-0 a"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
