// The simple rivals on boards laid out by hand; each case is worked out from the rule in its header.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/rival_fleet_board.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kA = 0;
constexpr int kB = 1;
constexpr int kC = 2;

Order run(int job, int gpu) { return RunJob{job, gpu}; }

TEST(Rivals, AnUnknownNameMakesNone) {
  EXPECT_EQ(make_rival("amp"), nullptr);
  EXPECT_EQ(make_rival(""), nullptr);
}

TEST(Rivals, NoneOrdersAnythingWithoutWorkOrWithoutAnIdleGpu) {
  for (const char* name : {"fifo", "v18", "sjf", "greedy-affinity", "swarmui", "mold-legacy", "mold-v2", "invokeai",
                           "delay", "mqfq-sticky", "map"}) {
    const auto some = make_rival(name);
    FleetBoard board(2);
    EXPECT_THAT(orders_of(*some, board), IsEmpty()) << name;
    board.occupy(0, 5.0);
    board.occupy(1, 5.0);
    board.arrive(kA);
    EXPECT_THAT(orders_of(*some, board), IsEmpty()) << name;
  }
}

// --- fifo and v18 ----------------------------------------------------------------------------------------------------

TEST(Rivals, FifoTakesTheFirstIdleGpuWhateverItHolds) {
  FleetBoard board(3);
  board.occupy(0, 9.0);
  board.hold(2, {kA});
  board.arrive(kA);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*make_rival("fifo"), board), ElementsAre(run(0, 1), run(1, 2)));
}

TEST(Rivals, AHeadThatFitsNoIdleGpuBlocksTheLine) {
  for (const char* name : {"fifo", "v18"}) {
    FleetBoard board(2);
    board.occupy(0, 9.0);
    board.set_memory(1, 15.0);
    board.set_weight(kA, 18.0);
    board.arrive(kA);
    board.arrive(kB);
    EXPECT_THAT(orders_of(*make_rival(name), board), IsEmpty()) << name;
    board.finish(0);
    EXPECT_THAT(orders_of(*make_rival(name), board), ElementsAre(run(0, 0), run(1, 1))) << name;
  }
}

TEST(Rivals, V18PrefersAWarmGpuThenFreeMemory) {
  FleetBoard board(3);
  board.hold(0, {kA, kB});  // 14 of 24 GB
  board.hold(1, {kA});      // 7 of 24 GB
  board.hold(2, {kC, kA});
  board.arrive(kC);
  board.arrive(3);
  board.arrive(3);
  EXPECT_THAT(orders_of(*make_rival("v18"), board), ElementsAre(run(0, 2), run(1, 1), run(2, 0)));
}

// --- sjf -------------------------------------------------------------------------------------------------------------

TEST(Rivals, SjfTakesTheShortestThoughItMustLoadFirst) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.set_load(kB, 60.0);
  board.set_run(board.arrive(kA), 12.0);
  board.set_run(board.arrive(kB), 11.0);
  board.set_run(board.arrive(kB), 11.0);
  EXPECT_THAT(orders_of(*make_rival("sjf"), board), ElementsAre(run(1, 0)));
}

TEST(Rivals, SjfMeasuresAJobOnTheFastestGpuThatFitsIt) {
  FleetBoard board(2);
  board.occupy(1, 9.0);
  const int first = board.arrive(kA);
  board.set_run(first, 0, 20.0);
  board.set_run(first, 1, 5.0);
  board.set_run(board.arrive(kB), 6.0);
  EXPECT_THAT(orders_of(*make_rival("sjf"), board), ElementsAre(run(first, 0)));
}

TEST(Rivals, SjfPassesOverWhatFitsNoIdleGpu) {
  FleetBoard board(1, 15.0);
  board.set_weight(kA, 18.0);
  board.set_run(board.arrive(kA), 1.0);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*make_rival("sjf"), board), ElementsAre(run(1, 0)));
}

// --- greedy-affinity -------------------------------------------------------------------------------------------------

TEST(Rivals, GreedyTurnsABCABCIntoAABBCC) {
  const auto greedy = make_rival("greedy-affinity");
  FleetBoard board(1, 12.0);  // room for one model
  for (const int model : {kA, kB, kC, kA, kB, kC}) board.arrive(model);
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) {
    for (const Order& given : orders_of(*greedy, board)) order.push_back(std::get<RunJob>(given).job);
    board.finish(0);
  }
  EXPECT_THAT(order, ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(Rivals, GreedyNeverLoadsASecondCopy) {
  FleetBoard board(3);
  board.hold(0, {kA});
  board.occupy(0, 500.0);
  board.load(1, kB, 3.0);
  board.arrive(kA);
  board.arrive(kB);
  board.arrive(kC);
  EXPECT_THAT(orders_of(*make_rival("greedy-affinity"), board), ElementsAre(run(2, 2)));
}

TEST(Rivals, GreedyLoadsAgainWhatWasOnALostGpu) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.set_down(0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*make_rival("greedy-affinity"), board), ElementsAre(run(0, 1)));
}
}  // namespace
}  // namespace pixelfleet::simulator
