// swarmui on boards laid out by hand; the numbers are those of its header's rule.
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

Order run(int job, int gpu) { return RunJob{job, gpu}; }
Order load(int model, int gpu) { return LoadModel{model, gpu}; }

TEST(SwarmUi, ClaimsAMatchingBackendAtOnce) {
  FleetBoard board(2);
  board.hold(1, {kA});
  board.arrive(kB);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*make_rival("swarmui"), board), ElementsAre(run(1, 1), load(kB, 0)));
}

TEST(SwarmUi, HoldsALoadForOneAndAHalfSecondsWhileSeveralCouldDoIt) {
  const auto swarm = make_rival("swarmui");
  FleetBoard board(2);
  board.set_time(100.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*swarm, board), IsEmpty());
  EXPECT_THAT(swarm->wake_at_s(board), Optional(101.5));
  board.set_time(101.5);
  EXPECT_THAT(orders_of(*swarm, board), ElementsAre(load(kA, 0)));
  EXPECT_EQ(swarm->wake_at_s(board), std::nullopt);
}

TEST(SwarmUi, LoadsAtOnceOnTheOnlyAvailableBackend) {
  FleetBoard board(2);
  board.occupy(0, 50.0);
  board.arrive(kA);
  EXPECT_THAT(orders_of(*make_rival("swarmui"), board), ElementsAre(load(kA, 1)));
}

TEST(SwarmUi, WeighsTenForARequestAndOneForAWholeSecond) {
  // At 20.05 s: A 10 x 1 + 20 = 30; B 10 x 3 + 0 = 30, for the 0.95 s since 19.1 s count as none. The first wins.
  FleetBoard even(1);
  even.arrive(kA);
  even.set_time(19.1);
  for (int i = 0; i < 3; ++i) even.arrive(kB);
  even.set_time(20.05);
  EXPECT_THAT(orders_of(*make_rival("swarmui"), even), ElementsAre(load(kA, 0)));

  FleetBoard more(1);
  more.arrive(kA);
  more.set_time(19.0);
  for (int i = 0; i < 3; ++i) more.arrive(kB);
  more.set_time(20.05);  // B 31
  EXPECT_THAT(orders_of(*make_rival("swarmui"), more), ElementsAre(load(kB, 0)));
}

TEST(SwarmUi, LoadsAModelOnOneBackendAtATime) {
  FleetBoard board(2);
  for (int i = 0; i < 5; ++i) board.arrive(kA);
  board.arrive(kB);
  board.set_time(2.0);
  EXPECT_THAT(orders_of(*make_rival("swarmui"), board), ElementsAre(load(kA, 0), load(kB, 1)));
}

TEST(SwarmUi, LoadsOnTheBackendReleasedLongestAgo) {
  FleetBoard board(3);
  board.set_idle_since(0, 30.0);
  board.set_idle_since(1, 10.0);
  board.set_idle_since(2, 20.0);
  board.set_time(40.0);
  board.arrive(kA);
  board.set_time(42.0);
  EXPECT_THAT(orders_of(*make_rival("swarmui"), board), ElementsAre(load(kA, 1)));
}

TEST(SwarmUi, LetsAHeldWinnerBlockAnOlderLoser) {
  // A: 10 + 2 = 12 and past its hold; B: 2 x 10 + 0 and still held. Nothing is loaded.
  const auto swarm = make_rival("swarmui");
  FleetBoard board(2);
  board.arrive(kA);
  board.set_time(2.0);
  board.arrive(kB);
  board.arrive(kB);
  EXPECT_THAT(orders_of(*swarm, board), IsEmpty());
  EXPECT_THAT(swarm->wake_at_s(board), Optional(3.5));
}
}  // namespace
}  // namespace pixelfleet::simulator
