// Guarantee: what health, sharing and the memory plan say of a gpu holds at once, costs no job an attempt, and is known
// before the gpu is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using Workers = GpuClosed::Workers;

Policy with(Algorithm algorithm, int max_gpus = 8) {
  Policy policy;
  policy.multi_gpu = true;
  policy.max_gpus = max_gpus;
  policy.algorithm = algorithm;
  return policy;
}

class TermsTest : public testing::TestWithParam<Algorithm> {
 protected:
  TermsTest() { rig.model("a"); }
  Rig rig{with(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(EveryPolicy, TermsTest, testing::Values(Algorithm::amp, Algorithm::v18, Algorithm::fifo));

TEST_P(TermsTest, AClosedGpuFinishesItsChunkAndIsLeft) {
  rig.gpu(0);
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "a");
  EXPECT_THAT(rig.give(GpuClosed{"gpu-0", Workers::finish}), Contains("SetJobState 2 held no_gpu"));
  EXPECT_EQ(rig.view(0).state, GpuState::draining);
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("StopWorker 1"));
  EXPECT_EQ(rig.view(0).state, GpuState::closed);
  EXPECT_THAT(rig.published(1), ElementsAre("SetJobState 1 done"));
  EXPECT_THAT(rig.give(GpuOpened{"gpu-0"}), Contains("StartWorker 2 gpu-0 a"));
}

TEST_P(TermsTest, AnAbandonedChunkIsMadeElsewhereAndChargesNobody) {
  rig.gpu(0);
  rig.submit(1, "a");
  rig.ready(1);
  rig.gpu(1);
  const auto orders = rig.give(GpuClosed{"gpu-0", Workers::abandon});
  EXPECT_THAT(orders, Contains("StopWorker 1"));
  EXPECT_THAT(orders, Contains("SetJobState 1 queued"));
  EXPECT_THAT(orders, Contains("StartWorker 2 gpu-1 a"));
}

TEST_P(TermsTest, ARestingGpuKeepsItsModels) {
  rig.gpu(0);
  rig.submit(1, "a");
  rig.ready(1);
  rig.give(GpuClosed{"gpu-0", Workers::rest});
  rig.finish(1, 1);
  EXPECT_THAT(rig.view(0).resident_models, ElementsAre("a"));
  rig.submit(2, "a");
  EXPECT_EQ(rig.view(0).state, GpuState::closed);
  EXPECT_THAT(rig.give(GpuOpened{"gpu-0"}), Contains("StartChunk 2 worker 1 job 2 [0]"));
}

TEST_P(TermsTest, WhatIsSaidBeforeAGpuArrivesHolds) {
  rig.give(GpuClosed{"gpu-0", Workers::finish});
  rig.submit(1, "a");
  EXPECT_THAT(rig.gpu(0), IsEmpty());
  EXPECT_THAT(rig.give(GpuOpened{"gpu-0"}), Contains("StartWorker 1 gpu-0 a"));
}

TEST_P(TermsTest, AShrunkenPlanLetsModelsGoAndTurnsNobodyAway) {
  rig.gpu(0);
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  EXPECT_THAT(rig.give(GpuMemoryPlanned{"gpu-0", 6 * kGiB}), ElementsAre("StopWorker 1"));
  EXPECT_THAT(rig.submit(2, "a"), ElementsAre("SetJobState 2 held no_gpu")) << "not failed: the memory comes back";
  EXPECT_THAT(rig.give(GpuMemoryPlanned{"gpu-0", std::nullopt}), Contains("StartWorker 2 gpu-0 a"));
}

TEST_P(TermsTest, AJobsLastAttemptIsNotMadeOnProbationWhileAnotherGpuCouldTakeIt) {
  rig.give(GpuOpened{"gpu-0", Trust::probation});
  rig.gpu(0);
  rig.gpu(1);
  rig.submit_pinned(1, "a", "gpu-1");  // the other one is busy
  rig.ready(1);
  JobFacts last;
  last.id = JobId{2};
  last.model = "a";
  last.worker_deaths = kMaxWorkerDeaths - 1;
  EXPECT_THAT(rig.submit(last), Not(Contains("StartWorker 2 gpu-0 a")));
  const auto orders = rig.submit(3, "a");
  if (GetParam() != Algorithm::fifo) {
    EXPECT_THAT(orders, Contains("StartWorker 2 gpu-0 a")) << "others do run there";
  }
  rig.give(GpuLost{"gpu-1"});
  rig.ready(2);
  EXPECT_EQ(rig.view(0).job, JobId{2}) << "no other gpu is left";
}

TEST(Terms, ALimitIsFilledUpWithTheNextOpenGpu) {
  Rig rig(with(Algorithm::v18, 1));
  rig.model("a");
  rig.gpu(0);
  rig.gpu(1);
  rig.give(GpuClosed{"gpu-0", Workers::finish});
  EXPECT_EQ(rig.view(1).state, GpuState::idle);
  rig.give(GpuOpened{"gpu-0"});
  EXPECT_EQ(rig.view(1).state, GpuState::unused);
}

TEST(Terms, ASingleGpuThatIsClosedIsReplacedUnlessItWasNamed) {
  Policy policy;
  policy.multi_gpu = false;
  Rig rig(policy);
  rig.model("a");
  rig.gpu(0, 24);
  rig.gpu(1, 16);
  rig.submit(1, "a");
  EXPECT_EQ(rig.view(0).state, GpuState::loading);
  EXPECT_THAT(rig.give(GpuClosed{"gpu-0", Workers::finish}), ElementsAre("StopWorker 1", "StartWorker 2 gpu-1 a"));
  EXPECT_THAT(rig.give(GpuOpened{"gpu-0"}), IsEmpty()) << "it stays where it is";
  policy.single_gpu = "gpu-0";
  rig.give(PolicyChanged{policy});
  rig.give(GpuClosed{"gpu-0", Workers::finish});
  EXPECT_EQ(rig.view(1).state, GpuState::unused);
  EXPECT_EQ(rig.view(0).state, GpuState::closed);
}

TEST(Terms, ASingleGpuThatWasClosedWhileNothingWaitedIsReplacedAtTheNextJob) {
  Policy policy;
  policy.multi_gpu = false;
  Rig rig(policy);
  rig.model("a");
  rig.gpu(0, 24);
  rig.gpu(1, 16);
  rig.submit(1, "a");
  rig.give(JobCancelRequested{JobId{1}});
  rig.give(GpuClosed{"gpu-0", Workers::finish});
  EXPECT_THAT(rig.submit(2, "a"), ElementsAre("StartWorker 2 gpu-1 a"));
}

TEST(Terms, ASingleGpuThatIsClosedIsLeftAlsoWhenTheOneThatReplacedItIsLost) {
  Policy policy;
  policy.multi_gpu = false;
  Rig rig(policy);
  rig.model("a");
  rig.gpu(0, 24);
  rig.gpu(1, 16);
  rig.submit(1, "a");
  rig.ready(1);
  rig.give(GpuClosed{"gpu-0", Workers::finish});
  rig.give(GpuLost{"gpu-1"});
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("StopWorker 1"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
