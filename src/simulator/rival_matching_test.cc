// Matching against every possible assignment, on random costs.
#include "simulator/rival_matching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "base/rng.h"

namespace pixelfleet::simulator {
namespace {

using Costs = std::vector<std::optional<MatchCost>>;

// The least total for all these jobs; nullopt when not all of them can be placed.
std::optional<MatchCost> least_total(const std::vector<Costs>& jobs, int gpus) {
  std::vector<int> order(static_cast<std::size_t>(gpus));
  std::iota(order.begin(), order.end(), 0);
  std::optional<MatchCost> least;
  do {
    MatchCost total;
    bool is_possible = true;
    for (std::size_t i = 0; i < jobs.size() && is_possible; ++i) {
      const auto& cost = jobs[i][static_cast<std::size_t>(order[i])];
      is_possible = cost.has_value();
      if (cost) total = total + *cost;
    }
    if (is_possible && (!least || total < *least)) least = total;
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

TEST(Matching, MovesAnEarlierJobToMakeRoom) {
  Matching matching(2);
  EXPECT_TRUE(matching.add(10, {MatchCost{0, 0}, MatchCost{5, 1}}));
  EXPECT_TRUE(matching.add(11, {MatchCost{0, 0}, std::nullopt}));
  const auto pairs = matching.pairs();
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].gpu, 1);
  EXPECT_EQ(pairs[1].gpu, 0);
}

TEST(Matching, NeverDropsAJobOnceTaken) {
  Matching matching(1);
  EXPECT_TRUE(matching.add(10, {MatchCost{9000, 0}}));
  EXPECT_FALSE(matching.add(11, {MatchCost{0, 0}}));
  ASSERT_EQ(matching.pairs().size(), 1U);
  EXPECT_EQ(matching.pairs()[0].job, 10);
}

TEST(Matching, TakesJobsGreedilyAtTheLeastTotal) {
  const std::uint64_t seed = 20261124;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (int round = 0; round < 300; ++round) {
    const int gpus = static_cast<int>(rng.below(4)) + 1;
    Matching matching(gpus);
    std::vector<Costs> taken;
    for (int job = 0; job < 6; ++job) {
      Costs costs(static_cast<std::size_t>(gpus));
      for (int gpu = 0; gpu < gpus; ++gpu) {
        if (rng.below(4) > 0) {
          costs[static_cast<std::size_t>(gpu)] = MatchCost{static_cast<std::int64_t>(rng.below(20)), gpu};
        }
      }
      auto with_it = taken;
      with_it.push_back(costs);
      const bool can_be_placed = static_cast<int>(with_it.size()) <= gpus && least_total(with_it, gpus).has_value();
      ASSERT_EQ(matching.add(job, costs), can_be_placed) << "round " << round;
      if (can_be_placed) taken = with_it;
    }
    MatchCost total;
    const auto pairs = matching.pairs();
    ASSERT_EQ(pairs.size(), taken.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) total = total + *taken[i][static_cast<std::size_t>(pairs[i].gpu)];
    EXPECT_EQ(total, least_total(taken, gpus).value_or(MatchCost{})) << "round " << round;
  }
}

}  // namespace
}  // namespace pixelfleet::simulator
