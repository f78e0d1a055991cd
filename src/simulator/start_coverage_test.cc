// Four of five jobs start within the interval that was forecast of them: 75 to 85 of 100.
#include "simulator/start_coverage.h"

#include <gtest/gtest.h>

#include "simulator/traces.h"

namespace pixelfleet::simulator {
namespace {

struct Case {
  const char* trace;
  double part;  // of the trace: enough for a thousand starts or so
  std::uint64_t seed;
};

class StartCoverageTest : public ::testing::TestWithParam<Case> {};

TEST_P(StartCoverageTest, FourOfFiveJobsStartWithinTheirInterval) {
  const auto [name, part, seed] = GetParam();
  const auto trace = make_trace(name, seed, {part});
  ASSERT_TRUE(trace.has_value()) << trace.error().message;
  RunOptions options;
  options.noise_seed = seed;
  const auto coverage = measure_start_coverage(*trace, options);
  ASSERT_TRUE(coverage.has_value()) << coverage.error().message;
  EXPECT_GT(coverage->starts, 500);
  EXPECT_GE(coverage->part_inside(), 0.75) << "seed " << seed;
  EXPECT_LE(coverage->part_inside(), 0.85) << "seed " << seed;
  // On both sides, or the interval would lie wrong.
  EXPECT_GT(coverage->before, coverage->starts / 25);
  EXPECT_GT(coverage->after, coverage->starts / 25);
}

INSTANTIATE_TEST_SUITE_P(Traces, StartCoverageTest, ::testing::Values(Case{"T2", 0.25, 300}, Case{"T6", 0.2, 300}),
                         [](const auto& test) { return test.param.trace; });

TEST(StartCoverage, IsTheSameEveryTime) {
  const auto trace = make_trace("T2", 400, {0.02});
  RunOptions options;
  const auto first = measure_start_coverage(*trace, options);
  const auto second = measure_start_coverage(*trace, options);
  EXPECT_EQ(first->inside, second->inside);
  EXPECT_EQ(first->mean_width_s, second->mean_width_s);
}

}  // namespace
}  // namespace pixelfleet::simulator
