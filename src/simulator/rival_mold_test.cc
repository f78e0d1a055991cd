// mold's two schedulers on boards laid out by hand; the numbers are those of the rules in their headers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/rival_fleet_board.h"
#include "simulator/rival_mold_legacy.h"
#include "simulator/rival_mold_v2.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

constexpr int kA = 0;
constexpr int kB = 1;
constexpr int kC = 2;

Order run(int job, int gpu) { return RunJob{job, gpu}; }

// --- mold-legacy ------------------------------------------------------------------------------------------------

TEST(MoldLegacy, SpreadsOverEmptyGpusSmallestFirst) {
  FleetBoard board(3);
  board.set_memory(1, 15.0);
  board.arrive(kA);
  board.arrive(kA);
  board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), UnorderedElementsAre(run(0, 1), run(1, 0), run(2, 2)));
}

TEST(MoldLegacy, QueuesBehindAWarmBusyGpuRatherThanEvict) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.occupy(0, 100.0);
  board.hold(1, {kB});
  board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), IsEmpty());
  board.finish(0);
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(0, 0)));
}

TEST(MoldLegacy, TakesAnEmptyGpuRatherThanQueueBehindAWarmBusyOne) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.occupy(0, 100.0);
  board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(0, 1)));
}

TEST(MoldLegacy, CountsAModelBeingLoadedAsWarm) {
  FleetBoard board(2);
  board.load(0, kA, 10.0);
  board.hold(1, {kB});
  board.set_memory(1, 40.0);
  board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), IsEmpty());
}

TEST(MoldLegacy, GoesElsewhereOnceTheChannelOfTwoIsFull) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.occupy(0, 100.0);
  board.hold(1, {kB});
  for (int i = 0; i < 3; ++i) board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(2, 1)));
}

TEST(MoldLegacy, PilesAColdModelOnTheLargestGpuThoughAnotherIdles) {
  FleetBoard board(2);
  board.set_memory(0, 40.0);
  board.hold(0, {kB});
  board.occupy(0, 100.0);
  board.hold(1, {kC});
  board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), IsEmpty());
}

TEST(MoldLegacy, LooksEightJobsAheadForAWarmOne) {
  const auto started = [](int cold_before) {
    FleetBoard board(1);
    board.hold(0, {kA});
    for (int i = 0; i < cold_before; ++i) board.arrive(kB);
    board.arrive(kA);
    MoldLegacy mold;
    return orders_of(mold, board);
  };
  EXPECT_THAT(started(7), ElementsAre(run(7, 0)));
  EXPECT_THAT(started(8), ElementsAre(run(0, 0)));
}

TEST(MoldLegacy, AHeadDeferredThreeTimesGoesFirst) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kB);
  for (int i = 0; i < 5; ++i) board.arrive(kA);
  MoldLegacy mold;
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) {
    for (const Order& given : orders_of(mold, board)) order.push_back(std::get<RunJob>(given).job);
    board.finish(0);
  }
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 0, 4, 5));
}

TEST(MoldLegacy, TakesBackWhatALostGpuHadBeforeIt) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.occupy(0, 100.0);
  board.hold(1, {kB});
  board.arrive(kA);
  MoldLegacy mold;
  EXPECT_THAT(orders_of(mold, board), IsEmpty());
  board.set_down(0);
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(0, 1)));
}

// --- mold-v2 ----------------------------------------------------------------------------------------------------

TEST(MoldV2, ServesTheFirstJobsInLineNotTheWarmOnes) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kB);
  board.arrive(kA);
  MoldPlanner mold;
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(0, 0)));
}

TEST(MoldV2, MatchesTheFirstJobsToGpusByTotalSetup) {
  // In line order A alone would take gpu 0 (no setup, as on gpu 1); with B, which is warm on gpu 0 only, A moves over.
  FleetBoard board(2);
  board.hold(0, {kA, kB});
  board.hold(1, {kA});
  board.arrive(kA);
  board.arrive(kB);
  MoldPlanner mold;
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(0, 1), run(1, 0)));
}

TEST(MoldV2, OrdersByClassBeforeArrival) {
  FleetBoard board(1);
  board.arrive(kA, 0, Priority::background);
  board.arrive(kA, 0, Priority::normal);
  board.arrive(kA, 0, Priority::interactive);
  MoldPlanner mold;
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(2, 0)));
}

class MoldV2WarmWait : public ::testing::Test {
 protected:
  // A job of 10 s; warm gpu 0 is busy, cold gpu 1 idle with a load of 30 s: cold ends at now + 40 s.
  MoldV2WarmWait() {
    board_.set_load(kA, 30.0);
    board_.hold(0, {kA});
    board_.set_time(100.0);
  }

  FleetBoard board_{2};
  MoldPlanner mold_;
};

TEST_F(MoldV2WarmWait, RefusesAColdGpuForTwoSecondsWhenTheWarmOneWouldFinishEarlier) {
  board_.occupy(0, 125.0);  // warm: 125 + 10 = 135 < 140
  board_.arrive(kA);
  EXPECT_THAT(orders_of(mold_, board_), IsEmpty());
  EXPECT_THAT(mold_.wake_at_s(board_), Optional(102.0));
  board_.set_time(101.9);
  EXPECT_THAT(orders_of(mold_, board_), IsEmpty());
  board_.set_time(102.0);
  EXPECT_THAT(orders_of(mold_, board_), ElementsAre(run(0, 1)));
}

TEST_F(MoldV2WarmWait, TakesTheColdGpuAtOnceWhenItFinishesEarlier) {
  board_.occupy(0, 130.0);  // warm: 140, not before 140
  board_.arrive(kA);
  EXPECT_THAT(orders_of(mold_, board_), ElementsAre(run(0, 1)));
}

TEST_F(MoldV2WarmWait, WaitsNoLongerThanTheWarmGpuWasToTake) {
  board_.occupy(0, 100.5);
  board_.arrive(kA);
  EXPECT_THAT(orders_of(mold_, board_), IsEmpty());
  EXPECT_THAT(mold_.wake_at_s(board_), Optional(100.5));
  board_.set_time(100.5);  // and it is late
  EXPECT_THAT(orders_of(mold_, board_), ElementsAre(run(0, 1)));
}

TEST_F(MoldV2WarmWait, CountsAModelBeingLoadedAsWarm) {
  board_.hold(0, {});
  board_.load(0, kA, 110.0);
  board_.arrive(kA);
  EXPECT_THAT(orders_of(mold_, board_), IsEmpty());
}

TEST_F(MoldV2WarmWait, EndsAfterThreeYoungerJobsHavePassed) {
  board_.occupy(0, 101.0);
  board_.arrive(kA);
  for (int i = 0; i < 3; ++i) {
    const int younger = board_.arrive(kB);
    EXPECT_THAT(orders_of(mold_, board_), ElementsAre(run(younger, 1))) << i;
    board_.finish(1);
  }
  board_.arrive(kB);
  EXPECT_THAT(orders_of(mold_, board_), ElementsAre(run(0, 1)));
}

TEST(MoldV2, AJobPassedOverThreeTimesGoesBeforeAHigherClass) {
  FleetBoard board(1);
  board.arrive(kA, 0, Priority::background);
  MoldPlanner mold;
  for (int i = 0; i < 3; ++i) {
    const int urgent = board.arrive(kB, 0, Priority::interactive);
    EXPECT_THAT(orders_of(mold, board), ElementsAre(run(urgent, 0))) << i;
    board.finish(0);
  }
  board.arrive(kB, 0, Priority::interactive);
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(0, 0)));
}

TEST(MoldV2, OlderJobsPassNobody) {
  FleetBoard board(1);
  for (int i = 0; i < 5; ++i) board.arrive(kA);
  MoldPlanner mold;
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(orders_of(mold, board), ElementsAre(run(i, 0)));
    board.finish(0);
  }
}

TEST(MoldV2, AGpuThatCouldNotHoldTheJobDoesNotCountAsPassingIt) {
  FleetBoard board(2);
  board.set_memory(1, 15.0);
  board.set_weight(kA, 18.0);
  board.occupy(0, 100.0);
  board.arrive(kA);
  MoldPlanner mold;
  for (int i = 0; i < 4; ++i) {
    orders_of(mold, board);
    board.arrive(kB);
    EXPECT_THAT(orders_of(mold, board), ElementsAre(run(i + 1, 1)));
    board.finish(1);
  }
  board.finish(0);
  const int urgent = board.arrive(kB, 0, Priority::interactive);
  board.occupy(1, 100.0);
  EXPECT_THAT(orders_of(mold, board), ElementsAre(run(urgent, 0)));  // not in front: nobody passed it
}

}  // namespace
}  // namespace pixelfleet::simulator
