#include "control/model_facts.h"

#include <gtest/gtest.h>

#include "scheduler/cost_model.h"

namespace pixelfleet::control {
namespace {

using scheduler::CostModel;
using scheduler::Tier;

TEST(ModelFacts, ADemoModelTakesWhatItsEngineWillTake) {
  Model model;
  model.key = "demo-city";
  model.engine = "synthetic";
  model.family = "demo";
  model.memory_bytes = 6LL << 30;
  model.parts.push_back({PartRole::checkpoint, "/models/demo", 1000, ""});
  model.demo = DemoTraits{6.0, 0.06, "city", ""};
  const scheduler::ModelFacts facts = facts_of(model, 10.0);
  EXPECT_EQ(facts.engine, scheduler::Engine::synthetic);
  EXPECT_EQ(facts.memory_bytes, 6LL << 30);
  EXPECT_EQ(facts.file_bytes, 0) << "nothing to stage";
  const scheduler::CostPrior& prior = CostModel::prior_for(facts, "any gpu");
  EXPECT_NEAR(CostModel::prior_load_seconds(prior.load, 0.0, Tier::host, 1e9), 0.6, 0.15);
  // 3 pictures of 20 steps of 6 ms, whatever their size.
  scheduler::Shape shape;
  shape.steps = 20;
  shape.pixels = 64 * 64;
  EXPECT_NEAR(CostModel::prior_run_seconds(prior.run, shape, 3), 3 * 0.12, 0.1);
  EXPECT_EQ(CostModel::prior_run_seconds(prior.run, shape, 3), [&] {
    shape.pixels = 2048 * 2048;
    return CostModel::prior_run_seconds(prior.run, shape, 3);
  }());
}

TEST(ModelFacts, ARealModelTakesWhatItsFamilyTakes) {
  Model model;
  model.key = "xl";
  model.engine = "sdcpp";
  model.family = "sdxl";
  model.memory_bytes = 10'000;
  model.workspace_bytes = 3'000;
  model.parts.push_back({PartRole::checkpoint, "/models/xl", 6'000, ""});
  model.parts.push_back({PartRole::vae, "/models/vae", 500, ""});
  const scheduler::ModelFacts facts = facts_of(model, 10.0);
  EXPECT_EQ(facts.engine, scheduler::Engine::sdcpp);
  EXPECT_EQ(facts.workspace_bytes, 3'000);
  EXPECT_EQ(facts.file_bytes, 6'500);
  EXPECT_EQ(facts.family, "sdxl");
  EXPECT_EQ(facts.priors, scheduler::builtin_priors("sdxl")) << "the time scale is the demo models' alone";
}

TEST(ModelFacts, WhatWasLearnedComesBackAsItWas) {
  using Kind = scheduler::CostRecord::Kind;
  for (const Kind kind : {Kind::load_from_host, Kind::load_from_disk, Kind::run}) {
    const scheduler::CostRecord record{kind, "subject", "H100", 0.5, 3.0};
    EXPECT_EQ(record_of(learned_from(record)), record);
  }
  EXPECT_FALSE(record_of({"of a later program", "subject", "H100", 0.5, 3.0}));
}

}  // namespace
}  // namespace pixelfleet::control
