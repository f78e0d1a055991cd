#include "simulator/study.h"

#include <gmock/gmock.h>

#include <atomic>

#include "base/json_full.h"
#include "simulator/parallel.h"
#include "simulator/results.h"
#include "simulator/testing_study.h"

namespace pixelfleet::simulator {
namespace {

using testing::ElementsAre;

TEST(ForEachIndex, CallsEachIndexOnceWhateverTheNumberOfThreads) {
  for (const int threads : {0, 1, 3, 50}) {
    std::vector<std::atomic<int>> calls(20);
    for_each_index(calls.size(), threads, [&](std::size_t index) { ++calls[index]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1) << threads << " threads";
  }
  for_each_index(0, 2, [](std::size_t) { FAIL() << "there is nothing to do"; });
}

StudyPlan plan_of(std::vector<std::string> traces, std::vector<std::string> policies) {
  StudyPlan plan;
  plan.traces = std::move(traces);
  for (const std::string& policy : policies) plan.contenders.push_back({policy, policy, {}});
  plan.seeds = {300, 400};
  plan.threads = 2;
  return plan;
}

TEST(Study, RowsComeInTheOrderOfThePlan) {
  StudyPlan plan = plan_of({"T5", "T7"}, {"+1", "*2"});
  plan.regimes = {Regime::slow, Regime::fast};
  const auto study = run_study(plan, two_job_instruments());
  ASSERT_TRUE(study);
  std::vector<std::string> places;
  for (const Row& row : study->rows) {
    places.push_back(
        format("{} {} {} {}", row.regime == Regime::slow ? "slow" : "fast", row.trace, row.contender, row.seed));
  }
  ASSERT_EQ(places.size(), 16u);
  EXPECT_EQ(places[0], "slow T5 +1 300");
  EXPECT_EQ(places[1], "slow T5 +1 400");
  EXPECT_EQ(places[2], "slow T5 *2 300");
  EXPECT_EQ(places[4], "slow T7 +1 300");
  EXPECT_EQ(places[8], "fast T5 +1 300");
  EXPECT_EQ(places[15], "fast T7 *2 400");
  EXPECT_DOUBLE_EQ(study->rows[1].metrics.mean_wait_s, 401.0) << "the seed makes the noise";
  EXPECT_DOUBLE_EQ(study->rows[2].metrics.mean_wait_s, 10.0);
  // The last job of T5 under *2 ends at 5 + 10 + 1: the bound is 10 s under slow loads, 20 s under fast ones.
  EXPECT_DOUBLE_EQ(study->rows[2].metrics.makespan_over_bound, 1.6);
  EXPECT_DOUBLE_EQ(study->rows[10].metrics.makespan_over_bound, 0.8);
}

TEST(Study, SkipsATraceThatIsNotThereAndSaysSo) {
  const auto study = run_study(plan_of({"T5", "absent", "T7"}, {"+1"}), two_job_instruments());
  ASSERT_TRUE(study);
  EXPECT_THAT(study->plan.traces, ElementsAre("T5", "T7"));
  ASSERT_EQ(study->rows.size(), 4u);
  EXPECT_EQ(study->rows[2].trace, "T7");
  EXPECT_EQ(study->rows[2].metrics.jobs, 2);
  ASSERT_EQ(study->skipped.size(), 1u);
  EXPECT_EQ(study->skipped[0].trace, "absent");
  EXPECT_EQ(study->skipped[0].why, "absent.csv is not here");
}

TEST(Study, ABrokenTraceEndsItBeforeAnythingRuns) {
  Instruments instruments = two_job_instruments();
  instruments.run = [](const Trace&, const RunOptions&) -> Result<RunRecord> {
    ADD_FAILURE() << "nothing should run";
    return RunRecord{};
  };
  const auto study = run_study(plan_of({"T5", "broken"}, {"+1"}), instruments);
  ASSERT_FALSE(study);
  EXPECT_EQ(study.error().message, "broken.csv: line 3");
}

TEST(Study, AFailedRunIsARowThatSaysWhy) {
  const auto study = run_study(plan_of({"T5"}, {"fails", "+1"}), two_job_instruments());
  ASSERT_TRUE(study);
  ASSERT_TRUE(study->rows[0].error);
  EXPECT_EQ(study->rows[0].error->message, "left job 1 behind");
  EXPECT_FALSE(study->rows[2].error);
  EXPECT_EQ(results_json(*study)["results"].size(), 2u) << "what failed has no figures";
}

TEST(Study, TellsProgressFromNothingToAll) {
  StudyPlan plan = plan_of({"T5", "T7"}, {"+1"});
  std::vector<std::size_t> told;
  plan.on_progress = [&](const Progress& progress) {
    EXPECT_EQ(progress.total, 4u);
    told.push_back(progress.done);
  };
  ASSERT_TRUE(run_study(plan, two_job_instruments()));
  EXPECT_THAT(told, ElementsAre(0, 1, 2, 3, 4));
}

TEST(Study, DrawsWhatTheWindowShowsOfTheFirstSeedOnly) {
  StudyPlan plan = plan_of({"T1000"}, {"+1"});
  plan.detail = Detail::drawings;
  const auto study = run_study(plan, two_job_instruments());
  ASSERT_TRUE(study);
  const Drawing& first = study->rows[0].drawing;
  ASSERT_EQ(first.wait_quantiles.size(), 201u);
  EXPECT_DOUBLE_EQ(first.wait_quantiles.front(), 301.0);
  EXPECT_EQ(first.window.from_s, 0.0);
  EXPECT_EQ(first.window.to_s, 600.0);
  ASSERT_EQ(first.operations.size(), 2u) << "the load and the first job; the second one starts at 1301 s";
  EXPECT_EQ(first.gpus, 1);
  EXPECT_TRUE(study->rows[1].drawing.operations.empty());
  EXPECT_EQ(study->rows[1].drawing.wait_quantiles.size(), 201u);
}

TEST(BusiestWindow, IsTheEarliestWithMostArrivals) {
  Trace trace;
  for (const double arrival : {0.0, 50.0, 100.0, 108.0, 110.0, 300.0, 305.0, 309.0}) {
    trace.jobs.push_back({.arrival_s = arrival});
  }
  const Window window = busiest_window(trace, 10.0);
  EXPECT_EQ(window.from_s, 100.0);
  EXPECT_EQ(window.to_s, 110.0);
}

TEST(Results, HaveExactlyThePromisedKeys) {
  const auto study = run_study(plan_of({"T5"}, {"*2"}), two_job_instruments());
  ASSERT_TRUE(study);
  const Json json = results_json(*study);
  ASSERT_EQ(json.size(), 1u);
  const Json& row = json["results"][0];
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              testing::UnorderedElementsAre("trace", "regime", "policy", "seed", "jobs", "mean_wait_s", "p50_wait_s",
                                            "p95_wait_s", "p99_wait_s", "max_wait_s", "loads", "foreground_loads",
                                            "foreground_load_s", "makespan_over_bound", "flow_over_bound",
                                            "utilisation_run", "decision_us_mean", "decision_us_p99"));
  EXPECT_EQ(row["policy"], "*2");
  EXPECT_EQ(row["regime"], "slow");
  EXPECT_EQ(row["seed"], 300);
  EXPECT_EQ(row["foreground_load_s"], 10.0);
  EXPECT_EQ(row["flow_over_bound"], 11.0);
  EXPECT_EQ(row["utilisation_run"], 2.0 / 16.0);
}

}  // namespace
}  // namespace pixelfleet::simulator
