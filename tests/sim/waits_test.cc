// The bound on waiting (W3, waits.h) in histories without failures; and that it fails without the guard.
//
//   PIXELFLEET_SIM_FAIR_SEEDS=1000   how many (PIXELFLEET_SIM_FAIR_FROM: from this seed instead of 1)
//   PIXELFLEET_SIM_FAIR_SEED=47      this one only
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "base/format.h"
#include "waits.h"

namespace pixelfleet::sim {
namespace {

constexpr std::uint64_t kDefaultSeeds = 12;

std::optional<std::uint64_t> number_from_environment(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& line : all) text += line + '\n';
  return text;
}

TEST(Waits, NoJobWaitsBeyondItsBound) {
  const auto one = number_from_environment("PIXELFLEET_SIM_FAIR_SEED");
  const std::uint64_t from = one ? *one : number_from_environment("PIXELFLEET_SIM_FAIR_FROM").value_or(1);
  const std::uint64_t seeds = one ? 1 : number_from_environment("PIXELFLEET_SIM_FAIR_SEEDS").value_or(kDefaultSeeds);
  FairOutcome sum;
  for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
    const FairOutcome outcome = run_fair_history({.seed = seed});
    ASSERT_FALSE(outcome.violation) << "seed " << seed << ": " << *outcome.violation
                                    << "\nrun again with PIXELFLEET_SIM_FAIR_SEED=" << seed << '\n'
                                    << lines(outcome.situation);
    sum.steps += outcome.steps;
    sum.jobs += outcome.jobs;
    sum.overdue += outcome.overdue;
    sum.tightest = std::max(sum.tightest, outcome.tightest);
    sum.tightest_past_guard = std::max(sum.tightest_past_guard, outcome.tightest_past_guard);
  }
  std::cout << format(
      "{} fair histories, {} steps, {} jobs, {} past their guard; largest wait {:.2f} of its bound, "
      "past the guard {:.2f}\n",
      seeds, sum.steps, sum.jobs, sum.overdue, sum.tightest, sum.tightest_past_guard);
}

TEST(Waits, ABackgroundJobStartsWithinItsBoundOnceItsTwelveHoursAreOver) {
  const FairOutcome outcome = run_fair_history({.seed = 1, .kind = FairOptions::Kind::twelve_hours});
  ASSERT_FALSE(outcome.violation) << *outcome.violation << '\n' << lines(outcome.situation);
  EXPECT_GT(outcome.overdue, 0);
  EXPECT_GE(outcome.longest_guard, std::chrono::hours{12});
}

TEST(PlantedBug, TheGuardIsOff) {
  std::string found;
  for (std::uint64_t seed = 1; seed <= 18; ++seed) {
    FairOptions options{.seed = seed};
    options.distort_policy = [](scheduler::Policy& policy) {
      policy.tuning.guard_seconds = policy.tuning.background_guard_seconds = 1e8;
    };
    const FairOutcome outcome = run_fair_history(options);
    if (outcome.violation) found += *outcome.violation + '\n';
  }
  EXPECT_THAT(found, ::testing::HasSubstr("its bound is"));
}

}  // namespace
}  // namespace pixelfleet::sim
