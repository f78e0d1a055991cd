// What failures, cancels, holds and restarts do to jobs.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// One gpu with a job of four pictures that runs as chunk 1 on worker 1.
class OneJobRuns : public ::testing::Test {
 protected:
  OneJobRuns() {
    rig.gpu(0);
    rig.model("a");
    rig.submit(1, "a", {0, 1, 2, 3});
    rig.ready(1);
  }
  Rig rig;
};

std::string wake_line(Instant at) { return "WakeAt " + std::to_string(at.time_since_epoch().count()); }

TEST_F(OneJobRuns, ALostWorkerCostsTheMissingPicturesOnly) {
  rig.made(1, 0);
  rig.made(1, 1);
  rig.published(1, 0);
  EXPECT_THAT(rig.lost(1),
              ElementsAre("AbandonChunk 1 engine_died", "SetJobState 1 queued deaths 1", "StartWorker 2 gpu-0 a"));
  EXPECT_THAT(rig.ready(2), Contains("StartChunk 2 worker 2 job 1 [2 3]"));
}

TEST_F(OneJobRuns, ARejectedPictureIsMadeAgain) {
  for (int index = 0; index < 4; ++index) rig.made(1, index);
  rig.ended(1);
  rig.published(1, 0);
  EXPECT_THAT(rig.give(ImageRejected{JobId{1}, 2}),
              ElementsAre("SetJobState 1 queued", "SetJobState 1 running", "StartChunk 2 worker 1 job 1 [2]"));
}

TEST_F(OneJobRuns, APictureRejectedWhileTheChunkRunsIsMadeAgainAfterIt) {
  rig.made(1, 0);
  EXPECT_THAT(rig.give(ImageRejected{JobId{1}, 0}), IsEmpty());
  for (int index = 1; index < 4; ++index) rig.made(1, index);
  EXPECT_THAT(rig.ended(1), Contains("StartChunk 2 worker 1 job 1 [0]"));
}

TEST_F(OneJobRuns, AJobWhosePicturesCannotBeWrittenFailsAndItsChunkIsToldToStop) {
  rig.made(1, 0);
  EXPECT_THAT(rig.give(JobUnpublishable{JobId{1}, {"not_writable", "no permission", {}}}),
              ElementsAre("CancelChunk 1 worker 1", "SetJobState 1 failed not_writable"));
  EXPECT_EQ(rig.view(0).state, GpuState::busy);
  EXPECT_THAT(rig.ended(1, ChunkOutcome::cancelled), IsEmpty());
  EXPECT_EQ(rig.view(0).state, GpuState::idle);
}

TEST_F(OneJobRuns, AWorkerThatDiesAfterHandingOverEverythingIsNotHeldAgainstTheJob) {
  for (int index = 0; index < 4; ++index) rig.made(1, index);
  EXPECT_THAT(rig.lost(1), ElementsAre("AbandonChunk 1 engine_died"));
  for (int index = 0; index < 3; ++index) rig.published(1, index);
  EXPECT_THAT(rig.published(1, 3), ElementsAre("SetJobState 1 done"));
}

TEST_F(OneJobRuns, TheThirdDeathEndsTheJobWithAllTheEvidence) {
  rig.lost(1);
  rig.ready(2);
  rig.lost(2);
  rig.ready(3);
  EXPECT_THAT(rig.lost(3), ElementsAre("AbandonChunk 3 engine_died", "SetJobState 1 failed engine_died deaths 3"));
  EXPECT_THAT(rig.failure().message, HasSubstr("3 workers died at this job, the last one on gpu-0: signal 11"));
  EXPECT_THAT(rig.failure().evidence, ElementsAre("gpu-0: signal 11", "line of log", "gpu-0: signal 11", "line of log",
                                                  "gpu-0: signal 11", "line of log"));
}

TEST_F(OneJobRuns, ADeathThatIsNobodysFaultCostsNothing) {
  EXPECT_THAT(rig.lost(1, Blame::none),
              ElementsAre("AbandonChunk 1 engine_died", "SetJobState 1 queued", "StartWorker 2 gpu-0 a"));
}

TEST_F(OneJobRuns, AChunkThatClaimsToBeDoneWithoutItsPicturesCountsAsADeath) {
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), Contains("SetJobState 1 queued deaths 1"));
}

TEST_F(OneJobRuns, ABadRequestFailsTheJobAtOnce) {
  EXPECT_THAT(rig.ended(1, ChunkOutcome::failed, "bad_request"), ElementsAre("SetJobState 1 failed bad_request"));
}

TEST_F(OneJobRuns, OutOfMemoryOnTheLargestGpuFailsTheJob) {
  rig.gpu(1, 24);
  EXPECT_THAT(rig.ended(1, ChunkOutcome::failed, "out_of_memory"), ElementsAre("SetJobState 1 failed out_of_memory"));
  EXPECT_THAT(rig.failure().message, HasSubstr("no larger gpu"));
}

TEST_F(OneJobRuns, OutOfMemoryIsTriedOnceMoreOnALargerGpu) {
  rig.gpu(1, 40);
  rig.gpu(2, 80);
  EXPECT_THAT(rig.ended(1, ChunkOutcome::failed, "out_of_memory"),
              ElementsAre("SetJobState 1 queued", "StartWorker 2 gpu-2 a"));
  rig.ready(2);
  EXPECT_THAT(rig.ended(2, ChunkOutcome::failed, "out_of_memory"), ElementsAre("SetJobState 1 failed out_of_memory"));
}

TEST_F(OneJobRuns, AfterADeathAnotherGpuIsPreferredEvenIfItHasToBeWaitedFor) {
  rig.gpu(1);
  rig.submit_pinned(2, "a", "gpu-1");
  rig.ready(2);
  EXPECT_THAT(rig.lost(1), Not(Contains("StartWorker 3 gpu-0 a")));
  rig.made(2, 0);
  EXPECT_THAT(rig.ended(2), Contains("StartChunk 3 worker 2 job 1 [0 1 2 3]"));
}

TEST_F(OneJobRuns, ALostGpuEndsItsWorkersAndBlamesNobody) {
  rig.made(1, 0);
  EXPECT_THAT(rig.give(GpuLost{"gpu-0"}),
              ElementsAre("AbandonChunk 1 gpu_lost", "StopWorker 1", "SetJobState 1 held no_gpu"));
  EXPECT_THAT(rig.gpu(0), ElementsAre("SetJobState 1 queued", "StartWorker 2 gpu-0 a"));
  EXPECT_THAT(rig.ready(2), Contains("StartChunk 2 worker 2 job 1 [1 2 3]"));
}

TEST_F(OneJobRuns, CancellingARunningJobEndsItWhenItsChunkEnds) {
  rig.made(1, 0);
  EXPECT_THAT(rig.cancel(1), ElementsAre("CancelChunk 1 worker 1"));
  EXPECT_THAT(rig.cancel(1), IsEmpty()) << "once is enough";
  EXPECT_THAT(rig.ended(1, ChunkOutcome::cancelled), ElementsAre("SetJobState 1 cancelled"));
  EXPECT_THAT(rig.published(1, 0), IsEmpty());
  EXPECT_THAT(rig.cancel(1), IsEmpty()) << "it has ended";
}

TEST_F(OneJobRuns, ACancelledJobIsCancelledHoweverItsChunkEnds) {
  rig.cancel(1);
  EXPECT_THAT(rig.lost(1), ElementsAre("AbandonChunk 1 engine_died", "SetJobState 1 cancelled"));
}

TEST_F(OneJobRuns, ACancelledJobIsCancelledWhenItsGpuIsLost) {
  rig.cancel(1);
  EXPECT_THAT(rig.give(GpuLost{"gpu-0"}),
              ElementsAre("AbandonChunk 1 gpu_lost", "StopWorker 1", "SetJobState 1 cancelled"));
}

TEST_F(OneJobRuns, AJobWhoseLastPictureIsPublishedBeforeItsChunkEndsIsDoneAndTheGpuStaysBusyUntilThen) {
  for (int index = 0; index < 4; ++index) rig.made(1, index);
  for (int index = 0; index < 3; ++index) rig.published(1, index);
  EXPECT_THAT(rig.published(1, 3), ElementsAre("SetJobState 1 done"));
  EXPECT_THAT(rig.submit(2, "a"), IsEmpty());
  EXPECT_THAT(rig.ended(1), Contains("SetJobState 2 running"));
}

TEST_F(OneJobRuns, ARestartQueuesRunningJobsWithoutBlame) {
  rig.made(1, 0);
  rig.published(1, 0);
  rig.made(1, 1);
  EXPECT_THAT(rig.give(ServerRestarted{}), ElementsAre("SetJobState 1 queued", "StartWorker 2 gpu-0 a"));
  EXPECT_THAT(rig.ready(2), Contains("StartChunk 2 worker 2 job 1 [1 2 3]"));
}

TEST_F(OneJobRuns, ARestartEndsARunningJobThatWasAskedToCancel) {
  rig.cancel(1);
  EXPECT_THAT(rig.give(ServerRestarted{}), ElementsAre("SetJobState 1 cancelled"));
  EXPECT_THAT(rig.submit({.id = JobId{2}, .model = "a", .cancel_requested = true}),
              ElementsAre("SetJobState 2 cancelled"))
      << "as from its row";
}

TEST_F(OneJobRuns, TheStateAfterARestartIsTheStateRebuiltFromItsRows) {
  rig.made(1, 2);
  rig.published(1, 2);
  rig.submit_pinned(2, "a", "gpu-5");
  rig.submit({.id = JobId{3}, .owner = "ada", .rank = 0.25, .model = "a", .held = HeldReason::user});
  rig.lost(1);
  rig.give(ServerRestarted{});

  Rig rebuilt;
  rebuilt.gpu(0);
  rebuilt.model("a");
  rebuilt.submit({.id = JobId{1}, .model = "a", .missing = {0, 1, 3}, .worker_deaths = 1});
  rebuilt.submit({.id = JobId{2}, .model = "a", .pin = "gpu-5", .held = HeldReason::no_gpu});
  rebuilt.submit({.id = JobId{3}, .owner = "ada", .rank = 0.25, .model = "a", .held = HeldReason::user});
  EXPECT_EQ(rig.scheduler.durable_digest(), rebuilt.scheduler.durable_digest());
}

TEST(Failures, AWorkerThatDiesWhileLoadingIsStartedAgainAfterABackOffThatDoubles) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.lost(1), ElementsAre("SetJobState 1 queued deaths 1", wake_line(rig.now + milliseconds{200})));
  rig.now += milliseconds{199};
  EXPECT_THAT(rig.give(TimerFired{}), ElementsAre(wake_line(rig.now + milliseconds{1}))) << "too early";
  rig.now += milliseconds{1};
  EXPECT_THAT(rig.give(TimerFired{}), ElementsAre("StartWorker 2 gpu-0 a"));
  EXPECT_THAT(rig.lost(2), ElementsAre("SetJobState 1 queued deaths 2", wake_line(rig.now + milliseconds{400})));
  rig.now += milliseconds{400};
  rig.give(TimerFired{});
  EXPECT_THAT(rig.lost(3), ElementsAre("SetJobState 1 failed engine_died deaths 3"));
}

TEST(Failures, TheBackOffNeverExceedsThirtySecondsAndASuccessResetsIt) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  std::int64_t worker = 1;
  for (int i = 0; i < 12; ++i) {
    rig.lost(worker++, Blame::none);
    rig.now += std::chrono::seconds{30};
    EXPECT_THAT(rig.give(TimerFired{}), ElementsAre("StartWorker " + std::to_string(worker) + " gpu-0 a"));
  }
  rig.ready(worker);
  rig.lost(worker++, Blame::none);
  EXPECT_THAT(rig.lost(worker, Blame::none), ElementsAre(wake_line(rig.now + milliseconds{200})));
}

TEST(Failures, AModelInBackOffOnOneGpuIsLoadedOnAnotherAtOnce) {
  Rig rig;
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.lost(1), Contains("StartWorker 2 gpu-1 a"));
}

TEST(Failures, AnUnloadableModelFailsItsQueuedJobsButStaysKnown) {
  Rig rig(Policy{.multi_gpu = true, .max_gpus = 2, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::v18});
  rig.gpu(0);
  rig.gpu(1);
  rig.model("bad");
  rig.model("good");
  rig.submit(1, "bad");
  rig.submit(2, "bad");
  rig.submit(3, "bad");
  rig.submit(4, "good");
  EXPECT_THAT(
      rig.give(ModelUnloadable{WorkerId{1}, {"model_unreadable", "truncated", {}}}),
      ElementsAre("StopWorker 2", "SetJobState 1 failed model_unreadable", "SetJobState 2 failed model_unreadable",
                  "SetJobState 3 failed model_unreadable", "StartWorker 3 gpu-0 good"));
  EXPECT_THAT(rig.submit(5, "bad"), ElementsAre("StartWorker 4 gpu-1 bad"));
}

TEST(Failures, AForgottenModelHoldsItsJobsAndFreesItsMemory) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.give(ModelForgotten{"a"}), ElementsAre("StopWorker 1", "SetJobState 1 held model_disabled"));
  EXPECT_THAT(rig.model("a"), ElementsAre("SetJobState 1 queued", "StartWorker 2 gpu-0 a"));
}

TEST(Failures, WithoutAnyGpuJobsAreHeldAndReleasedWhenOneArrives) {
  Rig rig;
  rig.model("a");
  EXPECT_THAT(rig.submit(1, "a"), ElementsAre("SetJobState 1 held no_gpu"));
  EXPECT_THAT(rig.gpu(0), ElementsAre("SetJobState 1 queued", "StartWorker 1 gpu-0 a"));
}

TEST(Failures, AHoldEndsTheLoadAndAReleaseQueuesAgain) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.give(JobHeld{JobId{1}, HeldReason::user}), ElementsAre("StopWorker 1", "SetJobState 1 held user"));
  EXPECT_THAT(rig.give(JobReleased{JobId{1}}), ElementsAre("SetJobState 1 queued", "StartWorker 2 gpu-0 a"));
}

TEST(Failures, AReleaseLeavesWhatTheSchedulerHoldsItself) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit({.id = JobId{1}, .model = "gone", .held = HeldReason::user});
  EXPECT_THAT(rig.give(JobReleased{JobId{1}}), ElementsAre("SetJobState 1 held model_disabled"));
  EXPECT_THAT(rig.give(JobReleased{JobId{1}}), IsEmpty());
}

TEST(Failures, CancellingAHeldJobEndsIt) {
  Rig rig;
  rig.submit(1, "unknown");
  EXPECT_THAT(rig.cancel(1), ElementsAre("SetJobState 1 cancelled"));
}

TEST(Failures, AJobThatArrivesWithNothingMissingIsDone) {
  Rig rig;
  EXPECT_THAT(rig.give(JobSubmitted{{.id = JobId{1}, .model = "a"}}), ElementsAre("SetJobState 1 done"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
