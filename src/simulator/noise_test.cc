#include "simulator/noise.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pixelfleet::simulator {
namespace {

constexpr int kDraws = 40'000;

template <class Draw>
void expect_log_normal_of_mean_one(Draw draw, double sigma) {
  double sum = 0.0;
  double sum_of_logs = 0.0;
  double sum_of_squares = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const double factor = draw(i);
    sum += factor;
    sum_of_logs += std::log(factor);
    sum_of_squares += std::log(factor) * std::log(factor);
  }
  const double mean_of_logs = sum_of_logs / kDraws;
  EXPECT_NEAR(sum / kDraws, 1.0, 0.004);
  EXPECT_NEAR(std::sqrt(sum_of_squares / kDraws - mean_of_logs * mean_of_logs), sigma, 0.003);
}

TEST(Noise, RunsVaryByTwelvePercentAroundOne) {
  const Noise noise(7, Regime::slow);
  expect_log_normal_of_mean_one([&](int job) { return noise.run(job); }, 0.12);
}

TEST(Noise, LoadsVaryByFifteenPercentAroundOne) {
  const Noise noise(7, Regime::slow);
  expect_log_normal_of_mean_one([&](int i) { return noise.load(i % 20, i / 20, Tier::remote); }, 0.15);
  expect_log_normal_of_mean_one([&](int i) { return noise.stage(i % 20, i / 20); }, 0.15);
}

TEST(Noise, IsTheSameWhoeverAsksAndWhen) {
  const Noise first(3, Regime::slow);
  const Noise second(3, Regime::slow);
  const double factor = first.run(5);
  first.run(6);
  first.load(5, 0, Tier::cached);
  EXPECT_EQ(second.run(5), factor);
  EXPECT_NE(Noise(4, Regime::slow).run(5), factor);
  EXPECT_NE(first.run(6), factor);
  EXPECT_NE(first.load(5, 0, Tier::cached), first.load(5, 1, Tier::cached));
  EXPECT_NE(first.load(5, 0, Tier::cached), first.stage(5, 0));
}

TEST(Noise, RemoteLoadsFollowThePublishedHistogram) {
  EXPECT_DOUBLE_EQ(remote_load_seconds(Tier::cached, 0.05 / 0.33), 2.3);
  EXPECT_DOUBLE_EQ(remote_load_seconds(Tier::cached, 0.25 / 0.33), 3.1);
  EXPECT_NEAR(remote_load_seconds(Tier::remote, (0.50 - 0.33) / 0.67), 22.7, 1e-9);
  EXPECT_NEAR(remote_load_seconds(Tier::remote, (0.95 - 0.33) / 0.67), 45.5, 1e-9);
  const double mean = 0.33 * remote_load_mean_seconds(Tier::cached) + 0.67 * remote_load_mean_seconds(Tier::remote);
  EXPECT_NEAR(mean, 22.0, 0.6);  // the published mean
}

TEST(Noise, RemoteFactorsHaveMeanOneInEachTier) {
  const Noise noise(11, Regime::remote);
  for (const Tier tier : {Tier::cached, Tier::remote}) {
    double sum = 0.0;
    for (int i = 0; i < kDraws; ++i) sum += noise.load(i % 20, i / 20, tier);
    EXPECT_NEAR(sum / kDraws, 1.0, 0.01);
  }
}

TEST(Noise, ChunksRunOutOfMemoryAsOftenAsTheTraceSays) {
  const Noise noise(5, Regime::slow);
  int failures = 0;
  for (int i = 0; i < kDraws; ++i) failures += noise.runs_out_of_memory(i, 0, 0.01) ? 1 : 0;
  EXPECT_NEAR(failures, 0.01 * kDraws, 80);  // four standard deviations
  EXPECT_FALSE(noise.runs_out_of_memory(1, 0, 0.0));
  EXPECT_TRUE(noise.runs_out_of_memory(1, 0, 1.0));
}

}  // namespace
}  // namespace pixelfleet::simulator
