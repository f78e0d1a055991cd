#include "simulator/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "scheduler/cost_model.h"
#include "simulator/noise.h"
#include "simulator/testing_trace.h"
#include "simulator/trace_files.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::HasSubstr;

constexpr int kSd15 = 0;
constexpr int kSdxl = 1;
constexpr int kSd35 = 2;
constexpr int kFlux = 3;

Machine machine(std::vector<std::string> gpus, Regime regime = Regime::slow,
                Capabilities capabilities = Capabilities::ideal) {
  return Machine::make(small_trace(std::move(gpus)).machine, one_of_each_family(), regime, capabilities).value();
}

TraceJob job_of(int model, int images, double pixels) {
  TraceJob job;
  job.model = model;
  job.images = images;
  job.pixels = pixels;
  return job;
}

TEST(Machine, KnowsTheRowsThatTraceFilesMayName) {
  std::vector<TraceModel> models;
  for (const std::string_view family : kTraceFamilies) models.push_back({std::string(family), 2e9});
  const MachineSpec spec{{kTraceGpuTypes.begin(), kTraceGpuTypes.end()}, 64e9, 1e9};
  EXPECT_TRUE(Machine::make(spec, models, Regime::slow, Capabilities::ideal).has_value());
}

TEST(Machine, RunsOnePictureByOverheadAndSteps) {
  EXPECT_DOUBLE_EQ(machine({"4090-24"}).run_seconds(job_of(kSdxl, 1, 1024.0 * 1024.0), 0), 0.45 + 20 * 0.130);
}

TEST(Machine, PicturesOfABatchShareAPartOfEachStep) {
  EXPECT_DOUBLE_EQ(machine({"4090-24"}).run_seconds(job_of(kSdxl, 4, 1024.0 * 1024.0), 0),
                   0.45 * 2.5 + 20 * 0.130 * (0.08 + 0.92 * 4));
}

TEST(Machine, LargerPicturesTakeMoreThanTheirShareOfPixels) {
  EXPECT_DOUBLE_EQ(machine({"A100-40"}).run_seconds(job_of(kSd15, 1, 768.0 * 768.0), 0),
                   0.25 + 20 * 0.046 * std::pow(2.25, 1.1));
}

TEST(Machine, SlowLoadsReadAtTheDisksRateOrCopyFromHostMemory) {
  const Machine slow = machine({"4090-24", "H100-80", "V100-16"});
  EXPECT_DOUBLE_EQ(slow.load_from_host_seconds(kSdxl, 0), 2.5 + 6.9 / 2.2);
  EXPECT_DOUBLE_EQ(slow.load_from_host_seconds(kSdxl, 1), 2.5 + 6.9 / 4.95);
  EXPECT_DOUBLE_EQ(slow.load_from_disk_seconds(kSdxl, 0, 0), 9.4);
  EXPECT_DOUBLE_EQ(slow.load_from_disk_seconds(kSdxl, 2, 0), 2.5 + 6.9 / 0.99);  // the copy takes longer than the read
  EXPECT_DOUBLE_EQ(slow.load_from_disk_seconds(kFlux, 0, 0), 21.0);
}

TEST(Machine, ReadersOfOneDiskShareIt) {
  const Machine slow = machine({"4090-24"});
  EXPECT_DOUBLE_EQ(slow.load_from_disk_seconds(kSdxl, 0, 2), 2.5 + 3 * 6.9);
  EXPECT_DOUBLE_EQ(slow.stage_seconds(kSdxl, 1), 2 * 6.9);
}

TEST(Machine, ALoadThatJoinsAStagingWaitsForTheLongerOfRestAndCopy) {
  const Machine slow = machine({"4090-24"});
  EXPECT_DOUBLE_EQ(slow.load_joining_staging_seconds(kSdxl, 0, 5.0), 2.5 + 5.0);
  EXPECT_DOUBLE_EQ(slow.load_joining_staging_seconds(kSdxl, 0, 1.0), 2.5 + 6.9 / 2.2);
}

TEST(Machine, FastLoadsTakeAnSdxlToA4090InOneAndAHalfSeconds) {
  EXPECT_NEAR(machine({"4090-24"}, Regime::fast).load_from_host_seconds(kSdxl, 0), 1.5, 0.01);
}

TEST(Machine, SdcppLoadsCopyAtTheSameRateToEveryGpuAndStartAProcess) {
  const Machine measured = machine({"4090-24", "V100-16"}, Regime::sdcpp);
  EXPECT_DOUBLE_EQ(measured.load_from_host_seconds(kSdxl, 0), 0.5 + 0.7 + 6.9 / 1.1);
  EXPECT_DOUBLE_EQ(measured.load_from_host_seconds(kSdxl, 1), 0.5 + 0.7 + 6.9 / 1.1);
}

TEST(Machine, WorkersOfSdcppCostMemoryAndTheirStartOnce) {
  const Machine slow = machine({"4090-24"}, Regime::slow, Capabilities::sdcpp);
  EXPECT_DOUBLE_EQ(slow.worker_overhead_bytes(), 0.4e9);
  EXPECT_DOUBLE_EQ(slow.load_from_host_seconds(kSdxl, 0), 2.5 + 0.7 + 6.9 / 2.2);
  const Machine measured = machine({"4090-24"}, Regime::sdcpp, Capabilities::sdcpp);
  EXPECT_DOUBLE_EQ(measured.load_from_host_seconds(kSdxl, 0), 0.5 + 0.7 + 6.9 / 1.1);
}

TEST(Machine, RemoteLoadsOfTheMeanModelTakeTheHistogramsMean) {
  std::vector<TraceModel> models(2, TraceModel{"SDXL", 6.9e9});
  const MachineSpec spec{{"4090-24"}, 64e9, 1e9};
  const Machine remote = Machine::make(spec, models, Regime::remote, Capabilities::ideal).value();
  EXPECT_NEAR(remote.load_from_host_seconds(0, 0), remote_load_mean_seconds(Tier::cached), 1e-9);
  EXPECT_NEAR(remote.load_from_disk_seconds(0, 0, 3), remote_load_mean_seconds(Tier::remote), 1e-9);
}

TEST(Machine, HoldsWhatFitsWithItsWorkspace) {
  const Machine slow = machine({"V100-16", "4090-24"}, Regime::slow, Capabilities::sdcpp);
  EXPECT_FALSE(slow.fits(kSd35, 0));
  EXPECT_TRUE(slow.fits(kSdxl, 0));
  EXPECT_TRUE(slow.fits(kSd35, 1));  // 18 + 4 + 0.4 of 22.5 GB
}

TEST(Machine, TellsProductionItsOwnFormulas) {
  for (const Regime regime : {Regime::slow, Regime::fast, Regime::remote, Regime::sdcpp}) {
    const Machine true_costs = machine({"H100-80", "4090-24", "4090-24", "V100-16"}, regime);
    for (int model = 0; model < 4; ++model) {
      const scheduler::ModelFacts facts = true_costs.facts(model);
      EXPECT_EQ(facts.priors.size(), 3u);
      for (int gpu = 0; gpu < true_costs.gpu_count(); ++gpu) {
        const auto& prior = scheduler::CostModel::prior_for(facts, std::string(true_costs.gpu_type(gpu)));
        const TraceJob job = job_of(model, 3, 832.0 * 1216.0);
        scheduler::Shape shape;
        shape.pixels = 832 * 1216;
        EXPECT_NEAR(scheduler::CostModel::prior_run_seconds(prior.run, shape, 3), true_costs.run_seconds(job, gpu),
                    1e-9);
        const double bytes = static_cast<double>(facts.file_bytes);
        EXPECT_NEAR(scheduler::CostModel::prior_load_seconds(prior.load, bytes, scheduler::Tier::host, 1.0),
                    true_costs.load_from_host_seconds(model, gpu), 1e-6);
        EXPECT_NEAR(scheduler::CostModel::prior_load_seconds(prior.load, bytes, scheduler::Tier::disk,
                                                             true_costs.disk_bytes_per_second()),
                    true_costs.load_from_disk_seconds(model, gpu, 0), 1e-6);
      }
    }
  }
}

TEST(Machine, RefusesWhatItDoesNotKnowAndSaysWhatItDoes) {
  const auto gpu = Machine::make({{"9xZZZ"}, 64e9, 1e9}, one_of_each_family(), Regime::slow, Capabilities::ideal);
  ASSERT_FALSE(gpu.has_value());
  EXPECT_THAT(gpu.error().message, HasSubstr("\"9xZZZ\" is known; allowed are H100-80, "));
  const auto family = Machine::make({{"4090-24"}, 64e9, 1e9}, {{"SD9", 1e9}}, Regime::slow, Capabilities::ideal);
  ASSERT_FALSE(family.has_value());
  EXPECT_THAT(family.error().message, HasSubstr("\"SD9\" is known; allowed are SD15, SDXL, SD35L, FLUX8"));
}

}  // namespace
}  // namespace pixelfleet::simulator
