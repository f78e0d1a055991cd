// Who is to blame, and when something that all gpus share is.
#include <gmock/gmock.h>

#include "health/test_rig.h"

namespace pixelfleet::health {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// --- jobs -----------------------------------------------------------------------------------------------------

TEST(Job, ThatFailedOnTwoGpusIsGuilty) {
  Rig rig;
  rig.fail("a", 1);
  EXPECT_THAT(rig.last<BlameJob>(), IsEmpty());
  rig.fail("b", 1, Exit::invalid_output);
  ASSERT_THAT(rig.last<BlameJob>(), SizeIs(1));
  EXPECT_EQ(rig.last<BlameJob>()[0].job, JobId{1});
  EXPECT_EQ(rig.last<BlameJob>()[0].why, "it failed on 2 gpus: a, b");
  EXPECT_THAT(rig.last<BlameJob>()[0].evidence,
              ElementsAre(HasSubstr("a: crash"), "signal SIGSEGV", HasSubstr("b: invalid_output"), "signal SIGSEGV"));
  EXPECT_EQ(rig.state("a"), State::healthy) << "it was not the gpu's";
  EXPECT_EQ(rig.reason("a"), Reason::exonerated);
  EXPECT_EQ(rig.state("b"), State::healthy);
}

TEST(Job, ThatFailsTwiceOnOneGpuIsNot) {
  Rig rig;
  rig.fail("a", 1);
  rig.fail("a", 1);
  EXPECT_THAT(rig.last<BlameJob>(), IsEmpty());
}

TEST(Job, ThatWorkedElsewhereIsNot) {
  Rig rig;
  rig.fail("a", 1);
  rig.done("b", 1);
  rig.fail("c", 1);
  EXPECT_THAT(rig.last<BlameJob>(), IsEmpty());
  EXPECT_EQ(rig.state("a"), State::suspect) << "it may be the gpu";
}

TEST(Job, ThatIsGuiltyNoLongerCountsAgainstGpus) {
  Rig rig;
  rig.fail("a", 1);
  rig.fail("b", 1);
  rig.fail("c", 1);
  rig.start("d", 1);
  rig.step(XidReported{"d", 31});
  EXPECT_THAT(rig.last<BlameJob>(), IsEmpty()) << "it is told once";
  for (const GpuUuid gpu : {"a", "b", "c", "d"}) EXPECT_EQ(rig.state(gpu), State::healthy) << gpu;
}

TEST(Job, ThatTookAGpuOutBringsItBackWhenFoundGuilty) {
  Rig rig;
  rig.fail("a", 1);
  rig.fail("a", 2);
  ASSERT_EQ(rig.state("a"), State::quarantined);
  rig.later(10);
  rig.fail("b", 1);
  EXPECT_EQ(rig.reason("a"), Reason::exonerated);
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1)) << "20 s early";
  EXPECT_EQ(rig.record("a").back_off_level, 0) << "it costs the gpu nothing";
  EXPECT_EQ(rig.state("b"), State::healthy);
}

TEST(Job, ThatTheEngineRefusesFailsAtOnce) {
  Rig rig;
  rig.fail("a", 1, Exit::bad_request);
  ASSERT_THAT(rig.last<BlameJob>(), SizeIs(1));
}

TEST(Job, IsForgottenWithItsEnd) {
  Rig rig;
  rig.fail("a", 1);
  rig.step(JobForgotten{JobId{1}});
  rig.fail("b", 1);
  EXPECT_THAT(rig.last<BlameJob>(), IsEmpty());
}

// --- models ---------------------------------------------------------------------------------------------------

TEST(Model, ThatFailedThreeLoadsOnTwoGpusIsDisabled) {
  Rig rig;
  rig.fail_load("a", "bad", 1, Exit::model_load);
  rig.fail_load("a", "bad", 2, Exit::model_load);
  rig.fail_load("a", "bad", 3, Exit::model_load);
  EXPECT_THAT(rig.last<DisableModel>(), IsEmpty()) << "one gpu";
  rig.fail_load("b", "bad", 4, Exit::model_load);
  ASSERT_THAT(rig.last<DisableModel>(), SizeIs(1));
  EXPECT_EQ(rig.last<DisableModel>()[0].why, "4 loads of it failed on a, b");
  EXPECT_THAT(rig.last<DisableModel>()[0].evidence, SizeIs(4));
  EXPECT_THAT(rig.rows(), IsEmpty()) << "no gpu is blamed for a file";
}

TEST(Model, ThatKillsItsWorkersWhileLoadingCostsNoGpuItsPlace) {
  Rig rig;
  for (int job = 1; job < 8; ++job) rig.fail_load("a", "bad", job);
  EXPECT_EQ(rig.state("a"), State::suspect) << "however many jobs want it";
  rig.fail_load("b", "bad", 8);
  EXPECT_THAT(rig.last<DisableModel>(), SizeIs(1));
  EXPECT_THAT(rig.last<BlameJob>(), IsEmpty()) << "its jobs wait";
  EXPECT_EQ(rig.state("a"), State::healthy);
  EXPECT_EQ(rig.state("b"), State::healthy);
  rig.fail_load("c", "bad", 9);
  EXPECT_EQ(rig.state("c"), State::healthy) << "a load that was under way";
}

TEST(Model, ThatWorksElsewhereDoesNotExcuseAGpu) {
  Rig rig;
  rig.done("b", 9, "good");
  rig.fail_load("a", "good", 1);
  rig.fail_load("a", "good", 2);
  EXPECT_EQ(rig.state("a"), State::quarantined);
  EXPECT_THAT(rig.last<DisableModel>(), IsEmpty());
}

TEST(Model, ThatWorksElsewhereIsNotBlamedForGpusThatCrash) {
  Rig rig({"a", "b", "c", "d", "e", "f"});
  rig.step(ModelWorked{"f", "good"});  // before a restart
  for (const GpuUuid gpu : {"a", "b"}) {
    for (int job = 1; job < 4; ++job) rig.fail_load(gpu, "good", job);
    EXPECT_EQ(rig.state(gpu), State::quarantined) << gpu;
  }
  EXPECT_THAT(rig.last<DisableModel>(), IsEmpty());
  rig.fail_load("c", "good", 5, Exit::model_load);
  rig.fail_load("c", "good", 5, Exit::model_load);
  rig.fail_load("d", "good", 5, Exit::model_load);
  EXPECT_THAT(rig.last<DisableModel>(), SizeIs(1)) << "but for files that the engine does not understand";
}

TEST(Model, CrashingLoadsOfTwoModelsAreTheGpus) {
  Rig rig;
  rig.fail_load("a", "one");
  rig.fail_load("a", "two");
  EXPECT_EQ(rig.state("a"), State::quarantined);
}

TEST(Model, IsTriedAfreshWhenItsFilesWereReplaced) {
  Rig rig;
  for (const GpuUuid gpu : {"a", "b", "c"}) rig.fail_load(gpu, "bad", 0, Exit::model_load);
  rig.step(ModelReplaced{"bad"});
  for (const GpuUuid gpu : {"a", "b"}) {
    rig.fail_load(gpu, "bad", 0, Exit::model_load);
    EXPECT_THAT(rig.last<DisableModel>(), IsEmpty());
  }
  rig.fail_load("c", "bad", 0, Exit::model_load);
  EXPECT_THAT(rig.last<DisableModel>(), SizeIs(1));
}

TEST(Model, OutOfMemoryWhileLoadingIsNobodysFault) {
  Rig rig;
  for (const GpuUuid gpu : {"a", "b", "c", "d"}) {
    rig.fail_load(gpu, "large", 1, Exit::out_of_memory);
    EXPECT_THAT(rig.last<DisableModel>(), IsEmpty());
  }
  EXPECT_THAT(rig.rows(), IsEmpty());
}

// --- the breaker ----------------------------------------------------------------------------------------------

TEST(Breaker, KeepsTheOthersWhenMoreThanHalfLeaveForTheSameReason) {
  Rig rig;
  int job = 0;
  for (const GpuUuid gpu : {"a", "b"}) {
    rig.fail(gpu, ++job, Exit::sticky_device);
    rig.fail(gpu, ++job, Exit::sticky_device);
    EXPECT_EQ(rig.state(gpu), State::quarantined) << gpu;
  }
  rig.fail("c", ++job, Exit::sticky_device);
  rig.fail("c", ++job, Exit::sticky_device);
  ASSERT_THAT(rig.last<RaiseAlarm>(), SizeIs(1)) << "three of four";
  EXPECT_EQ(rig.last<RaiseAlarm>()[0].fault, FaultClass::device);
  EXPECT_EQ(rig.last<RaiseAlarm>()[0].suspect, Suspect::driver);
  EXPECT_THAT(rig.last<RaiseAlarm>()[0].gpus, ElementsAre("a", "b", "c"));
  EXPECT_EQ(rig.state("c"), State::suspect);
  rig.fail("d", ++job, Exit::crash);
  rig.fail("d", ++job, Exit::crash);
  EXPECT_EQ(rig.state("d"), State::suspect) << "nor for any other reason";
  rig.later(299);
  rig.timer();
  EXPECT_THAT(rig.last<ClearAlarm>(), IsEmpty());
  rig.later(1);
  rig.timer();
  ASSERT_THAT(rig.last<ClearAlarm>(), SizeIs(1));
  EXPECT_THAT(rig.health().alarms(), IsEmpty());
}

TEST(Breaker, LetsHardwareLeave) {
  Rig rig({"a", "b"});
  rig.step(XidReported{"a", 119});
  rig.step(XidReported{"b", 119});
  EXPECT_EQ(rig.last<RaiseAlarm>().at(0).fault, FaultClass::reset);
  EXPECT_EQ(rig.state("a"), State::failed);
  EXPECT_EQ(rig.state("b"), State::failed);
}

TEST(Breaker, NeedsTheSameReasonWithinFiveMinutes) {
  Rig rig;
  int job = 0;
  for (const GpuUuid gpu : {"a", "b", "c"}) {
    rig.fail(gpu, ++job);
    rig.fail(gpu, ++job);
    EXPECT_THAT(rig.last<RaiseAlarm>(), IsEmpty());
    rig.later(301);  // the canaries of the first are asked for meanwhile
  }
  EXPECT_EQ(rig.state("c"), State::quarantined);
}

TEST(Breaker, SuspectsTheModelThatAllOfThemRan) {
  Rig rig({"a", "b"});
  rig.fail("a", 1, Exit::invalid_output, "black");
  rig.fail("a", 2, Exit::invalid_output, "black");
  rig.fail("b", 3, Exit::invalid_output, "black");
  rig.fail("b", 4, Exit::invalid_output, "black");
  EXPECT_EQ(rig.last<RaiseAlarm>().at(0).suspect, Suspect::model);
}

TEST(Breaker, SuspectsTheDiskWhenModelsDoNotLoad) {
  Rig rig({"a", "b"});
  rig.fail_load("a", "one");
  rig.fail_load("a", "two");
  rig.fail_load("b", "three");
  rig.fail_load("b", "four");
  EXPECT_EQ(rig.last<RaiseAlarm>().at(0).suspect, Suspect::disk);
}

TEST(LastGpu, IsNeverQuarantinedForSoftware) {
  Rig rig({"only"});
  for (int job = 1; job < 50; ++job) {
    rig.fail("only", job);
    rig.later(1);
  }
  EXPECT_EQ(rig.state("only"), State::suspect);
  EXPECT_THAT(rig.health().alarms(), IsEmpty()) << "one gpu is not a system";
}

TEST(LastGpu, ThatBreaksBringsTheNextOneForward) {
  Rig rig({"a", "b"});
  rig.take_out("a");
  rig.pass(30);
  rig.canary("a", Canary::failed);
  ASSERT_EQ(rig.waits("a"), 60);
  rig.step(GpuLost{"b"});
  EXPECT_EQ(rig.reason("a"), Reason::no_other_gpu);
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1));
  rig.canary("a", Canary::failed);
  EXPECT_THAT(rig.last<RunCanary>(), IsEmpty()) << "not for ever";
  EXPECT_DOUBLE_EQ(rig.waits("a"), 300);
}

}  // namespace
}  // namespace pixelfleet::health
