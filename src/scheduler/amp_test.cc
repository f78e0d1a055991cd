// What the amp policy decides: weights, warm starts, loads.
#include "scheduler/amp.h"

#include <gmock/gmock.h>

#include <cmath>
#include <optional>

#include "scheduler/amp_test_words.h"

namespace pixelfleet::scheduler {
namespace {

// --- weights --------------------------------------------------------------------------------------------------

double weight_of(Situation& s, int model, std::size_t at = 0) {
  return Amp(s.board).weight(s.board.model(model).window[at]);
}

TEST(Weight, DoublesIn45SecondsOfWaiting) {
  Situation s;
  s.gpu();
  s.gpu();
  const int a = s.model();
  s.waits(1, a, {.seconds = 1.0});
  s.waits(2, a, {.seconds = 1.0, .waited = 45.0});
  EXPECT_DOUBLE_EQ(weight_of(s, a, 0), 1.0);
  EXPECT_DOUBLE_EQ(weight_of(s, a, 1), 2.0);
}

TEST(Weight, GrowsSlowerUnderABacklog) {
  Situation s;
  const int g0 = s.gpu();
  s.gpu();
  const int a = s.model();
  s.runs(g0, a, 20.0);
  s.waits(1, a, {.seconds = 180.0, .waited = 2000.0});
  EXPECT_DOUBLE_EQ(Amp(s.board).backlog(), 100.0) << "20 + 180 s of work for two gpus";
  EXPECT_DOUBLE_EQ(Amp(s.board).aging(), 20.0 * 100.0);
  EXPECT_DOUBLE_EQ(weight_of(s, a), 2.0);
}

TEST(Weight, IsEightForInteractiveJobsAndAFiftiethForBackgroundOnes) {
  Situation s;
  s.gpu();
  const int a = s.model();
  s.waits(1, a, {.priority = Priority::interactive});
  s.waits(2, a, {.priority = Priority::background});
  EXPECT_DOUBLE_EQ(weight_of(s, a, 0), 8.0);
  EXPECT_DOUBLE_EQ(weight_of(s, a, 1), 0.02);
}

TEST(Weight, OfAnOwnersLaterJobsIsLessUntilTheEarlierOnesHaveEnded) {
  Situation s;
  s.gpu();
  const int a = s.model();
  s.waits(1, a, {.owner = 0, .place = 0});
  s.waits(2, a, {.owner = 0, .place = 7});
  EXPECT_DOUBLE_EQ(weight_of(s, a, 0), 1.0);
  EXPECT_DOUBLE_EQ(weight_of(s, a, 1), std::pow(8.0, -0.3));
  s.board.owners[0].ended = 4;
  EXPECT_DOUBLE_EQ(weight_of(s, a, 1), std::pow(4.0, -0.3));
  s.board.owners[0].ended = 9;
  EXPECT_DOUBLE_EQ(weight_of(s, a, 1), 1.0);
}

// --- warm starts ----------------------------------------------------------------------------------------------

TEST(WarmStart, GoesToTheJobOfMostWeightForItsTime) {
  for (const double waited : {44.0, 46.0}) {
    Situation s;
    const int g = s.gpu();
    const int a = s.model();
    s.holds(g, a);
    s.waits(1, a, {.seconds = 0.5});
    s.waits(2, a, {.seconds = 1.0, .waited = waited});
    EXPECT_EQ(next(s), waited < 45.0 ? "run job 1 on 0" : "run job 2 on 0") << waited;
  }
}

TEST(WarmStart, OfEqualJobsGoesToTheFirst) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(4, a);
  s.waits(3, a);
  EXPECT_EQ(next(s), "run job 3 on 0");
}

TEST(WarmStart, PutsAnInteractiveJobBeforeALongWaitAndABackgroundJobAfter) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.waited = 50.0});
  s.waits(2, a, {.waited = 55.0, .priority = Priority::background});
  EXPECT_EQ(next(s), "run job 1 on 0");
  s.waits(3, a, {.priority = Priority::interactive});
  EXPECT_EQ(next(s), "run job 3 on 0");
}

TEST(WarmStart, GivesEachOwnerATurnBeforeAnOwnersSecondJob) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(2, a, {.waited = 5.0, .owner = 0, .place = 1});
  s.waits(3, a, {.owner = 1});
  EXPECT_EQ(next(s), "run job 3 on 0");
}

TEST(WarmStart, PrefersTheJobThatNeedsNoOtherLoraSet) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.seconds = 10.0, .loras = 2});
  s.waits(2, a, {.seconds = 12.0, .loras = 0});
  EXPECT_EQ(next(s), "run job 2 on 0") << "12 s, against 10 and 3 to change the set";
}

TEST(WarmStart, GoesToTheFastestIdleGpuThatHoldsTheModel) {
  Situation s;
  const int slow = s.gpu({.type = 1});
  const int fast = s.gpu({.type = 0});
  const int a = s.model();
  s.holds(slow, a);
  s.holds(fast, a);
  s.waits(1, a, {.by_type = {10.0, 20.0}});
  EXPECT_EQ(next(s), "run job 1 on 1");
  EXPECT_DOUBLE_EQ(index_of(s, "run job 1 on 0").value(), 1.0 / 20.0 * std::sqrt(10.0 / 20.0))
      << "a gpu that is half as fast is left to others";
  s.runs(fast, a, 100.0);
  EXPECT_DOUBLE_EQ(index_of(s, "run job 1 on 0").value(), 1.0 / 20.0);
}

TEST(WarmStart, YieldsALittleWhereOtherModelsWaitToo) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.holds(g, a);
  s.holds(g, b);
  s.waits(1, a);
  EXPECT_DOUBLE_EQ(index_of(s, "run job 1 on 0").value(), 0.1);
  s.waits(2, b);
  EXPECT_DOUBLE_EQ(index_of(s, "run job 1 on 0").value(), 0.095);
}

TEST(WarmStart, NeverUsesAGpuThatTheJobMayNotUse) {
  Situation s;
  const int g0 = s.gpu();
  const int g1 = s.gpu();
  const int a = s.model();
  s.holds(g0, a);
  s.holds(g1, a);
  s.waits(1, a, {.gpus = bit(g1)});
  EXPECT_EQ(next(s), "run job 1 on 1");
  s.runs(g1, a, 30.0);
  EXPECT_EQ(next(s), "wait");
}

TEST(WarmStart, HappensBesideALoadWhereTheEngineCan) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.loads(g, s.model(), 10.0);
  s.waits(1, a);
  EXPECT_EQ(next(s), "run job 1 on 0");
  s.board.gpu(g).load_excludes_runs = true;
  EXPECT_EQ(next(s), "wait");
}

// --- loads ----------------------------------------------------------------------------------------------------

TEST(Load, OfAModelThatNoGpuHoldsIsWorthTheBestOfItsFirstJobs) {
  Situation s;
  s.gpu();
  const int a = s.model();
  s.waits(1, a, {.seconds = 10.0});
  EXPECT_EQ(next(s), "load 0 on 0");
  EXPECT_DOUBLE_EQ(index_of(s, "load 0 on 0").value(), 1.0 / 20.0);
  s.waits(2, a, {.seconds = 10.0});
  EXPECT_DOUBLE_EQ(index_of(s, "load 0 on 0").value(), 2.0 / 30.0);
  s.waits(3, a, {.seconds = 1000.0});
  s.board.tuning.aging_seconds = 1e9;  // the long job makes no other heavier
  EXPECT_NEAR(index_of(s, "load 0 on 0").value(), 2.0 / 30.0, 1e-9) << "the long one would only dilute it";
}

TEST(Load, IsWeighedForTwentyFourJobsAtMost) {
  Situation s;
  s.gpu();
  const int a = s.model();
  for (int id = 1; id <= 30; ++id) s.waits(id, a, {.seconds = 1.0});
  EXPECT_DOUBLE_EQ(index_of(s, "load 0 on 0").value(), 24.0 / (10.0 + 24.0));
}

TEST(Load, HasToBeatAWarmStartByHalf) {
  for (const int jobs : {3, 4}) {
    Situation s;
    const int g = s.gpu();
    const int a = s.model();
    const int b = s.model();
    s.holds(g, a);
    s.waits(1, a);  // worth 0.1
    for (int id = 2; id < 2 + jobs; ++id) s.waits(id, b, {.seconds = 4.0});
    // 3 / (10 + 12) = 0.136; 4 / (10 + 16) = 0.154
    EXPECT_EQ(next(s), jobs == 3 ? "run job 1 on 0" : "load 1 on 0");
  }
}

TEST(Load, ChargesOneAndAHalfTimesWhatItPushesOut) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 24.0});
  const int b = s.model();
  s.holds(g, a);
  s.board.model(a).rate = 0.01;
  s.board.model(a).rate_at = s.board.now;
  s.waits(1, b);
  const double price = 10.0 * (1.0 - std::exp(-0.6));
  EXPECT_NEAR(index_of(s, "load 1 on 0").value(), 1.0 / (10.0 + 1.5 * price + 10.0), 1e-9);
}

TEST(Load, LeavesWaitingWorkOnlyAfterTwiceItsOwnLoadWasRun) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.holds(g, a);
  s.board.gpu(g).paid = 10.0;
  s.board.gpu(g).tenure = 19.9;
  s.waits(1, a, {.seconds = 100.0});
  for (int id = 2; id < 12; ++id) s.waits(id, b, {.seconds = 1.0});
  EXPECT_EQ(next(s), "run job 1 on 0");
  s.board.gpu(g).tenure = 20.0;
  EXPECT_EQ(next(s), "load 1 on 0");
}

TEST(Load, LeavesModelsThatNobodyWaitsForAtOnce) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.holds(g, a);
  s.board.gpu(g).paid = 10.0;
  s.waits(1, b);
  EXPECT_EQ(next(s), "load 1 on 0");
}

TEST(Load, GoesToTheGpuThatIsDoneSoonest) {
  Situation s;
  s.gpu({.type = 1});
  s.gpu({.type = 0});
  const int a = s.model();
  s.board.model(a).load_from_host = {10.0F, 8.0F};
  s.waits(1, a, {.by_type = {10.0, 20.0}});
  EXPECT_EQ(next(s), "load 0 on 1") << "10 + 10 s, against 8 + 20";
}

TEST(Load, GoesToTheGpuWhereItPushesOutLeast) {
  Situation s;
  const int g0 = s.gpu();
  const int g1 = s.gpu();
  const int dear = s.model({.gigabytes = 20.0});
  const int cheap = s.model({.gigabytes = 20.0});
  const int a = s.model();
  s.holds(g0, dear);
  s.holds(g1, cheap);
  s.board.model(dear).rate = 0.01;
  s.board.model(dear).rate_at = s.board.now;
  s.waits(1, a);
  EXPECT_EQ(next(s), "load 2 on 1");
}

TEST(Load, ForAPinnedJobGoesWhereItIsPinnedThoughAnotherGpuIsWarm) {
  Situation s;
  const int g0 = s.gpu();
  const int g1 = s.gpu();
  const int a = s.model();
  s.holds(g0, a);
  s.waits(1, a, {.gpus = bit(g1)});
  EXPECT_EQ(next(s), "load 0 on 1");
}

TEST(Load, IsNotTriedWhereItsWorkerDiedLately) {
  Situation s;
  const int g0 = s.gpu();
  s.gpu();
  const int a = s.model();
  s.waits(1, a);
  s.board.gpu(g0).refused = {a};
  EXPECT_EQ(next(s), "load 0 on 1");
}

TEST(Load, OneAtATimeOnAGpu) {
  Situation s;
  const int g = s.gpu();
  s.loads(g, s.model(), 10.0);
  s.waits(1, s.model());
  EXPECT_EQ(next(s), "wait");
}

TEST(Load, FromTheDiskIsWorthHalfWhileAnotherFileIsRead) {
  Situation s;
  s.gpu();
  const int a = s.model({.file = kOnDisk});
  s.waits(1, a);
  EXPECT_DOUBLE_EQ(index_of(s, "load 0 on 0").value(), 1.0 / (20.0 + 10.0));
  s.stages(s.model({.file = kOnDisk}), 30.0);
  EXPECT_DOUBLE_EQ(index_of(s, "load 0 on 0").value(), 0.5 / (30.0 + 10.0)) << "and it shares the disk";
  s.stages(a, 5.0);
  EXPECT_DOUBLE_EQ(index_of(s, "load 0 on 0").value(), 1.0 / (10.0 + 10.0)) << "its own file is as good as there";
}

TEST(Load, IsNotMadeForJobsThatAnIdleGpuCanStart) {
  Situation s;
  const int g0 = s.gpu();
  s.gpu();
  const int a = s.model();
  s.holds(g0, a);
  for (int id = 1; id <= 20; ++id) s.waits(id, a, {.seconds = 100.0});
  EXPECT_EQ(index_of(s, "load 0 on 1"), std::nullopt);
}

}  // namespace
}  // namespace pixelfleet::scheduler
