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
