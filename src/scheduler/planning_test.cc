// From the scheduler's state to the amp policy's board and back: what is on it, and when it asks to be woken.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::ElementsAre;

Policy amp() {
  return {.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
}

TEST(Guard, AnIdleGpuIsWokenWhenTheFirstWaitingJobWillBeOverdue) {
  Rig rig(amp());
  rig.now = Instant{std::chrono::seconds{1'800'000'000}};
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-0 a", "WakeAt 1800000060001000"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
