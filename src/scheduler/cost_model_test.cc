// What loads and runs are expected to take: the priors' formulas, and what measuring teaches.
#include "scheduler/cost_model.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace pixelfleet::scheduler {
namespace {

constexpr std::int64_t kMegapixel = 1 << 20;

ModelFacts model_of(const ModelKey& key, const std::string& family = "") {
  ModelFacts facts;
  facts.key = key;
  facts.family = family;
  return facts;
}

// --- priors ---------------------------------------------------------------------------------------------------

TEST(RunPrior, IsOverheadAndSteps) {
  const RunPrior prior{.overhead_seconds = 0.5, .step_seconds = 0.2};
  EXPECT_DOUBLE_EQ(CostModel::prior_run_seconds(prior, {.steps = 20, .pixels = kMegapixel}, 1), 0.5 + 20 * 0.2);
  EXPECT_DOUBLE_EQ(CostModel::prior_run_seconds(prior, {.steps = 30, .pixels = kMegapixel}, 1), 0.5 + 30 * 0.2);
}

TEST(RunPrior, OfFurtherPicturesIsHalfTheOverheadAndWhatTheyDoNotShare) {
  RunPrior prior{.overhead_seconds = 1.0, .step_seconds = 0.1};
  const Shape shape{.steps = 10, .pixels = kMegapixel};
  EXPECT_DOUBLE_EQ(CostModel::prior_run_seconds(prior, shape, 4), 2.5 + 4.0) << "one by one";
  prior.shared = 0.5;
  EXPECT_DOUBLE_EQ(CostModel::prior_run_seconds(prior, shape, 4), 2.5 + 0.5 + 0.5 * 4) << "half of each step at once";
}

TEST(RunPrior, GrowsWithThePicturesByItsExponent) {
  const RunPrior prior{.overhead_seconds = 0.0, .step_seconds = 0.1, .pixel_exponent = 1.5};
  EXPECT_DOUBLE_EQ(CostModel::prior_run_seconds(prior, {.steps = 10, .pixels = 4 * kMegapixel}, 1), 8.0);
}

TEST(LoadPrior, IsTheStartAndTheSlowerOfDiskAndCopy) {
  const LoadPrior prior{.start_seconds = 2.0, .to_gpu_bytes_per_second = 2e9};
  EXPECT_DOUBLE_EQ(CostModel::prior_load_seconds(prior, 8e9, Tier::host, 1e9), 2.0 + 4.0);
  EXPECT_DOUBLE_EQ(CostModel::prior_load_seconds(prior, 8e9, Tier::disk, 1e9), 2.0 + 8.0);
  EXPECT_DOUBLE_EQ(CostModel::prior_load_seconds(prior, 8e9, Tier::disk, 4e9), 2.0 + 4.0);
}

TEST(Prior, IsTheFirstWhoseTypeIsAPartOfTheGpusName) {
  ModelFacts facts = model_of("a");
  facts.priors = {{"H100", {}, {}}, {"4090", {}, {}}, {"NVIDIA", {}, {}}, {"", {}, {}}};
  const auto type_for = [&](const std::string& gpu) { return CostModel::prior_for(facts, gpu).gpu_type; };
  EXPECT_EQ(type_for("NVIDIA GeForce RTX 4090"), "4090");
  EXPECT_EQ(type_for("nvidia h100 80gb"), "H100") << "in any case";
  EXPECT_EQ(type_for("NVIDIA L4"), "NVIDIA");
  EXPECT_EQ(type_for("virtual"), "");
}

TEST(Prior, OfAGpuThatNoneNamesIsTheLast) {
  ModelFacts facts = model_of("a");
  facts.priors = {{"H100", {}, {}}, {"4090", {}, {}}};
  EXPECT_EQ(CostModel::prior_for(facts, "MI300").gpu_type, "4090");
}

TEST(Prior, OfAModelWithoutAnyIsThatOfAnUnknownFamily) {
  EXPECT_EQ(CostModel::prior_for(model_of("a"), "NVIDIA H100"), builtin_priors("never heard of").at(1));
}

// --- learning -------------------------------------------------------------------------------------------------

TEST(Learning, BeginsWithThePrior) {
  const CostModel costs;
  EXPECT_DOUBLE_EQ(costs.run_ratio(model_of("a"), "euler", "H100"), 1.0);
  EXPECT_DOUBLE_EQ(costs.load_ratio(model_of("a"), "H100", Tier::disk), 1.0);
}

TEST(Learning, LeansOnTheFamilyAndThatOnThePriorWhileLittleIsKnown) {
  CostModel costs;
  const ModelFacts a = model_of("a", "sdxl");
  costs.learn_run(a, "euler", "H100", 20.0, 10.0);
  // One observation of twice: the family is at 1/3 of log 2, euler at (1 + 2/3) / 3 of it.
  EXPECT_NEAR(costs.run_ratio(a, "euler", "H100"), std::exp2(5.0 / 9.0), 1e-12);
  EXPECT_NEAR(costs.run_ratio(a, "heun", "H100"), std::exp2(1.0 / 3.0), 1e-12);
  EXPECT_NEAR(costs.run_ratio(model_of("b", "sdxl"), "euler", "H100"), std::exp2(5.0 / 9.0), 1e-12)
      << "models of a family share it";
  EXPECT_DOUBLE_EQ(costs.run_ratio(a, "euler", "4090"), 1.0);
  EXPECT_DOUBLE_EQ(costs.run_ratio(model_of("c", "flux"), "euler", "H100"), 1.0);
  EXPECT_DOUBLE_EQ(costs.run_ratio(model_of("d"), "euler", "H100"), 1.0) << "without a family it is one of its own";
}

TEST(Learning, ComesToWhatIsMeasured) {
  CostModel costs;
  const ModelFacts a = model_of("a");
  for (int i = 0; i < 200; ++i) costs.learn_run(a, "euler", "H100", 15.0, 10.0);
  EXPECT_NEAR(costs.run_ratio(a, "euler", "H100"), 1.5, 0.01);
}

TEST(Learning, FollowsAMachineThatChanges) {
  CostModel costs;
  const ModelFacts a = model_of("a");
  for (int i = 0; i < 200; ++i) costs.learn_run(a, "euler", "H100", 10.0, 10.0);
  for (int i = 0; i < 22; ++i) costs.learn_run(a, "euler", "H100", 20.0, 10.0);
  // Each one moves it by a tenth of what is missing: 1 - 0.9^22 = 0.902 of the way.
  EXPECT_NEAR(costs.run_ratio(a, "euler", "H100"), std::exp2(0.9), 0.01);
}

TEST(Learning, HoldsAnOutlierToAFactorOfThree) {
  CostModel slow;
  CostModel fast;
  const ModelFacts a = model_of("a");
  slow.learn_run(a, "euler", "H100", 1000.0, 1.0);
  fast.learn_load(a, "H100", Tier::disk, 1.0, 1000.0);
  EXPECT_NEAR(slow.run_ratio(a, "euler", "H100"), std::pow(3.0, 5.0 / 9.0), 1e-12);
  EXPECT_NEAR(fast.load_ratio(a, "H100", Tier::disk), std::pow(3.0, -5.0 / 9.0), 1e-12);
}

TEST(Learning, MeasuresAnOutlierAgainstWhatIsKnownByThen) {
  CostModel costs;
  const ModelFacts a = model_of("a");
  for (int i = 0; i < 100; ++i) costs.learn_run(a, "euler", "H100", 40.0, 10.0);
  EXPECT_NEAR(costs.run_ratio(a, "euler", "H100"), 4.0, 0.05) << "step by step it gets beyond a factor of three";
}

TEST(Learning, KeepsLoadsRunsAndTiersApart) {
  CostModel costs;
  const ModelFacts a = model_of("a");
  costs.learn_load(a, "H100", Tier::disk, 20.0, 10.0);
  EXPECT_NEAR(costs.load_ratio(a, "H100", Tier::disk), std::exp2(5.0 / 9.0), 1e-12);
  EXPECT_NEAR(costs.load_ratio(model_of("b"), "H100", Tier::disk), std::exp2(1.0 / 3.0), 1e-12)
      << "another model's loads on such a gpu";
  EXPECT_DOUBLE_EQ(costs.load_ratio(a, "H100", Tier::host), 1.0);
  EXPECT_DOUBLE_EQ(costs.load_ratio(a, "4090", Tier::disk), 1.0);
  EXPECT_DOUBLE_EQ(costs.run_ratio(a, "euler", "H100"), 1.0);
}

TEST(Learning, SaysThatAnswersMayHaveChanged) {
  CostModel costs;
  const auto before = costs.version();
  costs.learn_run(model_of("a"), "euler", "H100", 1.0, 1.0);
  EXPECT_NE(costs.version(), before);
}

class NoMeasure : public ::testing::TestWithParam<double> {};

TEST_P(NoMeasure, TeachesNothing) {
  CostModel costs;
  const ModelFacts a = model_of("a");
  const auto before = costs.version();
  EXPECT_FALSE(costs.learn_run(a, "euler", "H100", GetParam(), 10.0));
  EXPECT_FALSE(costs.learn_run(a, "euler", "H100", 10.0, GetParam()));
  EXPECT_FALSE(costs.learn_load(a, "H100", Tier::disk, GetParam(), 10.0));
  EXPECT_FALSE(costs.learn_load(a, "H100", Tier::disk, 10.0, GetParam()));
  EXPECT_EQ(costs.version(), before);
  EXPECT_DOUBLE_EQ(costs.run_ratio(a, "euler", "H100"), 1.0);
}

INSTANTIATE_TEST_SUITE_P(Learning, NoMeasure,
                         ::testing::Values(0.0, -1.0, std::numeric_limits<double>::quiet_NaN(),
                                           std::numeric_limits<double>::infinity(),
                                           -std::numeric_limits<double>::infinity()));

// --- remembering ----------------------------------------------------------------------------------------------

// Teaches, keeping the last record of each key as a store does, and makes another model of what was kept.
class Remembered {
 public:
  void run(const ModelFacts& model, const std::string& sampler, double measured) {
    keep(costs.learn_run(model, sampler, "H100", measured, 10.0));
  }
  void load(const ModelFacts& model, Tier tier, double measured) {
    keep(costs.learn_load(model, "H100", tier, measured, 10.0));
  }
  CostModel after_a_restart() const {
    CostModel again;
    for (const auto& [key, record] : records_) again.remember(record);
    return again;
  }

  CostModel costs;

 private:
  void keep(const std::optional<CostRecord>& record) {
    ASSERT_TRUE(record);
    records_[{record->kind, record->subject, record->gpu_type}] = *record;
  }
  std::map<std::tuple<CostRecord::Kind, std::string, std::string>, CostRecord> records_;
};

TEST(Remembering, GivesTheSameAnswersAfterARestart) {
  Remembered r;
  const ModelFacts a = model_of("a", "sdxl");
  const ModelFacts b = model_of("b", "sdxl");
  for (int i = 0; i < 40; ++i) {
    r.run(a, "euler", 11.0 + i % 7);
    if (i % 3 == 0) r.run(b, "heun", 25.0 - i % 5);
    if (i % 4 == 0) r.load(a, Tier::disk, 14.0);
    if (i % 8 == 0) r.load(b, Tier::host, 7.0 + i % 3);
  }
  const CostModel again = r.after_a_restart();
  for (const char* sampler : {"euler", "heun", "never used"}) {
    EXPECT_NEAR(again.run_ratio(a, sampler, "H100"), r.costs.run_ratio(a, sampler, "H100"), 1e-9) << sampler;
  }
  for (const char* key : {"a", "b", "c"}) {
    for (const Tier tier : {Tier::host, Tier::disk}) {
      EXPECT_NEAR(again.load_ratio(model_of(key), "H100", tier), r.costs.load_ratio(model_of(key), "H100", tier), 1e-9)
          << key;
    }
  }
}

TEST(Remembering, GoesOnLearningAsIfNothingHadHappened) {
  Remembered r;
  const ModelFacts a = model_of("a");
  for (int i = 0; i < 15; ++i) r.run(a, "euler", 15.0);
  CostModel again = r.after_a_restart();
  EXPECT_EQ(again.learn_run(a, "euler", "H100", 25.0, 10.0), r.costs.learn_run(a, "euler", "H100", 25.0, 10.0));
}

TEST(Remembering, TellsASamplerFromAFamilyWithASlash) {
  Remembered r;
  const ModelFacts a = model_of("a", "some/family");
  r.run(a, "euler", 20.0);
  EXPECT_NEAR(r.after_a_restart().run_ratio(a, "heun", "H100"), std::exp2(1.0 / 3.0), 1e-12);
}

}  // namespace
}  // namespace pixelfleet::scheduler
