// What the amp policy decides: further copies, waiting on purpose, the guard, loads beside a run.
#include <gmock/gmock.h>

#include <cmath>
#include <optional>

#include "scheduler/amp_test_words.h"

namespace pixelfleet::scheduler {
namespace {

// --- further copies, and waiting on purpose -----------------------------------------------------------------------

// Jobs of 20 s for a model that gpu 0 runs; gpu 1 is empty.
Situation one_copy(int jobs, double busy_seconds) {
  Situation s;
  const int g0 = s.gpu();
  s.gpu();
  const int a = s.model();
  s.runs(g0, a, busy_seconds);
  for (int id = 1; id <= jobs; ++id) s.waits(id, a, {.seconds = 20.0});
  return s;
}

TEST(FurtherCopy, IsMadeWhenTheQueueDrainsSoMuchSooner) {
  // On one: 40 + 60 + 80. With another one from 10 s on: 30 + 40 + 50. That saves 60 s for a load of 10.
  Situation s = one_copy(3, 20.0);
  EXPECT_EQ(next(s), "load 0 on 1");
}

TEST(FurtherCopy, IsNotMadeWhenTheWarmGpuIsSoonFree) {
  // 32 s, or 10 + 20: what it saves is less than half of the load.
  Situation s = one_copy(1, 12.0);
  EXPECT_EQ(next(s), "wait") << "the warm gpu is worth the wait";
  s = one_copy(1, 16.0);
  EXPECT_EQ(next(s), "load 0 on 1") << "36 s, or 30: that is more than half";
}

TEST(FurtherCopy, IsNotMadeWhileOthersNeedTheGpuMore) {
  // It saves 60 s; a load of 10 s costs 5, and 10 more for each two jobs that have no gpu at all.
  Situation s = one_copy(3, 20.0);
  const int homeless = s.model({.gigabytes = 90.0});
  for (int id = 11; id <= 20; ++id) s.waits(id, homeless);
  EXPECT_EQ(next(s), "load 0 on 1") << "55 s";
  for (int id = 21; id <= 22; ++id) s.waits(id, homeless);
  EXPECT_EQ(next(s), "wait") << "65 s";
}

TEST(FurtherCopy, IsNotMadeWhileJobsWaitForWhatTheGpuHolds) {
  Situation s = one_copy(3, 20.0);
  const int b = s.model({.gigabytes = 4.0});
  s.holds(1, b);
  EXPECT_EQ(next(s), "load 0 on 1");
  for (int id = 11; id <= 22; ++id) s.waits(id, b, {.seconds = 1000.0, .priority = Priority::background});
  EXPECT_EQ(next(s), "run job 11 on 1");
}

TEST(FurtherCopy, OfASplitJobPaysByItsParts) {
  // One job of four pictures, 40 s; its model's gpu is free in 10 s. There alone: 50 s; shared with another: 30 s.
  for (const Part splitting : {Part::on, Part::off}) {
    Situation s;
    const int g0 = s.gpu();
    s.gpu();
    const int a = s.model();
    s.runs(g0, a, 10.0);
    s.waits(1, a, {.seconds = 40.0, .images = 4});
    s.board.tuning.splitting = splitting;
    EXPECT_EQ(next(s), splitting == Part::on ? "load 0 on 1" : "wait");
  }
}

TEST(FurtherCopy, OfASplitJobPaysOnlyWhileFewJobsWait) {
  Situation s;
  const int g0 = s.gpu();
  s.gpu();
  const int a = s.model();
  s.runs(g0, a, 10.0);
  s.waits(1, a, {.seconds = 40.0, .images = 4});
  const int other = s.model({.gigabytes = 90.0});
  s.waits(2, other, {.seconds = 1.0, .priority = Priority::background, .gpus = bit(g0)});
  s.board.gpu(g0).refused = {other};
  EXPECT_EQ(next(s), "load 0 on 1");
  s.waits(3, other, {.seconds = 1.0, .priority = Priority::background, .gpus = bit(g0)});
  EXPECT_EQ(next(s), "wait");
}

// --- the guard ------------------------------------------------------------------------------------------------

double guard_after(Situation& s, int model, std::size_t at = 0) {
  const BoardJob& job = s.board.model(model).window[at];
  return Amp(s.board).guard(job) - job.arrived;
}

TEST(Guard, IsAMinuteOrFourOfTheJobsOwnRunTimes) {
  Situation s;
  for (int gpu = 0; gpu < 20; ++gpu) s.gpu();  // hardly a backlog
  const int a = s.model();
  s.waits(1, a, {.seconds = 10.0});
  s.waits(2, a, {.by_type = {20.0, 90.0}});
  EXPECT_DOUBLE_EQ(guard_after(s, a, 0), 60.0);
  EXPECT_DOUBLE_EQ(guard_after(s, a, 1), 80.0) << "on its fastest gpu";
}

TEST(Guard, MovesWithTheBacklogAndNeverBeforeThatOfItsArrival) {
  Situation s;
  s.gpu();
  const int a = s.model();
  s.waits(1, a, {.seconds = 20.0, .backlog_at_arrival = 30.0});
  EXPECT_DOUBLE_EQ(guard_after(s, a), 5.0 * 30.0);
  s.waits(2, a, {.seconds = 20.0});
  EXPECT_DOUBLE_EQ(guard_after(s, a), 5.0 * 40.0) << "two jobs of 20 s wait for one gpu";
}

TEST(Guard, OfABackgroundJobIsHalfADay) {
  Situation s;
  s.gpu();
  const int a = s.model();
  s.waits(1, a, {.priority = Priority::background});
  EXPECT_DOUBLE_EQ(guard_after(s, a), 12.0 * 3600.0);
}

TEST(Guard, TheNextOneIsTheEarliestThatHasNotPassed) {
  Situation s;
  for (int gpu = 0; gpu < 20; ++gpu) s.gpu();
  const int a = s.model();
  EXPECT_GE(Amp(s.board).next_guard(), kNever);
  s.waits(1, a, {.waited = 70.0});
  s.waits(2, a, {.waited = 20.0});
  s.waits(3, a, {.waited = 30.0});
  EXPECT_DOUBLE_EQ(Amp(s.board).next_guard(), s.board.now + 30.0);
}

// Two interactive jobs of 10 s wait with job 1: a backlog of 30 s on one gpu, so job 1 is overdue after 150 s.
Situation late_job(double waited) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.waited = waited});
  s.waits(2, a, {.priority = Priority::interactive});
  s.waits(3, a, {.priority = Priority::interactive});
  return s;
}

TEST(Overdue, AJobGoesBeforeEverythingElse) {
  Situation s = late_job(149.0);
  EXPECT_EQ(next(s), "run job 2 on 0");
  s = late_job(151.0);
  EXPECT_EQ(next(s), "run job 1 on 0");
  EXPECT_GE(Amp(s.board).next().index, kNever);
}

TEST(Overdue, TheJobWhoseGuardCameFirstGoesFirst) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.holds(g, a);
  s.holds(g, b);
  s.waits(1, a, {.seconds = 2.0, .waited = 1000.0});
  s.waits(2, b, {.seconds = 2.0, .waited = 1001.0});
  EXPECT_EQ(next(s), "run job 2 on 0");
}

TEST(Overdue, AJobRunsOnTheFastestIdleGpuThatHoldsItsModel) {
  Situation s;
  const int slow = s.gpu({.type = 1});
  const int fast = s.gpu({.type = 0});
  const int a = s.model();
  s.holds(slow, a);
  s.holds(fast, a);
  s.waits(1, a, {.by_type = {10.0, 20.0}, .waited = 1000.0});
  EXPECT_EQ(next(s), "run job 1 on 1");
}

TEST(Overdue, AJobsModelIsLoadedThoughOthersAreWarm) {
  Situation s;
  const int g = s.gpu();
  const int warm = s.model();
  const int cold = s.model();
  s.holds(g, warm);
  s.waits(1, cold, {.waited = 1000.0});
  s.waits(2, warm, {.priority = Priority::interactive});
  EXPECT_EQ(next(s), "load 1 on 0");
  s.board.gpu(g).paid = 10.0;
  EXPECT_EQ(next(s), "run job 2 on 0") << "but not before the last load was paid for";
}

TEST(Overdue, AJobIsLoadedForWhereLoadRunAndHalfTheEvictionTakeLeast) {
  Situation s;
  const int g0 = s.gpu();
  const int g1 = s.gpu();
  const int held = s.model({.gigabytes = 20.0});
  const int cold = s.model();
  s.holds(g0, held);
  s.holds(g1, held);
  s.board.model(held).rate = 1.0;
  s.board.model(held).rate_at = s.board.now;
  s.waits(1, cold, {.waited = 1000.0});
  EXPECT_EQ(next(s), "load 1 on 0");
  s.board.gpu(g1).residents.clear();
  EXPECT_EQ(next(s), "load 1 on 1");
}

TEST(Overdue, AJobIsLeftToTheGpuThatWillBeReadySooner) {
  // A load takes 10 s and the run 10: a warm gpu that is free within 20 s is as good.
  for (const double busy : {19.0, 21.0}) {
    Situation s;
    const int g0 = s.gpu();
    s.gpu();
    const int a = s.model();
    s.runs(g0, a, busy);
    s.waits(1, a, {.waited = 1000.0});
    s.board.tuning.quantum = 0.0;
    const Choice choice = Amp(s.board).next();
    if (busy < 20.0) {
      EXPECT_LT(choice.index, kNever) << describe(choice);
    } else {
      EXPECT_EQ(describe(choice), "load 0 on 1");
      EXPECT_GE(choice.index, kNever);
    }
  }
}

TEST(Overdue, AJobThatNoIdleGpuMayTakeHoldsNobodyUp) {
  Situation s;
  const int g0 = s.gpu();
  const int g1 = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.runs(g0, b, 10.0);
  s.holds(g1, a);
  s.waits(1, b, {.waited = 5000.0, .gpus = bit(g0)});
  s.waits(2, a);
  EXPECT_EQ(next(s), "run job 2 on 1");
}

TEST(Overdue, AJobKeepsItsModelOnTheGpuAlsoFromALoadBesideARun) {
  Situation s;
  const int g = s.gpu({.gigabytes = 16.0});
  const int running = s.model();
  const int late = s.model();
  const int other = s.model();
  s.runs(g, running, 100.0);
  s.holds(g, late);
  s.waits(1, late, {.seconds = 30.0, .waited = 5000.0});
  s.board.tuning.aging_seconds = 1e9;
  for (int id = 2; id <= 20; ++id) s.waits(id, other, {.seconds = 1.0, .priority = Priority::interactive});
  EXPECT_EQ(next_behind(s), "wait");
}

// --- beside a run ---------------------------------------------------------------------------------------------

// Gpu 0 runs model 0 for a minute; a job waits for model 1.
Situation beside_a_run(const Situation::Facts& wanted = {}) {
  Situation s;
  const int g = s.gpu();
  s.runs(g, s.model(), 60.0);
  s.waits(1, s.model(wanted));
  return s;
}

TEST(LoadBehind, BringsTheNextModelWhileTheGpuRuns) {
  Situation s = beside_a_run();
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
  EXPECT_DOUBLE_EQ(Amp(s.board).next_behind().index, 1.0 / (11.5 + 10.0));
}

TEST(LoadBehind, IsNotDoneWhereItIsOffOrTheEngineCannot) {
  Situation s = beside_a_run();
  s.board.tuning.load_behind = Part::off;
  EXPECT_EQ(next_behind(s), "wait");
  s = beside_a_run();
  s.board.load_beside_run = false;
  EXPECT_EQ(next_behind(s), "wait");
}

TEST(LoadBehind, ReadsTheDiskOnlyWhereThatIsNearlyAsFast) {
  // From host memory 10 s; 1.6 times that is the limit for the reading.
  Situation s = beside_a_run({.disk_seconds = 26.0, .file_gigabytes = 16.0, .file = kOnDisk});
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
  s = beside_a_run({.disk_seconds = 27.0, .file_gigabytes = 17.0, .file = kOnDisk});
  EXPECT_EQ(next_behind(s), "wait");
  s = beside_a_run({.disk_seconds = 27.0, .file_gigabytes = 17.0});
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
}

TEST(LoadBehind, ReadsTheDiskNotBesideOthersWhereThatTakesTooLong) {
  // 8 s of reading are less than 16; beside another reader they take 16, beside two 24.
  Situation s = beside_a_run({.disk_seconds = 18.0, .file_gigabytes = 8.0, .file = kOnDisk});
  s.board.disk_readers = 1;
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
  s.board.disk_readers = 2;
  EXPECT_EQ(next_behind(s), "wait");
  s.board.disk_readers = 1;
  s.stages(s.model(), 5.0);
  EXPECT_EQ(next_behind(s), "wait");
}

TEST(LoadBehind, JoinsTheReadingOfItsFileWhenThatIsNearlyDone) {
  Situation s = beside_a_run({.disk_seconds = 60.0, .file_gigabytes = 50.0, .file = kOnDisk});
  s.stages(1, 17.0);
  EXPECT_EQ(next_behind(s), "wait");
  s.stages(1, 16.0);
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
}

TEST(LoadBehind, NeverPushesOutWhatRuns) {
  Situation s = beside_a_run({.gigabytes = 17.0});
  EXPECT_EQ(next_behind(s), "wait") << "8 + 17 are more than 24";
}

TEST(LoadBehind, PushesOutWhatIsWorthLess) {
  Situation s = beside_a_run();
  s.holds(0, s.model());
  s.board.gpu(0).memory_bytes = 16.0 * kGigabyte;
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
}

TEST(LoadBehind, LeavesTheGpuToWarmWorkThatIsWorthMore) {
  Situation s = beside_a_run();
  s.waits(2, 0);  // 0.1, against 1 / 21.5
  EXPECT_EQ(next_behind(s), "wait");
  s.waits(3, 1, {.priority = Priority::interactive});
  EXPECT_EQ(next_behind(s), "load 1 on 0 beside its run");
}

TEST(LoadBehind, OneAtATime) {
  Situation s = beside_a_run();
  s.loads(0, s.model(), 10.0);
  EXPECT_EQ(next_behind(s), "wait");
}

TEST(LoadBehind, IsNotForJobsThatMayNotRunThere) {
  Situation s = beside_a_run();
  s.board.model(1).window[0].gpus = bit(1);
  EXPECT_EQ(next_behind(s), "wait");
}

// Model 0 runs on gpu 0 for 100 s and three jobs of 20 s wait for it; gpu 1 runs another one for 20 s.
Situation copy_beside_a_run(double busy_seconds = 100.0) {
  Situation s;
  const int g0 = s.gpu();
  const int g1 = s.gpu();
  const int a = s.model();
  s.runs(g0, a, busy_seconds);
  s.runs(g1, s.model(), 20.0);
  for (int id = 1; id <= 3; ++id) s.waits(id, a, {.seconds = 20.0});
  return s;
}

TEST(CopyBehind, IsMadeWhereItSavesMuch) {
  // 120 + 140 + 160, or 40 + 60 + 80 on the other gpu: 240 s saved, for three times half of 11.5.
  Situation s = copy_beside_a_run();
  EXPECT_EQ(next_behind(s), "load 0 on 1 beside its run");
  s.board.tuning.replicate_behind = Part::off;
  EXPECT_EQ(next_behind(s), "wait");
}

TEST(CopyBehind, IsNotMadeWhereItSavesLittle) {
  // Free in 1 s: 21 + 41 + 61 = 123, or 21 + 40 + 41 with the other gpu from 20 s on: 21 s saved.
  Situation s = copy_beside_a_run(1.0);
  EXPECT_EQ(next_behind(s), "load 0 on 1 beside its run") << "21 are more than 17.25";
  s.board.model(0).load_from_host.fill(14.0F);  // three times half of 16.1
  EXPECT_EQ(next_behind(s), "wait");
}

TEST(CopyBehind, GivesWayToAModelThatIsNowhere) {
  Situation s = copy_beside_a_run();
  s.waits(11, s.model());
  EXPECT_EQ(next_behind(s), "load 2 on 1 beside its run") << "gpu 0 has warm work worth more";
}

TEST(CopyBehind, IsNotMadeWhileAnIdleGpuHoldsTheModel) {
  Situation s = copy_beside_a_run();
  s.holds(s.gpu(), 0);
  EXPECT_EQ(next_behind(s), "wait");
}

// --- throughput -----------------------------------------------------------------------------------------------

TEST(Throughput, WeighsLongJobsAsMuchAsShortOnes) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.seconds = 100.0});
  s.waits(2, a, {.seconds = 10.0});
  EXPECT_EQ(next(s), "run job 2 on 0");
  s.board.throughput = 1.0;
  EXPECT_EQ(next(s), "run job 1 on 0");
}

TEST(Throughput, LoadsWhatKeepsTheGpuAtWork) {
  Situation s;
  s.gpu();
  const int longer = s.model();
  const int shorter = s.model();
  s.waits(1, longer, {.seconds = 100.0});  // 1 / 110; 100 / 110 of the time at work
  s.waits(2, shorter, {.seconds = 10.0});  // 1 / 20; 10 / 20
  EXPECT_EQ(next(s), "load 1 on 0");
  s.board.throughput = 1.0;
  EXPECT_EQ(next(s), "load 0 on 0");
}

}  // namespace
}  // namespace pixelfleet::scheduler
