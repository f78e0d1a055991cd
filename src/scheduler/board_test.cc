// The board's figures: what loads and runs take, what a load pushes out, which file is read next, how time is played.
#include "scheduler/board.h"

#include <gmock/gmock.h>

#include <cmath>

#include "scheduler/test_board.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kOnDisk = Situation::File::on_disk;

// --- how long it takes ----------------------------------------------------------------------------------------

TEST(LoadSeconds, FromHostMemoryAreTheCopyAlone) {
  Situation s;
  const int g = s.gpu();
  EXPECT_DOUBLE_EQ(s.board.load_seconds(s.model({.host_seconds = 7.0}), g), 7.0);
}

TEST(LoadSeconds, FromTheDiskGrowByOneReadingForEachOtherReader) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.file = kOnDisk});  // 10 s of reading, 10 s for the rest
  const int other = s.model({.file = kOnDisk});
  EXPECT_DOUBLE_EQ(s.board.load_seconds(a, g), 20.0);
  s.board.disk_readers = 1;
  EXPECT_DOUBLE_EQ(s.board.load_seconds(a, g), 30.0);
  s.stages(other, 5.0);
  EXPECT_DOUBLE_EQ(s.board.load_seconds(a, g), 40.0);
}

TEST(LoadSeconds, JoinTheReadingOfTheSameFile) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.file = kOnDisk});
  s.stages(a, 15.0);
  EXPECT_DOUBLE_EQ(s.board.load_seconds(a, g), 15.0) << "what is left of the reading";
  s.stages(a, 4.0);
  EXPECT_DOUBLE_EQ(s.board.load_seconds(a, g), 10.0) << "but not less than the copy to the gpu";
}

TEST(RunSeconds, CountTheChangeOfTheWorkersLoraSet) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.waits(1, a, {.loras = 1});
  s.waits(2, a, {.loras = 0});
  s.waits(3, b, {.loras = 0});
  s.holds(g, a);
  s.holds(g, b);
  const BoardJob with = s.board.model(a).window[0];
  const BoardJob without = s.board.model(a).window[1];
  EXPECT_DOUBLE_EQ(s.board.run_seconds(with, g), 13.0);
  EXPECT_DOUBLE_EQ(s.board.run_seconds(without, g), 10.0);
  s.board.apply(run(g, a, 1));
  EXPECT_DOUBLE_EQ(s.board.run_seconds(with, g), 10.0);
  EXPECT_DOUBLE_EQ(s.board.run_seconds(without, g), 13.0) << "taking the set away again costs as much";
  EXPECT_DOUBLE_EQ(s.board.run_seconds(s.board.model(b).window[0], g), 10.0) << "another worker has its own";
}

TEST(RunSeconds, OnAWorkerThatIsNotLoadedYetCountTheSetThatItWillNeed) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.waits(1, a, {.loras = 1});
  s.waits(2, a, {.loras = 0});
  EXPECT_DOUBLE_EQ(s.board.run_seconds(s.board.model(a).window[0], g), 13.0);
  EXPECT_DOUBLE_EQ(s.board.run_seconds(s.board.model(a).window[1], g), 10.0);
}

TEST(RunSeconds, AreThoseOfTheGpusType) {
  Situation s;
  s.gpu({.type = 0});
  s.gpu({.type = 1});
  const int a = s.model();
  s.waits(1, a, {.by_type = {10.0, 25.0}});
  EXPECT_DOUBLE_EQ(s.board.run_seconds(s.board.model(a).window[0], 0), 10.0);
  EXPECT_DOUBLE_EQ(s.board.run_seconds(s.board.model(a).window[0], 1), 25.0);
}

TEST(Rate, FadesByAFactorOfEInAQuarterOfAnHour) {
  Situation s;
  const int a = s.model();
  s.board.model(a).rate = 0.01;
  s.board.model(a).rate_at = s.board.now;
  s.board.now += 900.0;
  EXPECT_NEAR(s.board.rate(a), 0.01 / std::exp(1.0), 1e-12);
}

TEST(Gpus, HoldAModelFromTheBeginningOfItsLoad) {
  Situation s;
  s.gpu();
  const int g1 = s.gpu();
  const int g2 = s.gpu();
  const int a = s.model();
  s.loads(g1, a, 5.0);
  s.holds(g2, a);
  EXPECT_EQ(s.board.holders(a), bit(g1) | bit(g2));
}

TEST(Gpus, AreIdleBesideALoadUnlessTheEngineCannotRunThen) {
  Situation s;
  const int idle = s.gpu();
  const int running = s.gpu();
  const int loading = s.gpu();
  const int stopped_by_load = s.gpu();
  const int a = s.model();
  s.runs(running, a, 5.0);
  s.loads(loading, a, 5.0);
  s.loads(stopped_by_load, a, 5.0);
  s.board.gpu(stopped_by_load).load_excludes_runs = true;
  EXPECT_EQ(s.board.idle_gpus(), bit(idle) | bit(loading));
}

// --- what has to leave ----------------------------------------------------------------------------------------

TEST(Eviction, IsFreeWhereThereIsRoom) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  const int c = s.model();
  s.holds(g, a);
  s.holds(g, b);
  const Eviction eviction = eviction_for(s.board, g, c);  // 3 x 8 = 24
  EXPECT_DOUBLE_EQ(eviction.price, 0.0);
  EXPECT_THAT(eviction.victims, IsEmpty());
}

TEST(Eviction, TakesTheModelThatIsCheapestPerByte) {
  Situation s;
  const int g = s.gpu();
  const int large = s.model({.gigabytes = 16.0});
  const int small = s.model({.gigabytes = 8.0});
  const int next = s.model();
  s.holds(g, large);
  s.holds(g, small);
  s.waits(1, large);
  s.waits(2, large);  // 10 s x (1 + 0.5 x 2) = 20, for 16 GB
  s.waits(3, small);  // 10 s x (1 + 0.5 x 1) = 15, for 8 GB
  const Eviction eviction = eviction_for(s.board, g, next);
  EXPECT_THAT(eviction.victims, ElementsAre(large));
  EXPECT_DOUBLE_EQ(eviction.price, 20.0);
}

TEST(Eviction, SparesAModelForWhichALaterVictimMakesRoom) {
  Situation s;
  const int g = s.gpu();
  const int cheap = s.model({.gigabytes = 4.0});
  const int dear = s.model({.gigabytes = 16.0});
  const int next = s.model({.gigabytes = 12.0});
  s.holds(g, cheap);
  s.holds(g, dear);
  s.waits(1, dear);
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(dear)) << "4 + 12 fit without it";
}

TEST(Eviction, NamesVictimsInTheOrderOfLeaving) {
  Situation s;
  const int g = s.gpu();
  const int dear = s.model();
  const int cheap = s.model();
  const int next = s.model({.gigabytes = 24.0});
  s.holds(g, dear);
  s.holds(g, cheap);
  s.waits(1, dear);
  const Eviction eviction = eviction_for(s.board, g, next);
  EXPECT_THAT(eviction.victims, ElementsAre(cheap, dear));
  EXPECT_DOUBLE_EQ(eviction.price, 15.0) << "nobody asks for the other one";
}

TEST(Eviction, NeverTakesTheModelThatRuns) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 12.0});
  const int b = s.model({.gigabytes = 12.0});
  const int next = s.model({.gigabytes = 12.0});
  s.runs(g, a, 5.0);
  s.holds(g, b);
  s.waits(1, b, {});
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(b));
  EXPECT_GE(eviction_for(s.board, g, s.model({.gigabytes = 13.0})).price, kNever);
}

TEST(Eviction, NeverTakesAPinnedModel) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 24.0});
  const int next = s.model();
  s.holds(g, a);
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(a));
  s.board.model(a).pinned = true;
  EXPECT_GE(eviction_for(s.board, g, next).price, kNever);
}

TEST(Eviction, NeverTakesAModelWithAnOverdueJobUnlessThatMayNotRunHere) {
  Situation s;
  const int g = s.gpu();
  const int elsewhere = s.gpu();
  const int a = s.model({.gigabytes = 24.0});
  const int next = s.model();
  s.holds(g, a);
  s.holds(elsewhere, a);
  s.waits(1, a, {.gpus = bit(g)});
  s.board.model(a).overdue = true;
  EXPECT_GE(eviction_for(s.board, g, next).price, kNever);
  EXPECT_THAT(eviction_for(s.board, elsewhere, next).victims, ElementsAre(a));
}

TEST(Eviction, KeepsToTheResidentLimit) {
  Situation s;
  const int g = s.gpu({.gigabytes = 80.0});
  const int a = s.model();
  const int b = s.model();
  const int next = s.model();
  s.holds(g, a);
  s.holds(g, b);
  s.waits(1, a);
  EXPECT_THAT(eviction_for(s.board, g, next).victims, IsEmpty());
  s.board.most_residents = 2;
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(b));
  s.board.most_residents = 1;
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(b, a));
}

TEST(Eviction, CountsALoadUnderWayAsPresent) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int coming = s.model();
  const int next = s.model();
  s.holds(g, a);
  s.loads(g, coming, 5.0);
  EXPECT_THAT(eviction_for(s.board, g, next).victims, IsEmpty());
  EXPECT_THAT(eviction_for(s.board, g, s.model({.gigabytes = 9.0})).victims, ElementsAre(a));
}

TEST(Eviction, NeedsOnlyTheLargestWorkspace) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 10.0, .workspace_gigabytes = 4.0});
  const int next = s.model({.gigabytes = 10.0, .workspace_gigabytes = 3.0});
  s.holds(g, a);
  EXPECT_THAT(eviction_for(s.board, g, next).victims, IsEmpty()) << "10 + 10 + 4";
  EXPECT_THAT(eviction_for(s.board, g, s.model({.gigabytes = 10.0, .workspace_gigabytes = 5.0})).victims,
              ElementsAre(a));
}

TEST(Eviction, TakesTheWorkspaceOfWhatLeavesWithIt) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 2.0, .workspace_gigabytes = 8.0});
  const int next = s.model({.gigabytes = 20.0, .workspace_gigabytes = 4.0});
  s.holds(g, a);
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(a));
}

TEST(Eviction, CountsWhatAWorkerHoldsNotWhatIsKnownOfItsModelSince) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 20.0});
  const int next = s.model();
  s.holds(g, a);
  s.board.model(a).weights_bytes = 4.0 * kGigabyte;
  EXPECT_THAT(eviction_for(s.board, g, next).victims, ElementsAre(a));
}

TEST(Eviction, IsImpossibleOnAGpuThatIsTooSmall) {
  Situation s;
  const int g = s.gpu({.gigabytes = 10.0});
  EXPECT_LT(eviction_for(s.board, g, s.model({.gigabytes = 8.0, .workspace_gigabytes = 2.0})).price, kNever);
  EXPECT_GE(eviction_for(s.board, g, s.model({.gigabytes = 8.0, .workspace_gigabytes = 3.0})).price, kNever);
}

// What it costs to push the only resident out.
double price(const Situation& s, int gpu, int next) { return eviction_for(s.board, gpu, next).price; }

TEST(EvictionPrice, IsTheLoadTimesTheChanceThatItIsWantedSoon) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 24.0});
  const int next = s.model();
  s.holds(g, a);
  EXPECT_DOUBLE_EQ(price(s, g, next), 0.0) << "nobody ever asked for it";
  s.board.model(a).rate = 0.01;
  s.board.model(a).rate_at = s.board.now;
  EXPECT_NEAR(price(s, g, next), 10.0 * (1.0 - std::exp(-0.01 * 60.0)), 1e-9) << "within 30 s and three loads";
}

TEST(EvictionPrice, GrowsWithTheJobsThatWaitUpToSix) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 24.0});
  const int next = s.model();
  s.holds(g, a);
  for (int id = 1; id <= 6; ++id) {
    s.waits(id, a);
    EXPECT_DOUBLE_EQ(price(s, g, next), 10.0 * (1.0 + 0.5 * id));
  }
  s.waits(7, a);
  EXPECT_DOUBLE_EQ(price(s, g, next), 40.0);
}

TEST(EvictionPrice, IsLowWhereOtherGpusHoldIt) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 24.0});
  const int next = s.model();
  s.holds(g, a);
  s.waits(1, a);
  s.holds(s.gpu(), a);
  EXPECT_DOUBLE_EQ(price(s, g, next), 15.0 / 2.5);
  s.loads(s.gpu(), a, 5.0);
  EXPECT_DOUBLE_EQ(price(s, g, next), 15.0 / 4.0) << "one that is being loaded counts, too";
}

TEST(EvictionPrice, CountsTheReadingOfAFileThatIsNotInHostMemory) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 24.0, .file = kOnDisk});
  const int next = s.model();
  s.holds(g, a);
  s.waits(1, a);
  EXPECT_DOUBLE_EQ(price(s, g, next), 30.0);
}

// --- host memory ----------------------------------------------------------------------------------------------

class Staging : public ::testing::Test {
 protected:
  Staging() {
    s.gpu();
    s.board.host_limit = 100.0 * kGigabyte;
  }
  int on_disk(double rate = 0.0) {
    const int model = s.model({.file = kOnDisk});
    s.board.model(model).rate = rate;
    s.board.model(model).rate_at = s.board.now;
    return model;
  }

  Situation s;
};

TEST_F(Staging, AFileIsWorthItsModelsArrivalsAndMoreWhileJobsWaitThatNoGpuCanRun) {
  const int a = on_disk(0.01);
  EXPECT_DOUBLE_EQ(host_value(s.board, a), 0.01 / 1e9);
  s.waits(1, a);
  s.waits(2, a);
  EXPECT_DOUBLE_EQ(host_value(s.board, a), (0.01 + 2.0 / 60.0) / 1e9);
  for (int id = 3; id <= 20; ++id) s.waits(id, a);
  EXPECT_DOUBLE_EQ(host_value(s.board, a), (0.01 + 8.0 / 60.0) / 1e9) << "eight at most";
  s.holds(0, a);
  EXPECT_DOUBLE_EQ(host_value(s.board, a), 0.5 * 0.01 / 1e9) << "a gpu holds it: half";
}

TEST_F(Staging, ReadsTheMostValuedFileThatJobsWaitFor) {
  on_disk(0.02);
  const int some = on_disk();
  const int more = on_disk();
  s.waits(1, some);
  s.waits(2, more);
  s.waits(3, more);
  EXPECT_EQ(next_staging(s.board).model, more);
  EXPECT_TRUE(next_staging(s.board).wanted);
}

TEST_F(Staging, ReadsWhatWaitsBeforeWhatMayBeAskedFor) {
  const int wanted = on_disk();
  s.waits(1, wanted);
  on_disk(10.0);
  EXPECT_EQ(next_staging(s.board).model, wanted);
}

TEST_F(Staging, ReadsAheadWhatIsAskedForOftenEnough) {
  const int rare = on_disk(0.29 / 900.0);
  EXPECT_EQ(next_staging(s.board).model, -1);
  s.board.model(rare).rate = 0.31 / 900.0;
  EXPECT_EQ(next_staging(s.board).model, rare);
  EXPECT_FALSE(next_staging(s.board).wanted);
}

TEST_F(Staging, ReadsNothingWhileALoadOrAnotherFileIsRead) {
  const int a = on_disk();
  s.waits(1, a);
  s.board.disk_readers = 1;
  EXPECT_EQ(next_staging(s.board).model, -1);
  s.board.disk_readers = 0;
  s.stages(on_disk(), 5.0);
  EXPECT_EQ(next_staging(s.board).model, -1);
}

TEST_F(Staging, ReadsNoFileThatIsThereOrOnAGpuOrLargerThanHostMemory) {
  const int there = s.model();
  const int on_gpu = on_disk();
  const int large = s.model({.file_gigabytes = 101.0, .file = kOnDisk});
  s.holds(0, on_gpu);
  for (const int model : {there, on_gpu, large}) s.waits(model, model);
  EXPECT_EQ(next_staging(s.board).model, -1);
}

TEST_F(Staging, IsNotDoneWhereItIsOff) {
  s.waits(1, on_disk());
  s.board.tuning.staging = Part::off;
  EXPECT_EQ(next_staging(s.board).model, -1);
}

// --- playing forward ------------------------------------------------------------------------------------------

TEST(Play, ARunTakesItsJobOutOfTheQueueAndEndsOnTime) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.seconds = 30.0, .owner = 0});
  s.waits(2, a, {.seconds = 12.0, .owner = 0, .place = 1});
  s.board.apply(run(g, a, 1));
  EXPECT_EQ(s.board.gpu(g).running, a);
  EXPECT_DOUBLE_EQ(s.board.run_end(g), 1030.0);
  EXPECT_DOUBLE_EQ(s.board.gpu(g).tenure, 30.0);
  EXPECT_EQ(s.board.model(a).queued, 1);
  EXPECT_DOUBLE_EQ(s.board.model(a).queued_seconds, 12.0);
  EXPECT_THAT(s.board.wanted, ElementsAre(a));
  EXPECT_TRUE(s.board.advance());
  EXPECT_DOUBLE_EQ(s.board.now, 1030.0);
  EXPECT_EQ(s.board.gpu(g).running, -1);
  EXPECT_EQ(s.board.owners[0].ended, 1);
  s.board.apply(run(g, a, 2));
  EXPECT_THAT(s.board.wanted, IsEmpty());
}

TEST(Play, ALoadPushesOutItsVictimsAndEndsAsAResidentWithAFreshTenure) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 20.0});
  const int b = s.model({.gigabytes = 20.0, .workspace_gigabytes = 2.0, .file = kOnDisk});
  s.holds(g, a);
  s.board.gpu(g).tenure = 99.0;
  s.board.apply(load(g, b));
  EXPECT_THAT(s.board.gpu(g).residents, IsEmpty());
  EXPECT_EQ(s.board.disk_readers, 1);
  EXPECT_TRUE(s.board.advance());
  EXPECT_DOUBLE_EQ(s.board.now, 1020.0);
  EXPECT_TRUE(s.board.gpu(g).holds(b));
  EXPECT_DOUBLE_EQ(s.board.gpu(g).residents[0].weights_bytes, 20.0 * kGigabyte);
  EXPECT_DOUBLE_EQ(s.board.gpu(g).residents[0].workspace_bytes, 2.0 * kGigabyte);
  EXPECT_DOUBLE_EQ(s.board.gpu(g).tenure, 0.0);
  EXPECT_DOUBLE_EQ(s.board.gpu(g).paid, 20.0);
  EXPECT_EQ(s.board.disk_readers, 0);
  EXPECT_TRUE(s.board.model(b).in_host) << "its file has been read";
}

TEST(Play, ALoadBesideARunIsSlowerAndCostsTheGpuNothing) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.runs(g, a, 100.0);
  s.board.gpu(g).tenure = 40.0;
  s.board.gpu(g).paid = 10.0;
  s.board.apply(load_behind(g, b));
  EXPECT_TRUE(s.board.advance());
  EXPECT_DOUBLE_EQ(s.board.now, 1011.5);
  EXPECT_TRUE(s.board.gpu(g).holds(b));
  EXPECT_DOUBLE_EQ(s.board.gpu(g).tenure, 40.0);
  EXPECT_DOUBLE_EQ(s.board.gpu(g).paid, 10.0);
}

TEST(Play, AnEngineThatCannotRunBesideALoadIsNotIdleUntilItsEnd) {
  Situation s;
  const int g = s.gpu();
  s.board.load_beside_run = false;
  s.board.apply(load(g, s.model()));
  EXPECT_EQ(s.board.idle_gpus(), 0U);
  EXPECT_TRUE(s.board.advance());
  EXPECT_EQ(s.board.idle_gpus(), bit(g));
}

TEST(Play, AFileThatIsReadInMakesItsLoadsFast) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.file = kOnDisk});
  s.stages(a, 6.0);
  EXPECT_TRUE(s.board.advance());
  EXPECT_DOUBLE_EQ(s.board.now, 1006.0);
  EXPECT_EQ(s.board.staging, -1);
  EXPECT_DOUBLE_EQ(s.board.load_seconds(a, g), 10.0);
}

TEST(Play, EndsWhenNothingIsUnderWay) {
  Situation s;
  s.gpu();
  s.waits(1, s.model());
  EXPECT_FALSE(s.board.advance());
}

TEST(Play, WhatIsLateEndsNow) {
  Situation s;
  const int g = s.gpu();
  s.runs(g, s.model(), -5.0);
  EXPECT_DOUBLE_EQ(s.board.run_end(g), 1000.0);
  EXPECT_TRUE(s.board.advance());
  EXPECT_DOUBLE_EQ(s.board.now, 1000.0) << "time never goes back";
}

TEST(Play, TwoLoadsOfOneFileBothLeaveTheDiskWhenTheyEnd) {
  Situation s;
  const int a = s.model({.file = kOnDisk});
  s.board.apply(load(s.gpu(), a));
  s.board.apply(load(s.gpu(), a));
  EXPECT_EQ(s.board.disk_readers, 2);
  while (s.board.advance()) continue;
  EXPECT_EQ(s.board.disk_readers, 0);
}

}  // namespace
}  // namespace pixelfleet::scheduler
