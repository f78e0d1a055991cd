// Estimates that are no numbers, zero or absurd change the order at most: jobs still start, times stay times.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "scheduler/cost_model.h"
#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::StartsWith;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class BadEstimate : public ::testing::TestWithParam<double> {};

TEST_P(BadEstimate, OfTheDiskLeavesJobsStarting) {
  Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
  policy.host_memory_bytes = 64 * kGiB;
  policy.disk_bytes_per_second = GetParam();
  Rig rig(policy);
  rig.gpu(0);
  ModelFacts model{"a", Engine::synthetic, 8 * kGiB};
  model.file_bytes = 8 * kGiB;
  rig.give(ModelKnown{model});
  EXPECT_THAT(rig.submit(1, "a"), Contains("StartWorker 1 gpu-0 a"));
  EXPECT_THAT(rig.ready(1), Contains("StartChunk 1 worker 1 job 1 [0]"));
}

TEST_P(BadEstimate, OfAModelLeavesItsJobsAndOthersStarting) {
  Rig rig({.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 1, .algorithm = Algorithm::amp});
  rig.gpu(0);
  ModelFacts model{"a", Engine::synthetic, 8 * kGiB};
  const double bad = GetParam();
  model.priors = {{"", {bad, bad, bad, bad, bad}, {bad, bad, bad}}};
  rig.give(ModelKnown{model});
  rig.model("b");
  EXPECT_THAT(rig.submit(1, "a"), Contains("StartWorker 1 gpu-0 a"));
  EXPECT_THAT(rig.ready(1), Contains("StartChunk 1 worker 1 job 1 [0]"));
  rig.submit(2, "b");
  rig.now += std::chrono::seconds{5};
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), Contains("StartWorker 2 gpu-0 b"));
}

TEST_P(BadEstimate, ThatIsRememberedStaysBetweenFactors) {
  CostModel costs;
  const ModelFacts model{"a", Engine::synthetic, 8 * kGiB};
  for (const CostRecord::Kind kind : {CostRecord::Kind::load_from_host, CostRecord::Kind::run}) {
    costs.remember({kind, kind == CostRecord::Kind::run ? "a/euler" : "a", "", GetParam(), 3.0});
    costs.remember({kind, kind == CostRecord::Kind::run ? "a/euler" : "a", "", 0.5, GetParam()});
  }
  for (const double ratio : {costs.run_ratio(model, "euler", ""), costs.load_ratio(model, "", Tier::host)}) {
    EXPECT_GT(ratio, 1e-5);
    EXPECT_LT(ratio, 1e5);
  }
  const auto learned = costs.learn_run(model, "euler", "", 3.0, 3.0);
  ASSERT_TRUE(learned);
  EXPECT_TRUE(std::isfinite(learned->log_ratio) && std::isfinite(learned->count));
}

INSTANTIATE_TEST_SUITE_P(Wild, BadEstimate,
                         ::testing::Values(0.0, -1.0, kInfinity, -kInfinity, kNan, 1e300, -1e300, 1e-300, 0.01, 100.0));

}  // namespace
}  // namespace pixelfleet::scheduler
