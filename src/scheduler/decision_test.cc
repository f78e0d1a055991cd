#include "scheduler/decision.h"

#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::ElementsAre;
using Kind = Decision::Kind;
using Why = Decision::Why;

Policy amp() {
  return {.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 1, .algorithm = Algorithm::amp};
}

std::vector<std::string> lines(Scheduler& scheduler) {
  std::vector<std::string> lines;
  for (const Decision& decision : scheduler.take_decisions()) {
    std::string line = std::string(name(decision.taken.kind)) + ' ' + decision.taken.gpu + ' ' + decision.taken.model;
    if (decision.taken.job) line += " for " + std::to_string(decision.taken.job->value);
    for (const ModelKey& model : decision.pushes_out) line += " pushes out " + model;
    lines.push_back(line + ": " + std::string(name(decision.why)));
  }
  return lines;
}

TEST(Decision, TellsWhichLoadPaidAndWhatItPushedOut) {
  Rig rig(amp());
  rig.scheduler.record_decisions();
  rig.gpu(0, 10);
  rig.model("a");
  rig.model("b");
  rig.submit(1, "a");
  EXPECT_THAT(lines(rig.scheduler), ElementsAre("load gpu-0 a for 1: load_pays"));
  rig.ready(1);
  EXPECT_THAT(lines(rig.scheduler), ElementsAre("run gpu-0 a for 1: warm"));
  rig.submit(2, "b");
  rig.finish(1, 1);
  EXPECT_THAT(lines(rig.scheduler), ElementsAre("load gpu-0 b for 2 pushes out a: load_pays"));
}

TEST(Decision, KnowsWhatElseCameIntoQuestion) {
  Rig rig(amp());
  rig.scheduler.record_decisions();
  rig.gpu(0, 10);
  rig.model("a");
  rig.model("b");
  rig.give(QueuePaused{});
  rig.submit(1, "a");
  rig.submit(2, "b");
  rig.give(QueueResumed{});
  const std::vector<Decision> decisions = rig.scheduler.take_decisions();
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0].taken.model, "a");
  ASSERT_EQ(decisions[0].others.size(), 1u);
  EXPECT_EQ(decisions[0].others[0].model, "b");
  EXPECT_GT(decisions[0].others[0].index, 0.0);
}

TEST(Decision, ASimplePolicyDecidesInOrder) {
  Rig rig;
  rig.scheduler.record_decisions();
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  EXPECT_THAT(lines(rig.scheduler), ElementsAre("load gpu-0 a for 1: in_order", "run gpu-0 a for 1: in_order"));
}

TEST(Decision, IsKeptOnlyOnceAskedFor) {
  Rig rig(amp());
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_TRUE(rig.scheduler.take_decisions().empty());
}

TEST(Decision, TheOldestAreDroppedWhenNobodyTakesThem) {
  Rig rig;
  rig.scheduler.record_decisions();
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  rig.finish(1, 1);
  for (int id = 2; id < 10'000; ++id) {
    rig.submit(id, "a");
    rig.finish(id, id);
  }
  const std::vector<Decision> decisions = rig.scheduler.take_decisions();
  EXPECT_LE(decisions.size(), 8192u);
  EXPECT_EQ(decisions.back().taken.job, JobId{9'999});
}

}  // namespace
}  // namespace pixelfleet::scheduler
