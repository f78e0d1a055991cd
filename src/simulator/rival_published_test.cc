// The rivals out of papers, on boards laid out by hand; the numbers are those of the rules in their headers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/rival_fleet_board.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr int kA = 0;
constexpr int kB = 1;
constexpr int kC = 2;

Order run(int job, int gpu) { return RunJob{job, gpu}; }

// --- delay -----------------------------------------------------------------------------------------------------------

TEST(Published, DelayLetsOthersOvertakeForTwoSeconds) {
  const auto delay = make_rival("delay");
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kB);
  EXPECT_THAT(orders_of(*delay, board), IsEmpty());
  EXPECT_THAT(delay->wake_at_s(board), Optional(2.0));
  board.set_time(1.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*delay, board), ElementsAre(run(1, 0)));
  board.set_time(2.0);
  board.finish(0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*delay, board), ElementsAre(run(0, 0)));
}

TEST(Published, DelayCountsFromTheFirstSkipNotFromArrival) {
  const auto delay = make_rival("delay");
  FleetBoard board(1);
  board.hold(0, {kA});
  board.occupy(0, 10.0);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*delay, board), IsEmpty());
  EXPECT_EQ(delay->wake_at_s(board), std::nullopt);
  board.set_time(10.0);
  board.finish(0);
  EXPECT_THAT(orders_of(*delay, board), IsEmpty());
  EXPECT_THAT(delay->wake_at_s(board), Optional(12.0));
}

// --- mqfq-sticky -----------------------------------------------------------------------------------------------------

TEST(Published, MqfqSticksToAWarmModelUntilItIsTenSecondsAhead) {
  // Jobs of 4 s. A's start tags 0, 4, 8, 12; B's first 0. Virtual time stays 0 while B waits, so A may start three
  // times (8 <= 0 + 10), and the fourth is throttled (12 > 10): B's turn.
  const auto mqfq = make_rival("mqfq-sticky");
  FleetBoard board(1, 12.0);
  board.hold(0, {kA});
  for (int i = 0; i < 4; ++i) board.set_run(i, 4.0);
  for (int i = 0; i < 4; ++i) board.arrive(kA);
  board.set_run(board.arrive(kB), 4.0);
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) {
    for (const Order& given : orders_of(*mqfq, board)) order.push_back(std::get<RunJob>(given).job);
    board.finish(0);
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 4, 3));
}

TEST(Published, MqfqLoadsTheFlowWithTheEarliestStartTag) {
  // B's first comes while A's first runs, at virtual time 4. A, warm, goes on; then its next tag is 8 against B's 4.
  const auto mqfq = make_rival("mqfq-sticky");
  FleetBoard board(1);
  for (int i = 0; i < 3; ++i) {
    board.set_run(i, 4.0);
    board.arrive(kA);
  }
  EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(0, 0)));
  board.arrive(kB);
  EXPECT_THAT(orders_of(*mqfq, board), IsEmpty());
  board.finish(0);
  EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(1, 0)));
  board.finish(0);
  board.hold(0, {});
  EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(3, 0)));
}

TEST(Published, MqfqDoesNotLetANewFlowMakeUpForThePast) {
  // After two jobs of 4 s virtual time is 8, the tag of A's third. B's first is tagged 8 too, not 0: A was earlier.
  const auto mqfq = make_rival("mqfq-sticky");
  FleetBoard board(1);
  for (int i = 0; i < 3; ++i) {
    board.set_run(i, 4.0);
    board.arrive(kA);
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(i, 0)));
    if (i == 1) board.arrive(kB);
    EXPECT_THAT(orders_of(*mqfq, board), IsEmpty());
    board.finish(0);
  }
  board.hold(0, {});
  EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(2, 0)));
}

TEST(Published, MqfqKeepsAJustEmptiedModelForTwoSeconds) {
  const auto loaded_on = [](double now_s) {
    FleetBoard board(2);
    board.hold(0, {kA});
    board.hold(1, {kB, kC});
    board.set_idle_since(0, 10.0);
    board.set_time(now_s);
    board.arrive(3);
    return orders_of(*make_rival("mqfq-sticky"), board);
  };
  EXPECT_THAT(loaded_on(11.9), ElementsAre(run(0, 1)));
  EXPECT_THAT(loaded_on(12.0), ElementsAre(run(0, 0)));
}

TEST(Published, MqfqKeepsTheTagOfAJobThatComesBack) {
  const auto mqfq = make_rival("mqfq-sticky");
  FleetBoard board(1);
  board.arrive(kA);
  board.arrive(kA);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(0, 0)));
  board.hold(0, {});
  board.finish(0);
  board.come_back(0);
  EXPECT_THAT(orders_of(*mqfq, board), ElementsAre(run(0, 0)));
}

// --- map -------------------------------------------------------------------------------------------------------------

TEST(Published, MapEmptiesTheBufferOfWhatIsWarm) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kB);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*make_rival("map"), board), ElementsAre(run(1, 0)));
}

TEST(Published, MapDoesNotLookBeyondItsBufferOf32) {
  const auto first_order = [](int before) {
    FleetBoard board(1);
    board.hold(0, {kA});
    for (int i = 0; i < before; ++i) board.arrive(kB);
    board.arrive(kA);
    return orders_of(*make_rival("map"), board);
  };
  EXPECT_THAT(first_order(31), ElementsAre(run(31, 0)));
  EXPECT_THAT(first_order(32), ElementsAre(run(0, 0)));
}

TEST(Published, MapWeighsPenaltyAgainstTheBufferTimesTheCost) {
  // Loads: A 5 s, B 6 s. P - 32 b: A -160, B -192. Each time A is chosen with three jobs of B in the buffer, P(B) grows
  // by 3 x 5 = 15: after three changes to A it is 45, and B's -147 beats A's -160.
  const auto map = make_rival("map");
  FleetBoard board(1, 12.0);
  board.set_load(kA, 5.0);
  board.set_load(kB, 6.0);
  for (int i = 0; i < 3; ++i) board.arrive(kB);
  for (int change = 0; change < 3; ++change) {
    const int job = board.arrive(kA);
    EXPECT_THAT(orders_of(*map, board), ElementsAre(run(job, 0))) << "change " << change;
    board.finish(0);
    board.hold(0, {});
  }
  board.arrive(kA);
  EXPECT_THAT(orders_of(*map, board), ElementsAre(run(0, 0)));
}
}  // namespace
}  // namespace pixelfleet::simulator
