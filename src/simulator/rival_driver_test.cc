#include "simulator/rival_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "simulator/testing_trace.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kSd15 = 0;
constexpr int kSdxl = 1;
constexpr int kSd35 = 2;
constexpr int kFlux = 3;
constexpr double kMicrosecond = 1e-6;

// The first job in line to the first idle gpu, as long as the rule allows it.
class FirstToFirst final : public Rival {
 public:
  std::function<bool(const FleetView&)> may_start = [](const FleetView&) { return true; };
  std::function<std::optional<double>(const FleetView&)> wakes = [](const FleetView&) { return std::nullopt; };

  std::optional<Order> next(const FleetView& fleet) override {
    if (fleet.waiting().empty() || !may_start(fleet)) return std::nullopt;
    for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
      if (fleet.is_idle(gpu)) return RunJob{fleet.waiting().front(), gpu};
    }
    return std::nullopt;
  }
  std::optional<double> wake_at_s(const FleetView& fleet) override { return wakes(fleet); }
};

class RivalDriverTest : public ::testing::Test {
 protected:
  Trace trace_ = small_trace({"4090-24"});
  FirstToFirst rival_;

  Result<RunRecord> drive(Rival& rival) {
    const Machine machine = Machine::make(trace_.machine, trace_.models, Regime::slow, Capabilities::ideal).value();
    World world(trace_, machine, Noise(1, Regime::slow));
    return RivalDriver(world, rival).drive();
  }
  RunRecord drive() { return drive(rival_).value(); }
};

std::vector<int> models_loaded(const RunRecord& record) {
  std::vector<int> models;
  for (const Operation& operation : record.operations) {
    if (operation.kind != Operation::Kind::run) models.push_back(operation.model);
  }
  return models;
}

TEST_F(RivalDriverTest, AJobStartsWhenItsLoadHasEnded) {
  add_job(trace_, 3.0, kSdxl);
  const RunRecord record = drive();
  const Noise noise(1, Regime::slow);
  EXPECT_NEAR(record.jobs[0].start_s, 3.0 + 9.4 * noise.load(kSdxl, 0, Tier::remote), kMicrosecond);
  EXPECT_NEAR(record.jobs[0].end_s, record.jobs[0].start_s + 3.05 * noise.run(0), kMicrosecond);
  EXPECT_DOUBLE_EQ(record.jobs[0].ideal_run_s, 3.05);
}

TEST_F(RivalDriverTest, LoadsOnceForJobsThatFollowEachOther) {
  for (int i = 0; i < 4; ++i) add_job(trace_, 0.0, kSdxl);
  EXPECT_THAT(models_loaded(drive()), ElementsAre(kSdxl));
}

TEST_F(RivalDriverTest, MakesRoomByTheLeastRecentlyUsed) {
  trace_.machine.gpus = {"A100-40"};
  // 6.9 + 17 + 18 and 4 of workspace exceed 38 GB; without the FLUX, used before the SDXL's second job, they do not.
  for (const int model : {kSdxl, kFlux, kSdxl, kSd35, kSdxl}) add_job(trace_, 0.0, model);
  EXPECT_THAT(models_loaded(drive()), ElementsAre(kSdxl, kFlux, kSd35));
}

TEST_F(RivalDriverTest, WakesTheRivalWhenItAskedForIt) {
  add_job(trace_, 0.0, kSdxl);
  rival_.may_start = [](const FleetView& fleet) { return fleet.now_s() >= 10.0; };
  rival_.wakes = [](const FleetView& fleet) { return fleet.now_s() < 10.0 ? std::optional(10.0) : std::nullopt; };
  const RunRecord record = drive();
  ASSERT_FALSE(record.operations.empty());
  EXPECT_DOUBLE_EQ(record.operations[0].start_s, 10.0);
}

TEST_F(RivalDriverTest, SaysHowManyJobsAreLeftBehind) {
  add_job(trace_, 0.0, kSdxl);
  add_job(trace_, 7.0, kSdxl);
  rival_.may_start = [](const FleetView&) { return false; };
  const auto record = drive(rival_);
  ASSERT_FALSE(record.has_value());
  EXPECT_THAT(record.error().message, HasSubstr("at 7.000 s the policy leaves 2 jobs behind"));
}

TEST_F(RivalDriverTest, EndsThoughARivalAsksToBeWokenForEver) {
  add_job(trace_, 0.0, kSdxl);
  rival_.may_start = [](const FleetView&) { return false; };
  rival_.wakes = [](const FleetView& fleet) { return fleet.now_s() + 1.0; };
  EXPECT_FALSE(drive(rival_).has_value());
}

TEST_F(RivalDriverTest, AJobThatRanOutOfMemoryRunsAgainInItsOldPlace) {
  trace_.failures.out_of_memory = 0.5;
  for (int i = 0; i < 40; ++i) add_job(trace_, 0.0, kSd15);
  const RunRecord record = drive();
  int last = 0;
  int runs = 0;
  for (const Operation& operation : record.operations) {
    if (operation.kind != Operation::Kind::run) continue;
    EXPECT_GE(operation.job, last);
    last = operation.job;
    ++runs;
  }
  EXPECT_GT(runs, 55);                                                       // 80 expected
  EXPECT_EQ(static_cast<int>(models_loaded(record).size()), runs - 40 + 1);  // each failure costs a load
}

TEST_F(RivalDriverTest, AJobOfALostGpuRunsElsewhere) {
  trace_.machine.gpus.push_back("4090-24");
  trace_.failures = {0.0, 0, 5.0, 1000.0};
  add_job(trace_, 0.0, kSdxl);
  const RunRecord record = drive();
  EXPECT_EQ(record.jobs[0].gpu, 1);
  EXPECT_DOUBLE_EQ(record.operations[0].end_s, 5.0);  // the load that was interrupted
  EXPECT_DOUBLE_EQ(record.operations[1].start_s, 5.0);
}

TEST_F(RivalDriverTest, MeasuresDecisionsOnlyWhereOneCouldBeTaken) {
  add_job(trace_, 0.0, kSdxl);
  EXPECT_GT(drive().decision_us_mean, 0.0);
  trace_.jobs.clear();
  EXPECT_EQ(drive().decision_us_max, 0.0);
}

}  // namespace
}  // namespace pixelfleet::simulator
