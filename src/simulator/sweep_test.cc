#include "simulator/sweep.h"

#include <gmock/gmock.h>

#include "simulator/ablation.h"
#include "simulator/table.h"
#include "simulator/testing_study.h"

namespace pixelfleet::simulator {
namespace {

using Place = Sustained::Place;

TEST(SustainedLoad, IsWhereTheCurveCrossesTheLimit) {
  const Sustained found = sustained_load({{0.5, 40.0, 9.0}, {0.6, 50.0, 9.0}, {0.8, 90.0, 9.0}}, 60.0);
  EXPECT_EQ(found.place, Place::within);
  EXPECT_DOUBLE_EQ(found.load, 0.65);
}

TEST(SustainedLoad, TakesTheFirstCrossingOfACurveThatComesBack) {
  EXPECT_DOUBLE_EQ(sustained_load({{0.5, 50.0, 9.0}, {0.6, 70.0, 9.0}, {0.7, 55.0, 9.0}}, 60.0).load, 0.55);
}

TEST(SustainedLoad, SaysWhenTheCurveNeverCrosses) {
  EXPECT_EQ(sustained_load({{0.5, 61.0, 9.0}, {0.6, 70.0, 9.0}}, 60.0).place, Place::below_all);
  const Sustained above = sustained_load({{0.5, 1.0, 9.0}, {0.6, 60.0, 9.0}}, 60.0);
  EXPECT_EQ(above.place, Place::above_all);
  EXPECT_DOUBLE_EQ(above.load, 0.6);
}

// The trace of load x has its second job at 100 x, so that the policy "*n" waits 100 n x.
Result<Trace> make_load(double load, std::uint64_t seed) { return make_two_jobs(format("T{}", 100.0 * load), seed); }

SweepPlan plan_of(std::vector<std::string> policies) {
  SweepPlan plan;
  for (const std::string& policy : policies) plan.contenders.push_back({policy, policy, {}});
  plan.seeds = {3, 5};
  plan.loads = {0.2, 0.4, 0.6, 0.8};
  plan.threads = 2;
  return plan;
}

TEST(Sweep, DrawsACurveForEachContender) {
  const auto curves = sweep(plan_of({"*1", "+50"}), make_load, two_job_instruments());
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_EQ(curves[0].contender, "*1");
  EXPECT_DOUBLE_EQ(curves[0].sustained.load, 0.6) << "waits are 20, 40, 60, 80 s";
  ASSERT_EQ(curves[1].points.size(), 4u);
  EXPECT_DOUBLE_EQ(curves[1].points[0].p95_wait_s, 54.0) << "the mean over seeds 3 and 5";
  EXPECT_EQ(curves[1].sustained.place, Place::above_all);
}

TEST(Sweep, StopsWhereItIsHopeless) {
  const auto curves = sweep(plan_of({"*10"}), make_load, two_job_instruments());
  ASSERT_EQ(curves.size(), 1u);
  EXPECT_EQ(curves[0].points.size(), 2u) << "400 s at 0.4 is beyond five times the limit";
  EXPECT_EQ(curves[0].sustained.place, Place::below_all);
}

TEST(Sweep, AContenderThatFailsDoesNotTakeTheOthersAlong) {
  const auto curves = sweep(plan_of({"fails", "*1"}), make_load, two_job_instruments());
  ASSERT_TRUE(curves[0].error);
  EXPECT_TRUE(curves[0].points.empty());
  EXPECT_DOUBLE_EQ(curves[1].sustained.load, 0.6);
  const std::string text = sweep_text(curves, 60.0);
  EXPECT_THAT(text, testing::HasSubstr("left job 1 behind"));
  EXPECT_THAT(text, testing::HasSubstr("0.20:20.0 0.40:40.0"));
}

TEST(Ablation, ChangesOneThingAtATime) {
  const auto contenders = ablation_contenders();
  ASSERT_GT(contenders.size(), 10u);
  EXPECT_EQ(contenders[0].label, "amp");
  EXPECT_EQ(contenders[0].production, scheduler::Policy{});
  for (std::size_t i = 1; i < contenders.size(); ++i) {
    EXPECT_EQ(contenders[i].policy, "amp");
    EXPECT_FALSE(contenders[i].production == scheduler::Policy{}) << contenders[i].label;
    for (std::size_t k = 0; k < i; ++k) EXPECT_FALSE(contenders[i].production == contenders[k].production);
  }
}

TEST(Ablation, TellsEachChangeAgainstTheWhole) {
  Study study;
  study.plan.traces = {"T9"};
  study.plan.seeds = {1};
  study.plan.regimes = {Regime::slow, Regime::fast};
  study.plan.contenders = {{"amp", "amp", {}}, {"without staging", "amp", {}}};
  for (const Regime regime : study.plan.regimes) {
    for (const double wait : {40.0, 50.0}) {
      Row row;
      row.trace = "T9";
      row.regime = regime;
      row.contender = wait == 40.0 ? "amp" : "without staging";
      row.metrics.mean_wait_s = wait;
      study.rows.push_back(row);
    }
  }
  const std::string text = ablation_text(study, Summary(study));
  EXPECT_THAT(text, testing::HasSubstr("without staging  50.0 (+25.0 %)"));
  EXPECT_THAT(text, testing::HasSubstr("as it is"));
}

}  // namespace
}  // namespace pixelfleet::simulator
