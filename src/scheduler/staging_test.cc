// Which model files are read into host memory ahead of their loads, and what leaves for them.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

// One gpu of 24 GiB, busy with a model that leaves no room beside it; files are as large as their models.
class StagingOrders : public ::testing::Test {
 protected:
  StagingOrders() : StagingOrders(64) {}
  explicit StagingOrders(int host_gib) {
    Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
    policy.host_memory_bytes = host_gib * kGiB;
    rig.give(PolicyChanged{policy});
    rig.gpu(0, 24);
    know("x", 20);
    rig.submit(100, "x");
    rig.ready(1);
    rig.give(ModelStaged{"x"});
  }
  void know(const ModelKey& key, int gib) {
    ModelFacts model{key, Engine::synthetic, gib * kGiB};
    model.file_bytes = gib * kGiB;
    rig.give(ModelKnown{model});
  }
  Rig::Lines end_run_of_x() {
    rig.made(1, 0);
    return rig.ended(1);
  }

  Rig rig;
};

TEST_F(StagingOrders, AFileIsReadWhileItsJobWaitsForAGpu) {
  know("a", 16);
  EXPECT_THAT(rig.submit(1, "a"), Contains("StageModel a"));
}

TEST_F(StagingOrders, OneFileIsReadAtATimeTheNextWhenItIsThere) {
  know("a", 16);
  know("b", 16);
  rig.submit(1, "a");
  EXPECT_THAT(rig.submit(2, "b"), Not(Contains("StageModel b")));
  EXPECT_THAT(rig.give(ModelStaged{"a"}), Contains("StageModel b"));
}

TEST_F(StagingOrders, NothingIsReadWhileALoadReadsTheDisk) {
  know("a", 16);
  know("b", 16);
  rig.gpu(1, 24);
  EXPECT_THAT(rig.submit(1, "a"), AllOf(Contains("StartWorker 2 gpu-1 a"), Not(Contains("StageModel a"))));
  EXPECT_THAT(rig.submit_pinned(2, "b", "gpu-0"), Not(Contains("StageModel b")));
  EXPECT_THAT(rig.ready(2), Contains("StageModel b"));
}

TEST_F(StagingOrders, ALoadThatJoinedAReadingLeavesTheDiskToTheNextFile) {
  know("a", 16);
  know("b", 16);
  rig.submit(1, "a");
  rig.submit(2, "b");
  EXPECT_THAT(end_run_of_x(), Contains("StartWorker 2 gpu-0 a"));
  EXPECT_THAT(rig.give(ModelStaged{"a"}), Contains("StageModel b")) << "what is left is the copy to the gpu";
}

TEST_F(StagingOrders, AFileThatCouldNotBeReadMakesWayForTheNext) {
  know("a", 16);
  know("b", 16);
  rig.submit(1, "a");
  rig.submit(2, "b");
  rig.submit(3, "b");
  EXPECT_THAT(rig.give(ModelUnstaged{"a"}), Contains("StageModel b"));
}

TEST_F(StagingOrders, NothingIsReadForAModelThatIsOnAGpu) {
  EXPECT_THAT(rig.submit(1, "x"), Not(Contains("StageModel x")));
}

TEST_F(StagingOrders, AFileIsNeverReadTwice) {
  know("a", 16);
  rig.submit(1, "a");
  rig.give(ModelStaged{"a"});
  EXPECT_THAT(rig.submit(2, "a"), Not(Contains("StageModel a")));
}

class StagingInLittleMemory : public StagingOrders {
 protected:
  StagingInLittleMemory() : StagingOrders(40) {}
};

TEST_F(StagingInLittleMemory, FilesThatNobodyWaitsForLeaveFirst) {
  know("a", 18);
  know("b", 18);
  rig.submit(1, "a");
  rig.give(ModelStaged{"a"});  // x 20, a 18
  EXPECT_THAT(rig.submit(2, "b"), AllOf(Contains("UnstageModel x"), Contains("StageModel b")));
}

TEST_F(StagingInLittleMemory, FilesOfJobsThatWaitStayForOneThatIsWorthLess) {
  know("a", 18);
  know("b", 24);
  rig.submit(1, "a");
  rig.submit(2, "a");
  rig.give(ModelStaged{"a"});
  // b needs x's room and a's: that one is worth more.
  EXPECT_THAT(rig.submit(3, "b"), Not(Contains("StageModel b")));
  rig.submit(4, "b");
  EXPECT_THAT(rig.submit(5, "b"), AllOf(Contains("UnstageModel a"), Contains("StageModel b")));
}

TEST_F(StagingInLittleMemory, AFileLargerThanHostMemoryIsLeftOnTheDisk) {
  rig.gpu(0, 80);
  know("a", 41);
  rig.submit_pinned(1, "a", "gpu-0");
  EXPECT_THAT(rig.give(ModelUnstaged{"x"}), Not(Contains("StageModel a")));
}

TEST_F(StagingOrders, AModelThatNobodyCanAskForAnyMoreKeepsNoOtherFromBeingReadAhead) {
  know("often", 16);
  know("seldom", 16);
  rig.give(QueuePaused{});
  EXPECT_THAT(rig.submit(1, "often"), Contains("StageModel often")) << "read ahead: it may be asked for again";
  for (int id = 2; id <= 5; ++id) rig.submit(id, "often");
  rig.submit(6, "seldom");
  rig.give(ModelForgotten{"often"});
  EXPECT_THAT(rig.give(ModelUnstaged{"often"}), Contains("StageModel seldom"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
