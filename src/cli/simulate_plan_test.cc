#include "cli/simulate_plan.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/format.h"

namespace pixelfleet::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// "FLAG: MESSAGE" of everything that is wrong.
std::vector<std::string> complaints(const SimulateArguments& arguments) {
  const auto plan = plan_simulation(arguments);
  std::vector<std::string> all;
  if (plan) return all;
  for (const FieldError& field : plan.error().fields) all.push_back(format("{}: {}", field.field, field.message));
  return all;
}

std::vector<std::string> labels(const SimulatePlan& plan) {
  std::vector<std::string> all;
  for (const auto& contender : plan.study->contenders) all.push_back(contender.label);
  return all;
}

TEST(PlanSimulation, NothingSaidIsAQuickLook) {
  const auto plan = plan_simulation({});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->study->traces, ElementsAre("T1"));
  EXPECT_THAT(plan->study->seeds, ElementsAre(300));
  EXPECT_THAT(plan->study->regimes, ElementsAre(simulator::Regime::slow));
  EXPECT_EQ(plan->study->capabilities, simulator::Capabilities::ideal);
  EXPECT_EQ(labels(*plan), simulator::policy_names());
  EXPECT_FALSE(plan->sweep);
}

TEST(PlanSimulation, AHistoryIsTheOnlyTrace) {
  SimulateArguments arguments;
  arguments.from_history = true;
  simulator::Trace history;
  history.name = "history";
  const auto plan = plan_simulation(arguments, history);
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->study->traces, ElementsAre("history"));
  EXPECT_EQ(plan->own_trace->name, "history");
}

TEST(PlanSimulation, AHistoryDoesNotGoWithOtherTraces) {
  SimulateArguments arguments;
  arguments.from_history = true;
  arguments.traces = "T1";
  EXPECT_THAT(complaints(arguments), ElementsAre(HasSubstr("--from-history: given together with --trace")));
  arguments.traces.reset();
  arguments.sustainable = true;
  EXPECT_THAT(complaints(arguments), ElementsAre(HasSubstr("--from-history: given together with --sustainable")));
}

TEST(PlanSimulation, AllMeansEveryTraceWithTheSeedsHeldBack) {
  SimulateArguments arguments;
  arguments.all = true;
  const auto plan = plan_simulation(arguments);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->study->traces.size(), 12u);
  EXPECT_THAT(plan->study->seeds, ElementsAre(300, 400, 500, 600, 700));
}

TEST(PlanSimulation, NamesMayBeInAnyCaseAndCountOnce) {
  SimulateArguments arguments;
  arguments.traces = "t8,T1,T8";
  arguments.policies = "SwarmUI,amp";
  arguments.seeds = "2";
  arguments.seed_base = "0";
  arguments.regimes = "fast";
  const auto plan = plan_simulation(arguments);
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->study->traces, ElementsAre("T8", "T1"));
  EXPECT_THAT(labels(*plan), ElementsAre("swarmui", "amp"));
  EXPECT_THAT(plan->study->seeds, ElementsAre(0, 100));
  EXPECT_THAT(plan->study->regimes, ElementsAre(simulator::Regime::fast));
}

TEST(PlanSimulation, TellsEverythingThatIsWrongAtOnce) {
  SimulateArguments arguments;
  arguments.traces = "T1,T99";
  arguments.policies = "swarm";
  arguments.regimes = "slwo";
  arguments.capabilities = "real";
  arguments.seeds = "101";
  arguments.seed_base = "0x10";
  arguments.gpus = "9xZZZ";
  EXPECT_THAT(complaints(arguments),
              testing::UnorderedElementsAre(
                  "--trace: no such name, did you mean T9?", "--policy: no such name, did you mean swarmui?",
                  "--regime: no such name, did you mean slow?", HasSubstr("--capabilities: no such name"),
                  "--seeds: out of range", "--seed-base: not a whole number",
                  "--gpus: \"9xZZZ\": neither a memory size nor a card we know"));
}

TEST(PlanSimulation, SaysWhatContradictsWhat) {
  SimulateArguments both;
  both.all = true;
  both.traces = "T1";
  EXPECT_THAT(complaints(both), ElementsAre("--all: given together with --trace"));
  SimulateArguments ablation;
  ablation.ablation = true;
  ablation.policies = "fifo";
  EXPECT_THAT(complaints(ablation), ElementsAre("--policy: given together with --ablation"));
  SimulateArguments models_only;
  models_only.models_file = "models.csv";
  EXPECT_THAT(complaints(models_only), ElementsAre("--trace-file: missing"));
  SimulateArguments lonely;
  lonely.trace_file = "jobs.csv";
  EXPECT_THAT(complaints(lonely), ElementsAre("--models-file: missing", "--machine-file: missing"));
}

TEST(PlanSimulation, ASweepAloneRunsNoTrace) {
  SimulateArguments arguments;
  arguments.sustainable = true;
  const auto alone = plan_simulation(arguments);
  ASSERT_TRUE(alone);
  EXPECT_FALSE(alone->study);
  EXPECT_TRUE(alone->sweep);
  arguments.traces = "T3";
  const auto beside = plan_simulation(arguments);
  ASSERT_TRUE(beside);
  EXPECT_TRUE(beside->study);
  EXPECT_TRUE(beside->sweep);
}

TEST(PlanSimulation, AnAblationComparesAmpWithPartsOfItself) {
  SimulateArguments arguments;
  arguments.ablation = true;
  const auto plan = plan_simulation(arguments);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->study->traces.size(), 10u);
  EXPECT_EQ(plan->study->regimes.size(), 2u);
  for (const auto& contender : plan->study->contenders) EXPECT_EQ(contender.policy, "amp") << contender.label;
}

TEST(PlanSimulation, ATraceOfFilesMayTakeItsMachineFromTheSpec) {
  const std::string folder = testing::TempDir();
  std::ofstream(folder + "mine-jobs.csv") << "arrival_s,user,model,images,steps\n0,0,0,1,20\n5,1,0,2,30\n";
  std::ofstream(folder + "mine-models.csv") << "model,family,gigabytes\n0,SDXL,6.9\n";
  SimulateArguments arguments;
  arguments.trace_file = folder + "mine-jobs.csv";
  arguments.models_file = folder + "mine-models.csv";
  arguments.gpus = "2x4090";
  const auto plan = plan_simulation(arguments);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(plan->study->traces, ElementsAre("mine-jobs"));
  EXPECT_EQ(plan->own_trace->jobs.size(), 2u);
  EXPECT_THAT(*plan->gpus_instead, ElementsAre("4090-24", "4090-24"));
}

}  // namespace
}  // namespace pixelfleet::cli
