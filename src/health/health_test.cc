// The life of a gpu: out of service, back into it, and what only people or mending can end.
#include "health/health.h"

#include <gmock/gmock.h>

#include "health/test_rig.h"

namespace pixelfleet::health {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

MATCHER_P(StateIs, state, "") {
  *result_listener << "which is " << name(arg);
  return arg == state;
}

// --- quarantine -----------------------------------------------------------------------------------------------

TEST(Gpu, IsHealthyWhenFirstSeen) {
  Rig rig;
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
  EXPECT_THAT(rig.rows(), IsEmpty());
}

TEST(Gpu, IsSuspectForTenMinutesAfterAFault) {
  Rig rig;
  rig.fail("a", 1);
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect));
  EXPECT_THAT(rig.last<StopWork>(), IsEmpty()) << "it goes on";
  rig.pass(599);
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect));
  rig.pass(1);
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
  EXPECT_EQ(rig.reason("a"), Reason::faults_expired);
}

TEST(Gpu, ThatFailedTwoJobsIsQuarantined) {
  Rig rig;
  rig.fail("a", 1);
  rig.later(590);
  const auto actions = rig.fail("a", 2, Exit::sticky_device);
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_EQ(rig.reason("a"), Reason::failed_two_jobs);
  EXPECT_DOUBLE_EQ(rig.waits("a"), 30);
  ASSERT_THAT(rig.only<StopWork>(actions), SizeIs(1));
  const auto rows = rig.only<StateChanged>(actions);
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].from, State::suspect);
  EXPECT_THAT(rows[0].evidence, ElementsAre("sticky_device while running job 2 with model m", "signal SIGSEGV"));
}

TEST(Gpu, ThatFailedTwoJobsLongApartIsNot) {
  Rig rig;
  rig.fail("a", 1);
  rig.pass(601);
  rig.fail("a", 2);
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect));
}

TEST(Gpu, IsNotQuarantinedForOneJobThatFailsAgainAndAgain) {
  Rig rig;
  for (int i = 0; i < 5; ++i) rig.fail("a", 1);
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect));
}

TEST(Gpu, IsNotBlamedForMemoryOrBadRequests) {
  Rig rig;
  for (int job = 1; job < 10; ++job) {
    rig.fail("a", job, Exit::out_of_memory);
    rig.fail("a", job, Exit::bad_request);
  }
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
  EXPECT_THAT(rig.rows(), IsEmpty());
}

TEST(Gpu, IsQuarantinedForXidsOfThreeJobs) {
  Rig rig;
  for (const int job : {1, 2, 3}) {
    rig.start("a", job);
    for (int i = 0; i < 100; ++i) rig.step(XidReported{"a", 31});
    EXPECT_THAT(rig.state("a"), StateIs(job < 3 ? State::suspect : State::draining)) << job;
    EXPECT_EQ(rig.reason("a"), job < 3 ? Reason::fault : Reason::faults_of_three);
    rig.step(ChunkDropped{"a"});
  }
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
}

TEST(Gpu, CountsAnXidAndTheEndOfItsWorkerOnce) {
  Rig rig;
  rig.start("a", 1);
  rig.step(XidReported{"a", 31});
  rig.fail("a", 1, Exit::sticky_device);
  rig.step(XidReported{"a", 45});
  rig.start("a", 2);
  rig.step(XidReported{"a", 13});
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect)) << "one failed job and another one's Xid";
  rig.later(5);
  rig.fail("a", 2);
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
}

TEST(Gpu, IsNotBlamedForXidsOfOthersProcesses) {
  Rig rig;
  for (int i = 0; i < 10; ++i) rig.step(XidReported{"a", 13});
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
}

TEST(Gpu, IsNeverQuarantinedForThrottling) {
  Rig rig;
  for (int i = 0; i < 1000; ++i) {
    rig.step(Throttled{"a", i % 2 == 0 ? "thermal" : "power"});
    rig.later(1);
  }
  EXPECT_THAT(rig.rows(), IsEmpty());
  const auto actions = rig.fail("a", 1);
  EXPECT_THAT(rig.only<StateChanged>(actions).at(0).evidence, Contains("throttled: power")) << "but it is evidence";
}

// --- draining -------------------------------------------------------------------------------------------------

TEST(Drain, LetsWhatRunsFinish) {
  Rig rig;
  rig.start("a", 1);
  rig.step(OperatorDrained{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::draining));
  ASSERT_THAT(rig.last<StopWork>(), SizeIs(1));
  EXPECT_EQ(rig.last<StopWork>()[0].running, Running::finish);
  for (int i = 0; i < 20; ++i) {
    rig.pass(29);
    EXPECT_THAT(rig.last<StopWork>(), IsEmpty());
    rig.step(StepMade{"a"});
  }
  rig.done("a", 1);
  rig.pass(100);
  EXPECT_THAT(rig.last<StopWork>(), IsEmpty());
  EXPECT_THAT(rig.state("a"), StateIs(State::draining)) << "until resumed";
}

TEST(Drain, EndsWhatStandsStillFor30Seconds) {
  Rig rig;
  rig.start("a", 1);
  rig.step(OperatorDrained{"a"});
  rig.later(10);
  rig.step(StepMade{"a"});
  rig.later(29);
  rig.timer();
  EXPECT_THAT(rig.last<StopWork>(), IsEmpty());
  rig.later(1);
  rig.timer();
  ASSERT_THAT(rig.last<StopWork>(), SizeIs(1));
  EXPECT_EQ(rig.last<StopWork>()[0].running, Running::abandon);
}

TEST(Drain, ComesBeforeTheQuarantineOfABusyGpu) {
  Rig rig;
  rig.fail("a", 1);
  rig.start("a", 3);
  rig.fail("a", 2);  // another worker than the one that runs
  EXPECT_THAT(rig.state("a"), StateIs(State::draining));
  EXPECT_EQ(rig.reason("a"), Reason::failed_two_jobs);
  rig.done("a", 3);
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_EQ(rig.reason("a"), Reason::drained);
}

// --- readmission ----------------------------------------------------------------------------------------------

TEST(Readmission, IsBackOffCanaryAndThreeJobs) {
  Rig rig;
  rig.take_out("a");
  EXPECT_EQ(rig.wake_at(), rig.instant() + std::chrono::seconds{30});
  rig.pass(29);
  EXPECT_EQ(rig.canaries(), 0);
  rig.pass(100);
  EXPECT_EQ(rig.canaries(), 1) << "it is asked for once";
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  rig.canary("a", Canary::passed);
  EXPECT_THAT(rig.state("a"), StateIs(State::probation));
  ASSERT_THAT(rig.last<GiveWork>(), SizeIs(1));
  EXPECT_EQ(rig.last<GiveWork>()[0].trust, Trust::probation);
  rig.done("a", 1);
  rig.done("a", 1);
  rig.done("a", 2);
  EXPECT_THAT(rig.state("a"), StateIs(State::probation)) << "two jobs";
  rig.done("a", 3);
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
  ASSERT_THAT(rig.last<GiveWork>(), SizeIs(1));
  EXPECT_EQ(rig.last<GiveWork>()[0].trust, Trust::full);
}

TEST(Readmission, TakesLongerEachTime) {
  Rig rig;
  for (const double wait : {30.0, 60.0, 300.0, 900.0, 3600.0, 3600.0}) {
    rig.take_out("a");
    EXPECT_DOUBLE_EQ(rig.waits("a"), wait);
    rig.pass(wait);
    rig.canary("a", Canary::passed);
    rig.prove("a");
    rig.pass(600);
  }
  rig.pass(24 * kHour);
  rig.take_out("a");
  EXPECT_DOUBLE_EQ(rig.waits("a"), 30) << "after a clean day";
}

TEST(Readmission, WaitsLongerAfterACanaryThatFailed) {
  Rig rig;
  rig.take_out("a");
  rig.pass(30);
  rig.canary("a", Canary::failed);
  EXPECT_EQ(rig.reason("a"), Reason::canary_failed);
  EXPECT_DOUBLE_EQ(rig.waits("a"), 60);
}

TEST(Readmission, TakesACanaryWithoutAnswerForAFailure) {
  Rig rig;
  rig.take_out("a");
  rig.pass(30 + 299);
  EXPECT_THAT(rig.rows().back().record.reason, Reason::failed_two_jobs);
  rig.pass(1);
  EXPECT_EQ(rig.reason("a"), Reason::canary_unanswered);
}

TEST(Readmission, AsksAgainForACanaryThatCouldNotBeRun) {
  Rig rig;
  rig.take_out("a");
  rig.pass(30);
  rig.canary("a", Canary::not_run);
  rig.later(30);
  rig.timer();
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1));
  EXPECT_EQ(rig.record("a").back_off_level, 1);
}

TEST(Readmission, EndsWithTheFirstFailureOnProbation) {
  Rig rig;
  rig.take_out("a");
  rig.pass(30);
  rig.canary("a", Canary::passed);
  rig.done("a", 1);
  rig.fail("a", 2);
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_EQ(rig.reason("a"), Reason::failed_on_probation);
  EXPECT_DOUBLE_EQ(rig.waits("a"), 60);
}

TEST(Readmission, IgnoresCanariesThatNobodyAskedFor) {
  Rig rig;
  rig.take_out("a");
  EXPECT_THAT(rig.canary("a", Canary::passed), IsEmpty());
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
}

// --- hardware -------------------------------------------------------------------------------------------------

TEST(Hardware, ThatIsLostComesBackOverBackOffAndCanary) {
  Rig rig;
  rig.start("a", 1);
  rig.step(GpuLost{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  EXPECT_EQ(rig.reason("a"), Reason::lost);
  ASSERT_THAT(rig.last<StopWork>(), SizeIs(1));
  EXPECT_EQ(rig.last<StopWork>()[0].running, Running::abandon);
  rig.pass(10 * kHour);
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  rig.seen("a");
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1)) << "the 30 s are long over";
  rig.canary("a", Canary::passed);
  rig.prove("a");
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
}

TEST(Hardware, ThatFlickersBacksOff) {
  Rig rig;
  rig.step(GpuSeen{"a", RecoveryAction::unknown, Telemetry::gpu_lost});
  rig.later(1);
  rig.seen("a");
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_DOUBLE_EQ(rig.waits("a"), 29);
}

TEST(Hardware, IsFailedUntilItWasReset) {
  Rig rig;
  rig.step(XidReported{"a", 119});
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  EXPECT_EQ(rig.reason("a"), Reason::reset_needed);
  rig.pass(kHour);
  rig.seen("a");
  EXPECT_THAT(rig.state("a"), StateIs(State::failed)) << "it was there all the time";
  rig.seen("a", RecoveryAction::reset);
  rig.seen("a", RecoveryAction::none);
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined)) << "the driver asked for it, and no longer does";
}

TEST(Hardware, OffTheBusIsFailedUntilItArrivesAgain) {
  Rig rig;
  rig.step(XidReported{"a", 79});
  rig.seen("a");
  EXPECT_EQ(rig.reason("a"), Reason::reboot_needed);
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  rig.step(GpuLost{"a"});
  EXPECT_EQ(rig.reason("a"), Reason::reboot_needed) << "the worse of the two stays";
  rig.seen("a", RecoveryAction::reboot);
  EXPECT_THAT(rig.state("a"), StateIs(State::failed)) << "back, but not clean";
  rig.seen("a");
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
}

TEST(Hardware, IsTriedAgainAfterTheMachineBooted) {
  Rig rig;
  rig.step(XidReported{"a", 79});
  rig.restart();
  rig.step(MachineBooted{});
  rig.step(GpuSeen{"a", RecoveryAction::unknown});
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
}

TEST(Hardware, ThatTheDriverWantsResetIsFailedByTheSampleAlone) {
  Rig rig;
  rig.step(GpuSeen{"a", RecoveryAction::drain_and_reset});
  rig.step(GpuSeen{"b", RecoveryAction::unknown, Telemetry::reset_required});
  rig.step(GpuSeen{"c", RecoveryAction::drain_peers});
  rig.step(GpuSeen{"d", RecoveryAction::reset, Telemetry::unavailable});
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  EXPECT_THAT(rig.state("b"), StateIs(State::failed));
  EXPECT_THAT(rig.state("c"), StateIs(State::healthy)) << "of links, which we do not use";
  EXPECT_THAT(rig.state("d"), StateIs(State::healthy)) << "the monitor knows nothing";
}

TEST(Hardware, IsStuckUntilTheProcessIsGone) {
  Rig rig;
  rig.start("a", 1);
  rig.fail("a", 1, Exit::unreapable);
  EXPECT_THAT(rig.state("a"), StateIs(State::stuck));
  EXPECT_EQ(rig.last<StopWork>().at(0).running, Running::abandon);
  rig.pass(5 * kHour);
  EXPECT_THAT(rig.state("a"), StateIs(State::stuck));
  rig.step(WorkersReaped{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1));
}

TEST(Hardware, ThatIsStuckAndLostComesBackOnlyWhenBothAreOver) {
  Rig rig;
  rig.fail("a", 1, Exit::unreapable);
  rig.step(GpuLost{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  rig.seen("a");
  EXPECT_THAT(rig.state("a"), StateIs(State::stuck));
  rig.step(WorkersReaped{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
}

// --- the operator ---------------------------------------------------------------------------------------------

TEST(Operator, RetiresAGpuUntilResumed) {
  Rig rig;
  rig.step(OperatorRetired{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  EXPECT_EQ(rig.record("a").hold, Hold::retired);
  rig.step(GpuLost{"a"});
  rig.seen("a");
  rig.pass(48 * kHour);
  EXPECT_THAT(rig.state("a"), StateIs(State::failed));
  rig.step(OperatorResumed{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined));
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1)) << "a canary first";
}

TEST(Operator, ResumesADrainedGpuAtOnce) {
  Rig rig;
  rig.step(OperatorDrained{"a"});
  rig.step(OperatorResumed{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
  EXPECT_THAT(rig.last<GiveWork>(), SizeIs(1));
}

TEST(Operator, CutsABackOffShort) {
  Rig rig;
  rig.take_out("a");
  rig.step(OperatorResumed{"a"});
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1));
}

TEST(Operator, IsTakenAtTheirWordThatAGpuWasMended) {
  Rig rig;
  rig.step(XidReported{"a", 119});
  rig.step(OperatorResumed{"a"});
  EXPECT_THAT(rig.state("a"), StateIs(State::quarantined)) << "the last sample was clean";
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1));
}

TEST(Operator, IsToldWhatCannotBe) {
  Rig rig;
  rig.step(GpuLost{"a"});
  rig.step(OperatorResumed{"a"});
  EXPECT_THAT(rig.last<RefuseOrder>().at(0).why, HasSubstr("not there"));
  rig.fail("b", 1, Exit::unreapable);
  rig.step(OperatorResumed{"b"});
  EXPECT_THAT(rig.last<RefuseOrder>().at(0).why, HasSubstr("cannot be ended"));
  rig.step(OperatorRetired{"x"});
  EXPECT_THAT(rig.last<RefuseOrder>().at(0).why, HasSubstr("no gpu x"));
  rig.step(OperatorRetired{"c"});
  rig.step(OperatorDrained{"c"});
  EXPECT_THAT(rig.last<RefuseOrder>().at(0).why, HasSubstr("resume it first"));
}

// --- restart --------------------------------------------------------------------------------------------------

TEST(Restart, ForgetsNeitherBackOffNorItsLength) {
  Rig rig;
  rig.take_out("a");
  rig.pass(30);
  rig.canary("a", Canary::failed);
  const GpuRecord before = rig.record("a");
  rig.later(20);
  rig.restart();
  EXPECT_EQ(rig.record("a"), before);
  rig.seen("a");
  rig.pass(39);
  EXPECT_THAT(rig.last<RunCanary>(), IsEmpty());
  rig.later(1);
  rig.timer();
  EXPECT_THAT(rig.last<RunCanary>(), SizeIs(1));
  rig.canary("a", Canary::failed);
  EXPECT_DOUBLE_EQ(rig.waits("a"), 300) << "the third";
}

TEST(Restart, KeepsEveryStateThatMatters) {
  Rig rig({"drained", "failed", "good", "left", "probation", "retired", "stuck", "suspect"});
  rig.step(OperatorDrained{"drained"});
  rig.step(XidReported{"failed", 119});
  rig.step(OperatorRetired{"retired"});
  rig.fail("stuck", 1, Exit::unreapable);
  rig.take_out("probation");
  rig.pass(30);
  rig.canary("probation", Canary::passed);
  rig.fail("suspect", 2);
  rig.fail("left", 3);
  rig.start("left", 5);
  rig.fail("left", 4);
  rig.restart();
  for (const GpuUuid gpu : {"drained", "failed", "good", "left", "probation", "retired", "stuck", "suspect"}) {
    rig.step(GpuSeen{gpu, RecoveryAction::unknown});
  }
  EXPECT_THAT(rig.state("drained"), StateIs(State::draining));
  EXPECT_THAT(rig.state("failed"), StateIs(State::failed)) << "nothing shows that it was reset";
  EXPECT_THAT(rig.state("good"), StateIs(State::healthy));
  EXPECT_THAT(rig.state("left"), StateIs(State::quarantined)) << "what ran on it is gone";
  EXPECT_THAT(rig.state("probation"), StateIs(State::probation));
  EXPECT_THAT(rig.state("retired"), StateIs(State::failed));
  EXPECT_THAT(rig.state("stuck"), StateIs(State::stuck));
  EXPECT_THAT(rig.state("suspect"), StateIs(State::suspect));
  rig.step(GpuSeen{"failed", RecoveryAction::none});
  EXPECT_THAT(rig.state("failed"), StateIs(State::quarantined)) << "but the driver's word counts";
}

TEST(Restart, RemembersTheFaultOfASuspect) {
  Rig rig;
  rig.fail("a", 1);
  rig.restart();
  for (const GpuUuid gpu : {"b", "c", "d"}) rig.seen(gpu);
  rig.fail("a", 1);
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect)) << "the same job";
  rig.fail("b", 1);
  EXPECT_THAT(rig.last<BlameJob>(), SizeIs(1)) << "its second gpu";
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
}

TEST(Restart, StillForgivesASuspectAfterTenMinutes) {
  Rig rig;
  rig.fail("a", 1);
  rig.restart();
  rig.pass(600);
  EXPECT_THAT(rig.state("a"), StateIs(State::healthy));
}

TEST(Health, IsAValueThatCopies) {
  Rig rig;
  rig.fail("a", 1);
  Health copy = rig.health();
  static_cast<void>(copy.step(WorkerFailed{"a", JobId{2}, "m", Phase::running, Exit::crash, {}}, rig.instant()));
  EXPECT_THAT(copy.gpus().at(0).state, StateIs(State::quarantined));
  EXPECT_THAT(rig.state("a"), StateIs(State::suspect));
}

TEST(Health, IgnoresGpusThatItNeverSaw) {
  Rig rig;
  EXPECT_THAT(rig.start("x", 1), IsEmpty());
  EXPECT_THAT(rig.fail("x", 1), IsEmpty());
  EXPECT_THAT(rig.step(XidReported{"x", 79}), IsEmpty());
  EXPECT_THAT(rig.step(GpuLost{"x"}), IsEmpty());
  EXPECT_THAT(rig.canary("x", Canary::passed), IsEmpty());
  EXPECT_THAT(rig.health().gpus(), SizeIs(4));
}

TEST(Names, AreReadBack) {
  for (const State state : {State::healthy, State::suspect, State::draining, State::quarantined, State::probation,
                            State::failed, State::stuck}) {
    EXPECT_EQ(state_from(name(state)), state);
  }
  for (int i = 0; i <= static_cast<int>(Reason::operator_resumed); ++i) {
    EXPECT_EQ(reason_from(name(static_cast<Reason>(i))), static_cast<Reason>(i));
  }
  EXPECT_EQ(state_from("well"), std::nullopt);
  EXPECT_EQ(reason_from(""), std::nullopt);
}

}  // namespace
}  // namespace pixelfleet::health
