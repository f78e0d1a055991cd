#include "simulator/production_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulator/testing_trace.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;

constexpr int kSd15 = 0;
constexpr int kSdxl = 1;
constexpr int kFlux = 3;
constexpr double kMicrosecond = 1e-6;

class ProductionDriverTest : public ::testing::Test {
 protected:
  Trace trace_ = small_trace({"4090-24"});
  scheduler::Policy policy_;

  RunRecord drive() {
    const Machine machine = Machine::make(trace_.machine, trace_.models, Regime::slow, Capabilities::ideal).value();
    World world(trace_, machine, Noise(1, Regime::slow));
    auto record = ProductionDriver(world, policy_).drive();
    EXPECT_TRUE(record.has_value()) << record.error().message;
    return record ? *record : RunRecord{};
  }
};

TEST_F(ProductionDriverTest, LoadsAndRunsAJobAtTheWorldsTimes) {
  add_job(trace_, 3.0, kSdxl, 2);
  const RunRecord record = drive();
  const Noise noise(1, Regime::slow);
  EXPECT_NEAR(record.jobs[0].start_s, 3.0 + 9.4 * noise.load(kSdxl, 0, Tier::remote), kMicrosecond);
  EXPECT_NEAR(record.jobs[0].end_s - record.jobs[0].start_s, (0.45 * 1.5 + 20 * 0.130 * 1.92) * noise.run(0),
              kMicrosecond);
}

TEST_F(ProductionDriverTest, TheV18RuleReloadsForEveryAlternation) {
  policy_.algorithm = scheduler::Algorithm::v18;
  for (int i = 0; i < 6; ++i) add_job(trace_, i * 1.0, i % 2 == 0 ? kSdxl : kFlux);
  const RunRecord record = drive();
  std::vector<int> loaded;
  for (const Operation& operation : record.operations) {
    if (operation.kind != Operation::Kind::run) loaded.push_back(operation.model);
  }
  EXPECT_THAT(loaded, ElementsAre(kSdxl, kFlux, kSdxl, kFlux, kSdxl, kFlux));
}

TEST_F(ProductionDriverTest, AmpServesAModelsJobsTogether) {
  for (int i = 0; i < 6; ++i) add_job(trace_, i * 1.0, i % 2 == 0 ? kSdxl : kFlux);
  int loads = 0;
  for (const Operation& operation : drive().operations) loads += operation.kind != Operation::Kind::run ? 1 : 0;
  EXPECT_EQ(loads, 2);
}

TEST(DescribedMachine, TellingItsStepsChangesNothingWhereThereIsNothingToChoose) {
  MachineDescription description;
  description.gpus = {24e9};
  DescribedModel model;
  model.told.key = "demo";
  model.told.memory_bytes = 4'000'000'000;
  model.costs.run = {.overhead_seconds = 0.1, .step_seconds = 0.05, .pixel_exponent = 0.0, .shared = 0.0};
  model.costs.load = {.start_seconds = 3.0, .lora_seconds = 0.0};
  model.told.priors = {model.costs};
  description.models = {model};
  Trace trace;
  trace.models.resize(1);
  add_job(trace, 0.0, 0, 3);
  add_job(trace, 1.0, 0, 1);
  add_job(trace, 1.0, 0, 4);
  for (const Telling telling : {Telling{}, Telling{0.05, 0.25}, Telling{0.001, 0.0}}) {
    description.telling = telling;
    const Machine machine(description);
    World world(trace, machine, Noise(1, Noise::Spread{}));
    const auto record = ProductionDriver(world, {}).drive();
    ASSERT_TRUE(record.has_value()) << record.error().message;
    // The shortest first: one picture of 1 s and 0.1 s beside; three of 1 s and 0.2 s; four of 1 s and 0.25 s.
    EXPECT_NEAR(record->jobs[1].end_s, 3.0 + 1.1, 1e-4);
    EXPECT_NEAR(record->jobs[0].end_s, 4.1 + 3.2, 1e-4);
    EXPECT_NEAR(record->jobs[2].end_s, 7.3 + 4.25, 1e-4);
  }
}

TEST_F(ProductionDriverTest, FailuresBlameNobody) {
  trace_.machine.gpus.push_back("4090-24");
  trace_.failures = {0.3, 0, 30.0, 90.0};
  for (int i = 0; i < 60; ++i) add_job(trace_, i * 2.0, i % 3 == 0 ? kSd15 : kSdxl, 1 + i % 4);
  for (const JobRecord& job : drive().jobs) EXPECT_GT(job.end_s, job.start_s);
}

TEST_F(ProductionDriverTest, IsTheSameEveryTime) {
  trace_.machine.gpus.push_back("A100-40");
  for (int i = 0; i < 80; ++i) add_job(trace_, i * 3.0, (i * i) % 4, 1 + i % 3);
  const RunRecord first = drive();
  const RunRecord second = drive();
  ASSERT_EQ(first.operations.size(), second.operations.size());
  for (std::size_t i = 0; i < first.operations.size(); ++i) {
    EXPECT_EQ(first.operations[i].start_s, second.operations[i].start_s);
    EXPECT_EQ(first.operations[i].gpu, second.operations[i].gpu);
    EXPECT_EQ(first.operations[i].job, second.operations[i].job);
  }
}

}  // namespace
}  // namespace pixelfleet::simulator
