#include "base/rng.h"

#include <gtest/gtest.h>

namespace pixelfleet {
namespace {

// SplitMix64's published sequence for seed 1234567: campaigns and seeds of today must draw the same in ten years.
TEST(Rng, FollowsThePublishedSequence) {
  Rng rng(1234567);
  EXPECT_EQ(rng.next(), 6457827717110365317u);
  EXPECT_EQ(rng.next(), 3203168211198807973u);
  EXPECT_EQ(rng.next(), 9817491932198370423u);
  EXPECT_EQ(rng.next(), 4593380528125082431u);
  EXPECT_EQ(rng.next(), 16408922859458223821u);
}

TEST(Rng, BelowReachesEveryValueAndNeverTheBound) {
  Rng rng(7);
  int seen[6] = {};
  for (int i = 0; i < 6000; ++i) {
    const std::uint64_t value = rng.below(6);
    ASSERT_LT(value, 6u);
    ++seen[value];
  }
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(rng.below(1), 0u);
}

TEST(Rng, UnitIsInTheHalfOpenInterval) {
  Rng rng(7);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = rng.unit();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(Rng, ChanceZeroNeverAndChanceOneAlways) {
  Rng rng(7);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_FALSE(rng.chance(0.0));
    ASSERT_TRUE(rng.chance(1.0));
  }
}

TEST(Rng, SeedsFromEntropyDiffer) { EXPECT_NE(random_seed(), random_seed()); }

}  // namespace
}  // namespace pixelfleet
