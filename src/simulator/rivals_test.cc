// The simple rivals on boards laid out by hand; each case is worked out from the rule in its rival's header.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

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
Order load(int model, int gpu) { return LoadModel{model, gpu}; }

class RivalsTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Rival> rival(std::string_view name) {
    auto made = make_rival(name);
    EXPECT_NE(made, nullptr) << name;
    return made;
  }
};

TEST_F(RivalsTest, AnUnknownNameMakesNone) {
  EXPECT_EQ(make_rival("amp"), nullptr);
  EXPECT_EQ(make_rival(""), nullptr);
}

TEST_F(RivalsTest, NoneOrdersAnythingWithoutWorkOrWithoutAnIdleGpu) {
  for (const char* name : {"fifo", "v18", "sjf", "greedy-affinity", "swarmui", "mold-legacy", "mold-v2", "invokeai",
                           "delay", "mqfq-sticky", "map"}) {
    const auto some = rival(name);
    FleetBoard board(2);
    EXPECT_THAT(orders_of(*some, board), IsEmpty()) << name;
    board.occupy(0, 5.0);
    board.occupy(1, 5.0);
    board.arrive(kA);
    EXPECT_THAT(orders_of(*some, board), IsEmpty()) << name;
  }
}

// --- fifo and v18 -----------------------------------------------------------------------------------------------

TEST_F(RivalsTest, FifoTakesTheFirstIdleGpuWhateverItHolds) {
  FleetBoard board(3);
  board.occupy(0, 9.0);
  board.hold(2, {kA});
  board.arrive(kA);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*rival("fifo"), board), ElementsAre(run(0, 1), run(1, 2)));
}

TEST_F(RivalsTest, AHeadThatFitsNoIdleGpuBlocksTheLine) {
  for (const char* name : {"fifo", "v18"}) {
    FleetBoard board(2);
    board.occupy(0, 9.0);
    board.set_memory(1, 15.0);
    board.set_weight(kA, 18.0);
    board.arrive(kA);
    board.arrive(kB);
    EXPECT_THAT(orders_of(*rival(name), board), IsEmpty()) << name;
    board.finish(0);
    EXPECT_THAT(orders_of(*rival(name), board), ElementsAre(run(0, 0), run(1, 1))) << name;
  }
}

TEST_F(RivalsTest, V18PrefersAWarmGpuThenFreeMemory) {
  FleetBoard board(3);
  board.hold(0, {kA, kB});  // 14 of 24 GB
  board.hold(1, {kA});      // 7 of 24 GB
  board.hold(2, {kC, kA});
  board.arrive(kC);
  board.arrive(3);
  board.arrive(3);
  EXPECT_THAT(orders_of(*rival("v18"), board), ElementsAre(run(0, 2), run(1, 1), run(2, 0)));
}

// --- sjf --------------------------------------------------------------------------------------------------------

TEST_F(RivalsTest, SjfTakesTheShortestThoughItMustLoadFirst) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.set_load(kB, 60.0);
  board.set_run(board.arrive(kA), 12.0);
  board.set_run(board.arrive(kB), 11.0);
  board.set_run(board.arrive(kB), 11.0);
  EXPECT_THAT(orders_of(*rival("sjf"), board), ElementsAre(run(1, 0)));
}

TEST_F(RivalsTest, SjfMeasuresAJobOnTheFastestGpuThatFitsIt) {
  FleetBoard board(2);
  board.occupy(1, 9.0);
  const int first = board.arrive(kA);
  board.set_run(first, 0, 20.0);
  board.set_run(first, 1, 5.0);
  board.set_run(board.arrive(kB), 6.0);
  EXPECT_THAT(orders_of(*rival("sjf"), board), ElementsAre(run(first, 0)));
}

TEST_F(RivalsTest, SjfPassesOverWhatFitsNoIdleGpu) {
  FleetBoard board(1, 15.0);
  board.set_weight(kA, 18.0);
  board.set_run(board.arrive(kA), 1.0);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*rival("sjf"), board), ElementsAre(run(1, 0)));
}

// --- greedy-affinity --------------------------------------------------------------------------------------------

TEST_F(RivalsTest, GreedyTurnsABCABCIntoAABBCC) {
  const auto greedy = rival("greedy-affinity");
  FleetBoard board(1, 12.0);  // room for one model
  for (const int model : {kA, kB, kC, kA, kB, kC}) board.arrive(model);
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) {
    for (const Order& given : orders_of(*greedy, board)) order.push_back(std::get<RunJob>(given).job);
    board.finish(0);
  }
  EXPECT_THAT(order, ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST_F(RivalsTest, GreedyNeverLoadsASecondCopy) {
  FleetBoard board(3);
  board.hold(0, {kA});
  board.occupy(0, 500.0);
  board.load(1, kB, 3.0);
  board.arrive(kA);
  board.arrive(kB);
  board.arrive(kC);
  EXPECT_THAT(orders_of(*rival("greedy-affinity"), board), ElementsAre(run(2, 2)));
}

TEST_F(RivalsTest, GreedyLoadsAgainWhatWasOnALostGpu) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.set_down(0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*rival("greedy-affinity"), board), ElementsAre(run(0, 1)));
}

// --- swarmui ----------------------------------------------------------------------------------------------------

TEST_F(RivalsTest, SwarmClaimsAMatchingBackendAtOnce) {
  FleetBoard board(2);
  board.hold(1, {kA});
  board.arrive(kB);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*rival("swarmui"), board), ElementsAre(run(1, 1), load(kB, 0)));
}

TEST_F(RivalsTest, SwarmHoldsALoadForOneAndAHalfSecondsWhileSeveralCouldDoIt) {
  const auto swarm = rival("swarmui");
  FleetBoard board(2);
  board.set_time(100.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*swarm, board), IsEmpty());
  EXPECT_THAT(swarm->wake_at_s(board), Optional(101.5));
  board.set_time(101.5);
  EXPECT_THAT(orders_of(*swarm, board), ElementsAre(load(kA, 0)));
  EXPECT_EQ(swarm->wake_at_s(board), std::nullopt);
}

TEST_F(RivalsTest, SwarmLoadsAtOnceOnTheOnlyAvailableBackend) {
  FleetBoard board(2);
  board.occupy(0, 50.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*rival("swarmui"), board), ElementsAre(load(kA, 1)));
}

TEST_F(RivalsTest, SwarmWeighsTenForARequestAndOneForAWholeSecond) {
  // At 20.05 s: A 10 x 1 + 20 = 30; B 10 x 3 + 0 = 30, for the 0.95 s since 19.1 s count as none. The first wins.
  FleetBoard even(1);
  even.arrive(kA);
  even.set_time(19.1);
  for (int i = 0; i < 3; ++i) even.arrive(kB);
  even.set_time(20.05);
  EXPECT_THAT(orders_of(*rival("swarmui"), even), ElementsAre(load(kA, 0)));

  FleetBoard more(1);
  more.arrive(kA);
  more.set_time(19.0);
  for (int i = 0; i < 3; ++i) more.arrive(kB);
  more.set_time(20.05);  // B 31
  EXPECT_THAT(orders_of(*rival("swarmui"), more), ElementsAre(load(kB, 0)));
}

TEST_F(RivalsTest, SwarmLoadsAModelOnOneBackendAtATime) {
  FleetBoard board(2);
  for (int i = 0; i < 5; ++i) board.arrive(kA);
  board.arrive(kB);
  board.set_time(2.0);
  EXPECT_THAT(orders_of(*rival("swarmui"), board), ElementsAre(load(kA, 0), load(kB, 1)));
}

TEST_F(RivalsTest, SwarmLoadsOnTheBackendReleasedLongestAgo) {
  FleetBoard board(3);
  board.set_idle_since(0, 30.0);
  board.set_idle_since(1, 10.0);
  board.set_idle_since(2, 20.0);
  board.set_time(40.0);
  board.arrive(kA);
  board.set_time(42.0);
  EXPECT_THAT(orders_of(*rival("swarmui"), board), ElementsAre(load(kA, 1)));
}

TEST_F(RivalsTest, SwarmLetsAHeldWinnerBlockAnOlderLoser) {
  // A: 10 + 2 = 12 and past its hold; B: 2 x 10 + 0 and still held. Nothing is loaded.
  const auto swarm = rival("swarmui");
  FleetBoard board(2);
  board.arrive(kA);
  board.set_time(2.0);
  board.arrive(kB);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*swarm, board), IsEmpty());
  EXPECT_THAT(swarm->wake_at_s(board), Optional(3.5));
}

// --- invokeai ---------------------------------------------------------------------------------------------------

TEST_F(RivalsTest, InvokeGivesTurnsToTheUserWhoStartedLongestAgo) {
  const auto invoke = rival("invokeai");
  FleetBoard board(1);
  for (int i = 0; i < 3; ++i) board.arrive(kA, 7);
  board.arrive(kA, 8);
  std::vector<int> order;
  for (int i = 0; i < 4; ++i) {
    for (const Order& given : orders_of(*invoke, board)) order.push_back(std::get<RunJob>(given).job);
    board.finish(0);
  }
  EXPECT_THAT(order, ElementsAre(0, 3, 1, 2));
}

TEST_F(RivalsTest, InvokeSwapsForAWarmJobOfTheSameUserWithin32Ids) {
  const auto pulled_job = [](int jobs_between) {
    FleetBoard board(1);
    board.hold(0, {kA});
    board.arrive(kB, 7);
    for (int i = 0; i < jobs_between; ++i) board.arrive(kA, 8);
    board.arrive(kA, 7);
    return orders_of(*rival("invokeai"), board);
  };
  EXPECT_THAT(pulled_job(31), ElementsAre(run(32, 0)));
  EXPECT_THAT(pulled_job(32), ElementsAre(run(0, 0)));
}

TEST_F(RivalsTest, InvokePutsPriorityBeforeAgeAndDoesNotSwapAcrossPriorities) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kA, 7, Priority::normal);
  board.arrive(kB, 7, Priority::interactive);
  EXPECT_THAT(orders_of(*rival("invokeai"), board), ElementsAre(run(1, 0)));
}

TEST_F(RivalsTest, InvokeLetsTheGpuPullFirstThatIsIdleLongest) {
  FleetBoard board(2);
  board.set_idle_since(0, 20.0);
  board.set_idle_since(1, 10.0);
  board.set_time(30.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*rival("invokeai"), board), ElementsAre(run(0, 1)));
}

TEST_F(RivalsTest, InvokeNeverWaitsForAWarmGpu) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.occupy(0, 0.1);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*rival("invokeai"), board), ElementsAre(run(0, 1)));
}

// --- delay ------------------------------------------------------------------------------------------------------

TEST_F(RivalsTest, DelayLetsOthersOvertakeForTwoSeconds) {
  const auto delay = rival("delay");
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

TEST_F(RivalsTest, DelayCountsFromTheFirstSkipNotFromArrival) {
  const auto delay = rival("delay");
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

// --- mqfq-sticky ------------------------------------------------------------------------------------------------

TEST_F(RivalsTest, MqfqSticksToAWarmModelUntilItIsTenSecondsAhead) {
  // Jobs of 4 s. A's start tags 0, 4, 8, 12; B's first 0. Virtual time stays 0 while B waits, so A may start three
  // times (8 <= 0 + 10), and the fourth is throttled (12 > 10): B's turn.
  const auto mqfq = rival("mqfq-sticky");
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

TEST_F(RivalsTest, MqfqLoadsTheFlowWithTheEarliestStartTag) {
  // B's first comes while A's first runs, at virtual time 4. A, warm, goes on; then its next tag is 8 against B's 4.
  const auto mqfq = rival("mqfq-sticky");
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

TEST_F(RivalsTest, MqfqDoesNotLetANewFlowMakeUpForThePast) {
  // After two jobs of 4 s virtual time is 8, the tag of A's third. B's first is tagged 8 too, not 0: A was earlier.
  const auto mqfq = rival("mqfq-sticky");
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

TEST_F(RivalsTest, MqfqKeepsAJustEmptiedModelForTwoSeconds) {
  const auto loaded_on = [](double now_s) {
    FleetBoard board(2);
    board.hold(0, {kA});
    board.hold(1, {kB, kC});
    board.set_idle_since(0, 10.0);
    board.set_time(now_s);
    board.arrive(3);
    return orders_of(*rival("mqfq-sticky"), board);
  };
  EXPECT_THAT(loaded_on(11.9), ElementsAre(run(0, 1)));
  EXPECT_THAT(loaded_on(12.0), ElementsAre(run(0, 0)));
}

TEST_F(RivalsTest, MqfqKeepsTheTagOfAJobThatComesBack) {
  const auto mqfq = rival("mqfq-sticky");
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

// --- map --------------------------------------------------------------------------------------------------------

TEST_F(RivalsTest, MapEmptiesTheBufferOfWhatIsWarm) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kB);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*rival("map"), board), ElementsAre(run(1, 0)));
}

TEST_F(RivalsTest, MapDoesNotLookBeyondItsBufferOf32) {
  const auto first_order = [](int before) {
    FleetBoard board(1);
    board.hold(0, {kA});
    for (int i = 0; i < before; ++i) board.arrive(kB);
    board.arrive(kA);
    return orders_of(*rival("map"), board);
  };
  EXPECT_THAT(first_order(31), ElementsAre(run(31, 0)));
  EXPECT_THAT(first_order(32), ElementsAre(run(0, 0)));
}

TEST_F(RivalsTest, MapWeighsPenaltyAgainstTheBufferTimesTheCost) {
  // Loads: A 5 s, B 6 s. P - 32 b: A -160, B -192. Each time A is chosen with three jobs of B in the buffer, P(B) grows
  // by 3 x 5 = 15: after three changes to A it is 45, and B's -147 beats A's -160.
  const auto map = rival("map");
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
