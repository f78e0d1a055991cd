// From the scheduler's state to the amp policy's board and back: what is on it, and when it asks to be woken.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::StartsWith;

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

TEST(Fifo, OneEventMayStartAJobOnEachGpu) {
  Policy policy = amp();
  policy.algorithm = Algorithm::fifo;
  Rig rig(policy);
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit(1, "a");
  rig.submit(2, "a");
  rig.ready(1);
  rig.ready(2);
  rig.finish(1, 1);
  rig.finish(2, 2);
  rig.give(QueuePaused{});
  rig.submit(3, "a");
  rig.submit(4, "a");
  EXPECT_THAT(rig.give(QueueResumed{}), ElementsAre("SetJobState 3 queued", "SetJobState 4 queued",
                                                    "SetJobState 3 running", "StartChunk 3 worker 1 job 3 [0]",
                                                    "SetJobState 4 running", "StartChunk 4 worker 2 job 4 [0]"));
}

TEST(Board, SeesEachPictureThatWasRejectedWhileTheRestIsMade) {
  Rig rig(amp());
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a", {0, 1, 2});
  rig.ready(1);
  for (const int index : {0, 1}) {
    rig.made(1, index);
    rig.give(ImageRejected{JobId{1}, index});
  }
  rig.made(1, 2);
  EXPECT_THAT(rig.ended(1), Contains("StartChunk 2 worker 1 job 1 [0 1]"));
}

TEST(Board, LetsOthersStartOnceTheLastMovedJobHas) {
  Rig rig(amp());
  rig.gpu(0, 24);
  rig.model("a", 8);
  rig.model("b", 8);
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "b");  // loads beside the run
  rig.ready(2);
  rig.submit(3, "a");
  rig.give(JobMoved{JobId{3}, JobId{2}});
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("SetJobState 3 running", "StartChunk 2 worker 1 job 3 [0]"));
  rig.made(2, 0);
  EXPECT_THAT(rig.ended(2), ElementsAre("SetJobState 2 running", "StartChunk 3 worker 2 job 2 [0]"));
}

TEST(Board, NothingRunsBesideALoadAnyMoreOnceThePolicySaysSo) {
  Rig rig(amp());
  rig.gpu(0, 24);
  rig.model("a", 8);
  rig.model("b", 8);
  rig.submit(1, "a");
  rig.ready(1);
  EXPECT_THAT(rig.submit(2, "b"), ElementsAre("StartWorker 2 gpu-0 b"));  // beside the run
  rig.submit(3, "a");
  Policy policy = amp();
  policy.load_beside_run = LoadBesideRun::no;
  rig.give(PolicyChanged{policy});
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre());
  EXPECT_THAT(rig.ready(2), Contains(StartsWith("StartChunk 2")));
}

TEST(Fifo, APictureRejectedDuringAPauseIsMadeAgainAfterIt) {
  Policy policy = amp();
  policy.algorithm = Algorithm::fifo;
  Rig rig(policy);
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit(1, "a", {0, 1, 2});
  rig.submit(2, "a");
  rig.ready(1);
  rig.ready(2);
  rig.finish(2, 2);
  rig.give(QueuePaused{});
  rig.made(1, 0);
  rig.give(ImageRejected{JobId{1}, 0});
  EXPECT_THAT(rig.give(QueueResumed{}), ElementsAre("StartChunk 3 worker 2 job 1 [0]"));
}

TEST(Board, SeesAnOverdueJobBehindACrowdOfMoreUrgentOnes) {
  Rig rig(amp());
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "a");
  rig.now += std::chrono::minutes{10};
  for (int id = 3; id < 203; ++id) rig.submit_urgent(id, "a");
  rig.now += std::chrono::hours{1};
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), Contains("StartChunk 2 worker 1 job 2 [0]"));
}

TEST(Board, SeesAnOverdueJobPinnedToAGpuBehindACrowdThatIsNot) {
  Rig rig(amp());
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit_pinned(1, "a", "gpu-1");
  rig.ready(1);
  rig.submit(2, "a");
  rig.submit_pinned(3, "a", "gpu-1");
  rig.now += std::chrono::minutes{10};
  for (int id = 4; id < 204; ++id) rig.submit_urgent(id, "a");
  rig.now += std::chrono::hours{1};
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), Contains("SetJobState 2 running"));
  rig.made(2, 0);
  EXPECT_THAT(rig.ended(2), Contains("SetJobState 3 running"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
