// The world on traces of a few jobs; expected times are the formulas' by hand, times the noise of job and load.
#include "simulator/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <variant>

#include "simulator/testing_trace.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr int kSd15 = 0;
constexpr int kSdxl = 1;
constexpr int kSd35 = 2;
constexpr int kFlux = 3;
constexpr double kMicrosecond = 1e-6;

const Noise kNoise(1, Regime::slow);

class WorldTest : public ::testing::Test {
 protected:
  Trace trace_ = small_trace({"4090-24", "4090-24"});

  World& world() {
    if (!world_) {
      machine_.emplace(Machine::make(trace_.machine, trace_.models, Regime::slow, Capabilities::ideal).value());
      world_.emplace(trace_, *machine_, kNoise);
    }
    return *world_;
  }
  // Moves on to the next happening, which has to be of this kind.
  template <class Kind>
  Kind expect_next() {
    const auto happening = world().next();
    EXPECT_TRUE(happening && std::holds_alternative<Kind>(*happening));
    return std::get<Kind>(happening.value());
  }
  void load_now(int gpu, int model) {
    world().load(gpu, model);
    expect_next<LoadEnded>();
  }

 private:
  std::optional<Machine> machine_;
  std::optional<World> world_;
};

TEST_F(WorldTest, ARunTakesItsPredictedTimeTimesItsJobsNoise) {
  add_job(trace_, 0.0, kSdxl, 4);
  expect_next<JobArrived>();
  load_now(0, kSdxl);
  const double began = world().now_s();
  EXPECT_THAT(world().residents(0), ElementsAre(kSdxl));
  world().run(0, 0, 4, 77);
  EXPECT_THAT(world().job_running(0), Optional(0));
  const RunEnded ended = expect_next<RunEnded>();
  EXPECT_EQ(ended.tag, 77);
  EXPECT_NEAR(world().now_s() - began, (0.45 * 2.5 + 20 * 0.130 * 3.76) * kNoise.run(0), kMicrosecond);
  EXPECT_TRUE(world().all_ended());
}

TEST_F(WorldTest, PartsOfAJobEndItTogether) {
  add_job(trace_, 0.0, kSd15, 3);
  expect_next<JobArrived>();
  load_now(0, kSd15);
  load_now(1, kSd15);
  world().run(0, 0, 2, 1);
  world().run(1, 0, 1, 2);
  expect_next<RunEnded>();
  EXPECT_FALSE(world().all_ended());
  expect_next<RunEnded>();
  EXPECT_TRUE(world().all_ended());
  const RunRecord record = world().take_record();
  EXPECT_EQ(record.jobs[0].gpu, 0);
  EXPECT_DOUBLE_EQ(record.jobs[0].end_s, world().now_s());
}

TEST_F(WorldTest, TheFirstLoadReadsTheDiskTheNextOneHostMemory) {
  EXPECT_DOUBLE_EQ(world().predicted_load_s(kSdxl, 0), 9.4);
  world().load(0, kSdxl);
  EXPECT_EQ(expect_next<LoadEnded>().source, Source::disk);
  EXPECT_NEAR(world().now_s(), 9.4 * kNoise.load(kSdxl, 0, Tier::remote), kMicrosecond);
  EXPECT_TRUE(world().is_in_host(kSdxl));
  const double began = world().now_s();
  world().load(1, kSdxl);
  EXPECT_EQ(expect_next<LoadEnded>().source, Source::host_memory);
  EXPECT_NEAR(world().now_s() - began, (2.5 + 6.9 / 2.2) * kNoise.load(kSdxl, 1, Tier::cached), kMicrosecond);
}

TEST_F(WorldTest, ASecondReaderGetsHalfTheDiskTheFirstKeepsItsRate) {
  world().load(0, kFlux);
  world().load(1, kSdxl);
  EXPECT_EQ(expect_next<LoadEnded>().model, kSdxl);
  EXPECT_NEAR(world().now_s(), (2.5 + 2 * 6.9) * kNoise.load(kSdxl, 0, Tier::remote), kMicrosecond);
  EXPECT_EQ(expect_next<LoadEnded>().model, kFlux);
  EXPECT_NEAR(world().now_s(), (4.0 + 17.0) * kNoise.load(kFlux, 0, Tier::remote), kMicrosecond);
}

TEST_F(WorldTest, ALoadJoinsTheStagingOfItsModel) {
  world().stage(kFlux);
  world().ring(10.0, 0);
  expect_next<TimerRang>();
  const double staged_s = 17.0 * kNoise.stage(kFlux, 0);
  EXPECT_NEAR(world().predicted_load_s(kFlux, 0), 4.0 + std::max(17.0 / 2.2, staged_s - 10.0), kMicrosecond);
  world().load(0, kFlux);
  expect_next<ModelRead>();
  EXPECT_NEAR(world().now_s(), staged_s, kMicrosecond);
  EXPECT_TRUE(world().is_in_host(kFlux));
  expect_next<LoadEnded>();
  EXPECT_LT(world().now_s(), 10.0 + 17.0);  // sooner than by reading it again
}

TEST_F(WorldTest, ALoadOutlivesTheStagingThatItJoined) {
  world().stage(kSdxl);
  world().load(0, kSdxl);
  world().cancel_staging(kSdxl);
  EXPECT_TRUE(world().is_being_read(kSdxl));
  expect_next<LoadEnded>();
  EXPECT_TRUE(world().is_in_host(kSdxl));
}

TEST_F(WorldTest, ALoadBesideARunIsSlowerWhileTheRunLasts) {
  add_job(trace_, 0.0, kSd15);
  expect_next<JobArrived>();
  load_now(0, kSd15);
  const double began = world().now_s();
  world().run(0, 0, 1, 0);
  world().load(0, kSdxl);
  expect_next<RunEnded>();
  const double run_s = world().now_s() - began;
  expect_next<LoadEnded>();
  const double alone_s = 9.4 * kNoise.load(kSdxl, 0, Tier::remote);
  EXPECT_NEAR(world().now_s() - began, alone_s + run_s - run_s / 1.15, kMicrosecond);
  const RunRecord record = world().take_record();
  EXPECT_EQ(record.operations.back().kind, Operation::Kind::load_behind);
}

TEST(DescribedWorld, TakesTheTimesOfItsDescriptionAndReadsNoFileWhereThereIsNone) {
  MachineDescription description;
  description.gpus = {24e9};
  description.leave_seconds = 0.5;
  DescribedModel model;
  model.told.key = "demo";
  model.told.memory_bytes = 20'000'000'000;
  model.costs.run = {.overhead_seconds = 0.1, .step_seconds = 0.5, .pixel_exponent = 0.0, .shared = 0.0};
  model.costs.load = {.start_seconds = 3.0, .to_gpu_bytes_per_second = 1e9, .lora_seconds = 0.0};
  description.models = {model};
  Trace trace;
  trace.models.resize(1);
  add_job(trace, 0.0, 0, 3);
  const Machine machine(description);
  World world(trace, machine, Noise(1, Noise::Spread{0.0, 0.0}));
  world.next();
  EXPECT_TRUE(world.is_in_host(0));
  world.load(0, 0);
  EXPECT_EQ(std::get<LoadEnded>(world.next().value()).source, Source::host_memory);
  EXPECT_NEAR(world.now_s(), 3.0, kMicrosecond);
  world.run(0, 0, 3, 1);
  world.next();
  const double ended = 3.0 + 0.1 * 2.0 + 20 * 0.5 * 3;
  EXPECT_NEAR(world.now_s(), ended, kMicrosecond);
  world.evict(0, 0);
  world.load(0, 0);
  world.next();
  EXPECT_NEAR(world.now_s(), ended + 0.5 + 3.0, kMicrosecond) << "not before the evicted one is gone";
}

TEST_F(WorldTest, CountsWeightsAndTheLargestWorkspaceOfAGpu) {
  load_now(0, kSdxl);
  EXPECT_TRUE(world().has_room(0, kSd15));   // 6.9 + 2.1 + max(3, 1.5) of 22.5
  EXPECT_FALSE(world().has_room(0, kFlux));  // 6.9 + 17 + 4
  world().evict(0, kSdxl);
  EXPECT_TRUE(world().has_room(0, kFlux));
}

TEST_F(WorldTest, DiesRatherThanOversellAGpu) {
  load_now(0, kSdxl);
  EXPECT_DEATH(world().load(0, kFlux), "needed_bytes");
}

TEST_F(WorldTest, HostMemoryDropsWhatWasUsedLeastRecently) {
  trace_.machine.host_bytes = 20e9;
  add_job(trace_, 0.0, kSd15);
  expect_next<JobArrived>();
  load_now(0, kSd15);
  load_now(1, kSdxl);
  world().run(0, 0, 1, 0);  // a use of the SD15
  expect_next<RunEnded>();
  world().evict(1, kSdxl);
  load_now(1, kFlux);
  EXPECT_THAT(world().shrink_host(), ElementsAre(kSdxl));  // 2.1 + 17 stay
  EXPECT_THAT(world().shrink_host(), IsEmpty());
}

TEST_F(WorldTest, NeverKeepsWhatIsLargerThanHostMemory) {
  trace_.machine.host_bytes = 10e9;
  load_now(0, kSd35);
  EXPECT_FALSE(world().is_in_host(kSd35));
}

TEST_F(WorldTest, OutOfMemoryEndsAChunkAtItsFirstPictureAndTakesTheModelAlong) {
  trace_.failures.out_of_memory = 1.0;
  add_job(trace_, 0.0, kSdxl, 4);
  expect_next<JobArrived>();
  load_now(0, kSdxl);
  const double began = world().now_s();
  const double whole_s = world().run(0, 0, 4, 0);
  EXPECT_EQ(expect_next<RunEnded>().outcome, RunOutcome::out_of_memory);
  EXPECT_NEAR(world().now_s() - began, whole_s / 4, kMicrosecond);
  EXPECT_THAT(world().residents(0), IsEmpty());
  EXPECT_FALSE(world().all_ended());
}

TEST_F(WorldTest, ALostGpuDropsItsRunAndComesBackEmpty) {
  trace_.failures = {0.0, 0, 28.0, 628.0};
  add_job(trace_, 0.0, kFlux);
  expect_next<JobArrived>();
  load_now(0, kFlux);
  world().run(0, 0, 1, 0);
  EXPECT_THAT(expect_next<GpuFailed>().interrupted_job, Optional(0));
  EXPECT_FALSE(world().is_up(0));
  expect_next<GpuReturned>();
  EXPECT_DOUBLE_EQ(world().now_s(), 628.0);
  EXPECT_TRUE(world().is_idle(0));
  EXPECT_THAT(world().residents(0), IsEmpty());
}

TEST_F(WorldTest, AnotherSetOfLorasThanTheLastCostsAPatch) {
  for (const int set : {1, 1, 2}) add_job(trace_, 0.0, kSdxl).lora_set = set;
  for (int job = 0; job < 3; ++job) expect_next<JobArrived>();
  load_now(0, kSdxl);
  std::vector<double> patches;
  for (int job = 0; job < 3; ++job) {
    const double seconds = world().run(0, job, 1, 0);
    patches.push_back(seconds / kNoise.run(job) - (0.45 + 20 * 0.130));
    expect_next<RunEnded>();
  }
  EXPECT_THAT(patches, ElementsAre(::testing::DoubleNear(3.0, 1e-9), ::testing::DoubleNear(0.0, 1e-9),
                                   ::testing::DoubleNear(3.0, 1e-9)));
}

TEST_F(WorldTest, AnEndComesBeforeAnArrivalOfTheSameInstant) {
  add_job(trace_, 5.0, kSdxl);
  world().ring(5.0, 0);
  expect_next<TimerRang>();
  expect_next<JobArrived>();
  EXPECT_EQ(world().next(), std::nullopt);
}

TEST_F(WorldTest, PredictsTheEndOfARunUntilItsStepsHaveToldIt) {
  add_job(trace_, 0.0, kFlux);
  expect_next<JobArrived>();
  load_now(0, kFlux);
  const double began = world().now_s();
  world().run(0, 0, 1, 0);
  EXPECT_NEAR(world().predicted_free_s(0), began + 12.8, kMicrosecond);
  world().ring(began + 2.0, 0);
  expect_next<TimerRang>();
  EXPECT_NEAR(world().predicted_free_s(0), began + 12.8 * kNoise.run(0), kMicrosecond);
}

}  // namespace
}  // namespace pixelfleet::simulator
