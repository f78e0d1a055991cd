// Order, placement, residency and the switch between one gpu and many.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Policy single(std::string gpu = "") {
  return {.multi_gpu = false, .max_gpus = 4, .single_gpu = std::move(gpu), .resident_limit = 2};
}
Policy multi(int max_gpus, int resident_limit = 2) {
  return {.multi_gpu = true,
          .max_gpus = max_gpus,
          .single_gpu = "",
          .resident_limit = resident_limit,
          .algorithm = Algorithm::v18};
}

TEST(Scheduler, LoadsTheModelThenRunsTheJobThenReportsItDoneWhenEveryPictureIsPublished) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a", {0, 1}), ElementsAre("StartWorker 1 gpu-0 a"));
  EXPECT_THAT(rig.ready(1), ElementsAre("SetJobState 1 running", "StartChunk 1 worker 1 job 1 [0 1]"));
  EXPECT_THAT(rig.made(1, 0), IsEmpty());
  EXPECT_THAT(rig.made(1, 1), IsEmpty());
  EXPECT_THAT(rig.ended(1), IsEmpty());
  EXPECT_THAT(rig.published(1, 1), IsEmpty());
  EXPECT_THAT(rig.published(1, 0), ElementsAre("SetJobState 1 done"));
}

TEST(Scheduler, StartsTheNextJobWhilePicturesOfTheLastOneAreStillInFlight) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.submit(2, "a");
  rig.ready(1);
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("SetJobState 2 running", "StartChunk 2 worker 1 job 2 [0]"));
  EXPECT_THAT(rig.published(1), ElementsAre("SetJobState 1 done"));
}

TEST(Scheduler, TakesJobsByPriorityThenRankThenId) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit({.id = JobId{2}, .priority = Priority::background, .model = "a"});
  rig.submit({.id = JobId{3}, .model = "a"});
  rig.submit({.id = JobId{4}, .rank = -1.5, .model = "a"});
  rig.submit_urgent(5, "a");
  rig.submit_urgent(6, "a");
  std::int64_t chunk = 0;
  for (const std::int64_t next : {5, 6, 4, 3, 2}) {
    EXPECT_THAT(rig.ended(++chunk, ChunkOutcome::failed, "bad_request"),
                Contains("SetJobState " + std::to_string(next) + " running"));
  }
}

TEST(Scheduler, PrefersTheIdleGpuThatHoldsTheModelOverOneWithMoreFreeMemory) {
  Rig rig;
  rig.gpu(0, 24);
  rig.gpu(1, 80);
  rig.model("a");
  rig.submit_pinned(1, "a", "gpu-0");
  rig.ready(1);
  rig.finish(1, 1);
  EXPECT_THAT(rig.submit(2, "a"), Contains("StartChunk 2 worker 1 job 2 [0]"));
}

TEST(Scheduler, LoadsOnTheIdleGpuWithMostFreeMemory) {
  Rig rig;
  rig.gpu(0, 24);
  rig.gpu(1, 40);
  rig.gpu(2, 24);
  rig.model("a", 20);
  rig.model("b", 8);
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-1 a"));
  EXPECT_THAT(rig.submit(2, "b"), ElementsAre("StartWorker 2 gpu-0 b"));
  EXPECT_THAT(rig.submit(3, "b"), ElementsAre("StartWorker 3 gpu-2 b"));
}

TEST(Scheduler, SpreadsJobsOfOneModelOverIdleGpus) {
  Rig rig;
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-0 a"));
  EXPECT_THAT(rig.submit(2, "a"), ElementsAre("StartWorker 2 gpu-1 a"));
  EXPECT_THAT(rig.submit(3, "a"), IsEmpty());
  rig.ready(2);
  EXPECT_EQ(rig.view(1).job, JobId{1}) << "the first in order runs on the first worker that is ready";
  EXPECT_EQ(rig.view(0).job, JobId{2}) << "and the load it leaves behind goes to the next one";
}

TEST(Scheduler, UsesTheFirstGpusByIndexUpToTheLimit) {
  Rig rig(multi(2));
  rig.gpu(2, 80);
  rig.gpu(1);
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.submit(2, "a");
  rig.submit(3, "a");
  EXPECT_EQ(rig.view(0).state, GpuState::loading);
  EXPECT_EQ(rig.view(1).state, GpuState::loading);
  EXPECT_EQ(rig.view(2).state, GpuState::unused);
}

TEST(Scheduler, RaisingTheLimitUsesTheNewGpusAtOnce) {
  Rig rig(multi(1));
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.submit(2, "a"), IsEmpty());
  EXPECT_THAT(rig.give(PolicyChanged{multi(2)}), ElementsAre("StartWorker 2 gpu-1 a"));
}

TEST(Scheduler, LoweringTheLimitLetsTheChunkFinishThenEmptiesTheGpu) {
  Rig rig(multi(2));
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit_pinned(1, "a", "gpu-1");
  rig.ready(1);
  EXPECT_THAT(rig.give(PolicyChanged{multi(1)}), IsEmpty());
  EXPECT_EQ(rig.view(1).state, GpuState::draining);
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("StopWorker 1"));
  EXPECT_EQ(rig.view(1).state, GpuState::unused);
}

TEST(Scheduler, LoweringTheLimitStopsLoadsOnUnselectedGpusAndTheirJobsGoOn) {
  Rig rig(multi(2));
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit(1, "a");
  rig.submit(2, "a");
  EXPECT_THAT(rig.give(PolicyChanged{multi(1)}), ElementsAre("StopWorker 2"));
  EXPECT_THAT(rig.ready(1), Contains("SetJobState 1 running"));
}

TEST(Scheduler, WithMultiGpuOffUsesTheGpuWithMostMemoryAndStaysWithIt) {
  Rig rig(single());
  rig.gpu(0, 16);
  rig.gpu(1, 24);
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-1 a"));
  EXPECT_THAT(rig.submit(2, "a"), IsEmpty());
  rig.gpu(2, 80);
  rig.ready(1);
  EXPECT_THAT(rig.ended(1, ChunkOutcome::failed, "bad_request"), Contains("StartChunk 2 worker 1 job 2 [0]"));
  EXPECT_EQ(rig.view(2).state, GpuState::unused);
}

TEST(Scheduler, WithMultiGpuOffUsesTheGpuThatThePolicyNames) {
  Rig rig(single("gpu-0"));
  rig.gpu(0, 16);
  rig.gpu(1, 24);
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-0 a"));
}

TEST(Scheduler, WithMultiGpuOffChoosesAnotherGpuWhenItsOwnIsLost) {
  Rig rig(single());
  rig.gpu(0, 16);
  rig.gpu(1, 24);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.give(GpuLost{"gpu-1"}), ElementsAre("StopWorker 1", "StartWorker 2 gpu-0 a"));
}

TEST(Scheduler, PrefersAnAcceleratorToTheCpuWhoseMemoryIsLarger) {
  Rig rig(single());
  rig.gpu(0, 256, GpuKind::cpu);
  rig.gpu(1, 24);
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-1 a"));
}

TEST(Scheduler, WithMultiGpuOffOnlyTheFirstJobMayStart) {
  Rig rig(single());
  rig.gpu(0);
  rig.model("a");
  rig.model("b");
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "b");
  rig.submit(3, "a");
  rig.made(1, 0);
  // Job 3 would find its model resident, yet job 2 is first.
  EXPECT_THAT(rig.ended(1), ElementsAre("StartWorker 2 gpu-0 b"));
  EXPECT_THAT(rig.ready(2), Contains("StartChunk 2 worker 2 job 2 [0]"));
}

TEST(Scheduler, WithMultiGpuOffAnUrgentJobGoesBeforeTheOneWhoseModelIsLoading) {
  Rig rig(single());
  rig.gpu(0);
  rig.model("a");
  rig.model("b");
  rig.submit(1, "a");
  EXPECT_THAT(rig.submit_urgent(2, "b"), IsEmpty());
  EXPECT_THAT(rig.ready(1), ElementsAre("StartWorker 2 gpu-0 b"));
  EXPECT_THAT(rig.ready(2), Contains("SetJobState 2 running"));
}

TEST(Scheduler, ALoadBegunWithMultiGpuOffServesWhoeverWantsItOnceItIsOn) {
  Rig rig(single());
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  Policy on = multi(4);
  on.algorithm = Algorithm::amp;
  EXPECT_THAT(rig.give(PolicyChanged{on}), IsEmpty());
  EXPECT_THAT(rig.give(JobCancelRequested{JobId{1}}), ElementsAre("SetJobState 1 cancelled")) << "the load goes on";
  EXPECT_THAT(rig.submit(2, "a"), IsEmpty());
  EXPECT_THAT(rig.ready(1), Contains("StartChunk 1 worker 1 job 2 [0]"));
}

TEST(Scheduler, WithMultiGpuOffHeldJobsDoNotBlockTheQueue) {
  Rig rig(single());
  rig.gpu(0);
  rig.model("a");
  rig.submit({.id = JobId{1}, .model = "a", .held = HeldReason::user});
  rig.submit_pinned(2, "a", "gpu-9");
  rig.submit(3, "missing");
  EXPECT_THAT(rig.submit(4, "a"), ElementsAre("StartWorker 1 gpu-0 a"));
}

TEST(Scheduler, APinnedJobWaitsForItsGpuWhileOthersPass) {
  Rig rig;
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit_pinned(1, "a", "gpu-0");
  rig.ready(1);
  EXPECT_THAT(rig.submit_pinned(2, "a", "gpu-0"), IsEmpty());
  EXPECT_THAT(rig.submit(3, "a"), ElementsAre("StartWorker 2 gpu-1 a"));
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), Contains("StartChunk 2 worker 1 job 2 [0]"));
}

TEST(Scheduler, AJobPinnedToAGpuThatIsNotInUseIsHeldUntilItIs) {
  Rig rig(multi(1));
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  EXPECT_THAT(rig.submit_pinned(1, "a", "gpu-7"), ElementsAre("SetJobState 1 held no_gpu"));
  EXPECT_THAT(rig.submit_pinned(2, "a", "gpu-1"), ElementsAre("SetJobState 2 held no_gpu"));
  EXPECT_THAT(rig.give(PolicyChanged{multi(2)}), ElementsAre("SetJobState 2 queued", "StartWorker 1 gpu-1 a"));
}

TEST(Scheduler, TheRealEngineNeverRunsOnAVirtualGpu) {
  Rig rig;
  rig.gpu(0, 80, GpuKind::virtual_gpu);
  rig.model("real", 8, Engine::sdcpp);
  EXPECT_THAT(rig.submit(1, "real"), ElementsAre("SetJobState 1 held no_gpu"));
  EXPECT_THAT(rig.gpu(1, 24, GpuKind::cpu), ElementsAre("SetJobState 1 queued", "StartWorker 1 gpu-1 real"));
}

TEST(Scheduler, StopsLeastRecentlyUsedWorkersToMakeRoom) {
  Rig rig(multi(1, -1));
  rig.gpu(0, 24);
  for (const char* key : {"a", "b", "c"}) rig.model(key, 8);
  rig.model("large", 15);
  std::int64_t id = 0;
  for (const char* key : {"a", "b", "c"}) {
    ++id;
    rig.submit(id, key);
    rig.ready(id);
    rig.finish(id, id);
  }
  rig.submit(4, "a");
  rig.finish(4, 4);
  EXPECT_EQ(rig.view(0).reserved_bytes, 24 * kGiB);
  EXPECT_THAT(rig.submit(5, "large"), ElementsAre("StopWorker 2", "StopWorker 3", "StartWorker 4 gpu-0 large"));
}

TEST(Scheduler, KeepsNoMoreModelsOnAGpuThanTheLimit) {
  Rig rig(multi(1, 1));
  rig.gpu(0, 80);
  rig.model("a");
  rig.model("b");
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  EXPECT_THAT(rig.submit(2, "b"), ElementsAre("StopWorker 1", "StartWorker 2 gpu-0 b"));
}

TEST(Scheduler, AResidentLimitOfZeroDropsTheModelAfterEachJob) {
  Rig rig(multi(1, 0));
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.submit(2, "a");
  rig.ready(1);
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), ElementsAre("StopWorker 1", "StartWorker 2 gpu-0 a"));
}

TEST(Scheduler, LoweringTheResidentLimitStopsIdleWorkersAtOnce) {
  Rig rig(multi(1, -1));
  rig.gpu(0);
  rig.model("a");
  rig.model("b");
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  rig.submit(2, "b");
  rig.ready(2);
  rig.finish(2, 2);
  EXPECT_THAT(rig.give(PolicyChanged{multi(1, 1)}), ElementsAre("StopWorker 1"));
}

TEST(Scheduler, AGpuThatBecomesSmallerGivesUpWhatNoLongerFits) {
  Rig rig(multi(1));
  rig.gpu(0, 24);
  rig.model("a", 12);
  rig.model("b", 12);
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  rig.submit(2, "b");
  rig.ready(2);
  EXPECT_THAT(rig.gpu(0, 16), ElementsAre("StopWorker 1"));
}

TEST(Scheduler, ALoadThatNobodyWantsAnyMoreIsStopped) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.cancel(1), ElementsAre("StopWorker 1", "SetJobState 1 cancelled"));
  EXPECT_EQ(rig.view(0).state, GpuState::idle);
}

TEST(Scheduler, ALoadPassesToTheNextJobThatWantsItsModel) {
  Rig rig(multi(1));
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.submit(2, "a");
  EXPECT_THAT(rig.cancel(1), ElementsAre("SetJobState 1 cancelled"));
  EXPECT_EQ(rig.view(0).job, JobId{2});
  EXPECT_THAT(rig.ready(1), Contains("SetJobState 2 running"));
}

TEST(Scheduler, EventsOfStoppedWorkersAndClosedChunksChangeNothing) {
  Rig rig(multi(1));
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  rig.give(GpuLost{"gpu-0"});
  rig.gpu(0);  // starts worker 2 for the job
  const std::string before = rig.scheduler.durable_digest();
  EXPECT_THAT(rig.ready(1), IsEmpty());
  EXPECT_THAT(rig.made(1, 0), IsEmpty());
  EXPECT_THAT(rig.ended(1), IsEmpty());
  EXPECT_THAT(rig.lost(1), IsEmpty());
  EXPECT_THAT(rig.give(ModelUnloadable{WorkerId{1}, {}}), IsEmpty());
  EXPECT_EQ(rig.scheduler.durable_digest(), before);
  EXPECT_THAT(rig.ready(2), Contains("StartChunk 2 worker 2 job 1 [0]"));
}

TEST(Scheduler, ACopyPlaysTheFutureWithoutTouchingTheOriginal) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  Scheduler copy = rig.scheduler;
  const std::string before = rig.scheduler.durable_digest();
  (void)copy.step(WorkerReady{WorkerId{1}}, rig.now);
  (void)copy.step(JobSubmitted{{.id = JobId{2}, .model = "a", .missing = {0}}}, rig.now);
  EXPECT_EQ(rig.scheduler.durable_digest(), before);
  EXPECT_EQ(rig.view(0).state, GpuState::loading);
  EXPECT_NE(copy.durable_digest(), before);
  rig.scheduler = copy;
  EXPECT_EQ(rig.view(0).state, GpuState::busy);
}

TEST(Scheduler, CountersBeginWhereTheLastRunEnded) {
  Scheduler scheduler({ChunkId{41}, WorkerId{17}});
  (void)scheduler.step(GpuArrived{{"g", 0, "", GpuKind::nvidia, kGiB}}, Instant{});
  (void)scheduler.step(ModelKnown{{"a", Engine::synthetic, 1}}, Instant{});
  const auto load = scheduler.step(JobSubmitted{{.id = JobId{1}, .model = "a", .missing = {0}}}, Instant{});
  EXPECT_EQ(describe(load.at(0)), "StartWorker 17 g a");
  const auto run = scheduler.step(WorkerReady{WorkerId{17}}, Instant{});
  EXPECT_EQ(describe(run.at(1)), "StartChunk 41 worker 17 job 1 [0]");
}

TEST(Scheduler, AJobTooLargeForEveryGpuFailsWithTheFiguresAndTheNextStep) {
  Rig rig;
  rig.gpu(0, 16);
  rig.gpu(1, 24);
  rig.model("huge", 30);
  EXPECT_THAT(rig.submit(1, "huge"), ElementsAre("SetJobState 1 failed out_of_memory"));
  EXPECT_EQ(
      rig.failure().message,
      "model huge needs 30.0 GiB of gpu memory; the largest gpu here, gpu-1, has 24.0 GiB. Choose a smaller model.");
}

TEST(Scheduler, AJobThatFittedWaitsForItsGpuToComeBack) {
  Rig rig;
  rig.gpu(0, 16);
  rig.gpu(1, 24);
  rig.model("large", 20);
  rig.submit(1, "large");
  EXPECT_THAT(rig.give(GpuLost{"gpu-1"}), ElementsAre("StopWorker 1", "SetJobState 1 held no_gpu"));
  EXPECT_THAT(rig.gpu(1, 24), ElementsAre("SetJobState 1 queued", "StartWorker 2 gpu-1 large"));
}

TEST(Scheduler, ChangedFactsOfAModelReplaceItsIdleWorkers) {
  Rig rig(multi(1));
  rig.gpu(0);
  rig.model("a", 8);
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  EXPECT_THAT(rig.model("a", 8), IsEmpty()) << "the same facts again";
  EXPECT_THAT(rig.model("a", 10), ElementsAre("StopWorker 1"));
}

TEST(Scheduler, ManyJobsThatNoIdleGpuCanTakeDoNotHideOneThatCanRun) {
  Rig rig;
  rig.gpu(0, 80);
  rig.gpu(1, 16);
  rig.model("large", 40);
  rig.model("small", 8);
  for (std::int64_t id = 1; id <= 50; ++id) rig.submit(id, "large");
  EXPECT_THAT(rig.submit(51, "small"), ElementsAre("StartWorker 2 gpu-1 small"));
}

TEST(MultiGpu, UsesOnlyTheListedGpusHoweverTheyAreCalled) {
  Policy policy = multi(8);
  policy.gpus = {"gpu-2", "0"};
  Rig rig(policy);
  for (int gpu = 0; gpu < 4; ++gpu) rig.gpu(gpu);
  std::vector<GpuState> states;
  for (int gpu = 0; gpu < 4; ++gpu) states.push_back(rig.view(gpu).state);
  EXPECT_THAT(states, ElementsAre(GpuState::idle, GpuState::unused, GpuState::idle, GpuState::unused));
  policy.max_gpus = 1;
  rig.give(PolicyChanged{policy});
  EXPECT_EQ(rig.view(2).state, GpuState::unused) << "the limit holds for listed ones, too";
}

TEST(MultiGpu, UsesTheFirstOnesWhereNoListedOneIsThere) {
  Policy policy = multi(1);
  policy.gpus = {"gpu-7", "nonsense"};
  Rig rig(policy);
  rig.gpu(0);
  rig.gpu(1);
  EXPECT_EQ(rig.view(0).state, GpuState::idle);
  EXPECT_EQ(rig.view(1).state, GpuState::unused);
  rig.gpu(7);
  EXPECT_EQ(rig.view(0).state, GpuState::unused) << "the listed one has come";
  EXPECT_EQ(rig.view(7).state, GpuState::idle);
}

}  // namespace
}  // namespace pixelfleet::scheduler
