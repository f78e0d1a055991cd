#include "scheduler/playback.h"

#include <gtest/gtest.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using std::chrono::seconds;

Policy amp() {
  return {.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 1, .algorithm = Algorithm::amp};
}

ModelFacts model(const ModelKey& key, double run_s, double load_s) {
  ModelFacts facts;
  facts.key = key;
  facts.memory_bytes = 8 * kGiB;
  CostPrior prior;
  prior.run = {.overhead_seconds = run_s, .step_seconds = 1e-6, .pixel_exponent = 1.0};
  prior.load = {.start_seconds = load_s};
  facts.priors = {prior};
  return facts;
}

double start_s(const Playback& play, std::int64_t job, Instant from) {
  const auto found = play.started().find(JobId{job});
  return found == play.started().end() ? -1.0 : static_cast<double>((found->second - from).count()) * 1e-6;
}

TEST(Playback, PlaysLoadsAndRunsAtTheirExpectedTimes) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  for (const int id : {1, 2, 3}) rig.submit(id, "a");
  rig.now += seconds{2};
  Playback play(rig.scheduler, rig.now, {});
  play.run_until_started();
  EXPECT_NEAR(start_s(play, 1, rig.now), 3.0, 0.01);
  EXPECT_NEAR(start_s(play, 2, rig.now), 13.0, 0.01);
  EXPECT_NEAR(start_s(play, 3, rig.now), 23.0, 0.01);
}

TEST(Playback, PlaysOneGpuInOrder) {
  Rig rig({.multi_gpu = false, .max_gpus = 1, .single_gpu = "", .resident_limit = 1});
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.give(ModelKnown{model("b", 10.0, 7.0)});
  rig.submit(1, "a");
  rig.submit(2, "b");
  rig.submit(3, "a");
  Playback play(rig.scheduler, rig.now, {});
  play.run_until_ended();
  EXPECT_NEAR(start_s(play, 2, rig.now), 5.0 + 10.0 + 7.0, 0.01);
  EXPECT_NEAR(start_s(play, 3, rig.now), 22.0 + 10.0 + 5.0, 0.01);
  EXPECT_NEAR(static_cast<double>((play.ended().at(JobId{3}) - rig.now).count()) * 1e-6, 47.0, 0.01);
}

TEST(Playback, LeavesTheOriginalAlone) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  const std::string before = rig.scheduler.durable_digest();
  Playback play(rig.scheduler, rig.now, {});
  play.run_until_ended();
  EXPECT_EQ(rig.scheduler.durable_digest(), before);
}

TEST(Playback, AJobAddedBehindOthersEndsAfterThem) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  Playback play(rig.scheduler, rig.now, {});
  JobFacts extra;
  extra.id = JobId{2};
  extra.model = "a";
  extra.missing = {0};
  play.submit(extra);
  play.run_until_ended();
  EXPECT_NEAR(static_cast<double>((play.ended().at(JobId{2}) - rig.now).count()) * 1e-6, 25.0, 0.01);
}

TEST(Playback, DrawsTheSameLuckForTheSameSeed) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  for (int id = 1; id <= 6; ++id) rig.submit(id, "a");
  const auto starts = [&](std::uint64_t seed) {
    Playback play(rig.scheduler, rig.now, {Playback::Luck::drawn, seed});
    play.run_until_started();
    return play.started();
  };
  EXPECT_EQ(starts(1), starts(1));
  EXPECT_NE(starts(1), starts(2));
}

TEST(Playback, HeldJobsDoNotKeepItGoing) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  rig.give(JobHeld{JobId{1}, HeldReason::user});
  Playback play(rig.scheduler, rig.now, {Playback::Luck::drawn, 1});
  play.run_until_ended();
  EXPECT_TRUE(play.started().empty());
}

TEST(Playback, StopsAtItsBound) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  for (int id = 1; id <= 50; ++id) rig.submit(id, "a");
  Playback play(rig.scheduler, rig.now, {Playback::Luck::expected, 1, 30});
  play.run_until_started();
  EXPECT_GT(play.started().size(), 2u);
  EXPECT_LT(play.started().size(), 12u);
}

}  // namespace
}  // namespace pixelfleet::scheduler
