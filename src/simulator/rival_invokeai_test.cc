// invokeai on boards laid out by hand; the numbers are those of its header's rule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/rival_fleet_board.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;

constexpr int kA = 0;
constexpr int kB = 1;

Order run(int job, int gpu) { return RunJob{job, gpu}; }

TEST(InvokeAi, GivesTurnsToTheUserWhoStartedLongestAgo) {
  const auto invoke = make_rival("invokeai");
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

TEST(InvokeAi, SwapsForAWarmJobOfTheSameUserWithin32Ids) {
  const auto pulled_job = [](int jobs_between) {
    FleetBoard board(1);
    board.hold(0, {kA});
    board.arrive(kB, 7);
    for (int i = 0; i < jobs_between; ++i) board.arrive(kA, 8);
    board.arrive(kA, 7);
    return orders_of(*make_rival("invokeai"), board);
  };
  EXPECT_THAT(pulled_job(31), ElementsAre(run(32, 0)));
  EXPECT_THAT(pulled_job(32), ElementsAre(run(0, 0)));
}

TEST(InvokeAi, PutsPriorityBeforeAgeAndDoesNotSwapAcrossPriorities) {
  FleetBoard board(1);
  board.hold(0, {kA});
  board.arrive(kA, 7, Priority::normal);
  board.arrive(kB, 7, Priority::interactive);
  EXPECT_THAT(orders_of(*make_rival("invokeai"), board), ElementsAre(run(1, 0)));
}

TEST(InvokeAi, LetsTheGpuPullFirstThatIsIdleLongest) {
  FleetBoard board(2);
  board.set_idle_since(0, 20.0);
  board.set_idle_since(1, 10.0);
  board.set_time(30.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*make_rival("invokeai"), board), ElementsAre(run(0, 1)));
}

TEST(InvokeAi, NeverWaitsForAWarmGpu) {
  FleetBoard board(2);
  board.hold(0, {kA});
  board.occupy(0, 0.1);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*make_rival("invokeai"), board), ElementsAre(run(0, 1)));
}
}  // namespace
}  // namespace pixelfleet::simulator
