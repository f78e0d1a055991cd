#include <gtest/gtest.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using Kind = WaitingReason::Kind;

Policy amp() {
  return {.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 1, .algorithm = Algorithm::amp};
}

Policy one_gpu() { return {.multi_gpu = false, .max_gpus = 1, .single_gpu = "", .resident_limit = 2}; }

// A run takes `run_s`, a load `load_s`.
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

WaitingReason why(const Rig& rig, std::int64_t job) {
  const auto reason = rig.scheduler.explain(JobId{job}, rig.now);
  EXPECT_TRUE(reason.has_value()) << "job " << job << " does not wait";
  return reason.value_or(WaitingReason{});
}

TEST(Explanation, AJobWaitsForTheGpuThatHoldsItsModelThoughAnotherOneIsIdle) {
  Rig rig(amp());
  rig.gpu(0);
  rig.gpu(1);
  rig.give(ModelKnown{model("a", 10.0, 60.0)});
  rig.submit(1, "a");
  rig.ready(1);
  rig.now += std::chrono::seconds{4};
  rig.submit(2, "a");
  const WaitingReason reason = why(rig, 2);
  EXPECT_EQ(reason.kind, Kind::waits_for_warm_gpu);
  EXPECT_EQ(reason.gpu->uuid, "gpu-0");
  EXPECT_NEAR(*reason.ready_in_s, 6.0, 0.01);
  EXPECT_NEAR(*reason.load_s, 60.0, 0.01);
  EXPECT_TRUE(reason.pushes_out.empty());
}

TEST(Explanation, NamesWhatALoadElsewhereWouldPushOutAndWhoWaitsForThat) {
  Rig rig(amp());
  rig.gpu(0, 10);
  rig.gpu(1, 10);
  rig.give(ModelKnown{model("a", 40.0, 60.0)});
  rig.give(ModelKnown{model("b", 20.0, 60.0)});
  rig.submit(1, "a");
  rig.submit(2, "b");
  rig.ready(1);
  rig.ready(2);
  rig.submit(3, "a");
  for (const int id : {4, 5, 6}) rig.submit(id, "b");
  const WaitingReason reason = why(rig, 3);
  EXPECT_EQ(reason.kind, Kind::waits_for_warm_gpu);
  EXPECT_EQ(reason.gpu->index, 0);
  EXPECT_NEAR(*reason.load_s, 20.0 + 60.0, 0.01);
  EXPECT_EQ(reason.pushes_out, std::vector<ModelKey>{"b"});
  EXPECT_EQ(reason.jobs_waiting, 3);
}

TEST(Explanation, CountsTheJobsThatTheGpuTakesFirst) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  rig.ready(1);
  for (const int id : {2, 3, 4}) rig.submit(id, "a");
  rig.submit_urgent(5, "a");
  EXPECT_EQ(why(rig, 5).kind, Kind::runs_next);
  EXPECT_EQ(why(rig, 2).jobs_ahead, 1);
  const WaitingReason last = why(rig, 4);
  EXPECT_EQ(last.kind, Kind::behind_jobs);
  EXPECT_EQ(last.jobs_ahead, 3);
  EXPECT_EQ(last.own_jobs_ahead, 3);
}

TEST(Explanation, ALoadUnderWayIsNamed) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  rig.now += std::chrono::seconds{2};
  const WaitingReason reason = why(rig, 1);
  EXPECT_EQ(reason.kind, Kind::model_loading);
  EXPECT_NEAR(*reason.ready_in_s, 3.0, 0.01);
}

TEST(Explanation, ABusyFleetIsNamedWithTheFirstFreeGpu) {
  Rig rig(amp());
  rig.gpu(0, 10);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.give(ModelKnown{model("b", 10.0, 7.0)});
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "b");
  const WaitingReason reason = why(rig, 2);
  EXPECT_EQ(reason.kind, Kind::waits_for_gpu);
  EXPECT_NEAR(*reason.ready_in_s, 10.0, 0.01);
  EXPECT_NEAR(*reason.load_s, 7.0, 0.01);
  EXPECT_EQ(reason.pushes_out, std::vector<ModelKey>{"a"});
}

TEST(Explanation, AJobThatWasMovedInFrontIsNamed) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "a");
  rig.submit(3, "a");
  rig.give(JobMoved{JobId{3}, JobId{2}});
  const WaitingReason reason = why(rig, 2);
  EXPECT_EQ(reason.kind, Kind::behind_moved_job);
  EXPECT_EQ(reason.other, JobId{3});
}

TEST(Explanation, AGpuWhoseWorkerDiedIsTriedAgainLater) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  rig.lost(1, Blame::none);
  const WaitingReason reason = why(rig, 1);
  EXPECT_EQ(reason.kind, Kind::backing_off);
  EXPECT_EQ(reason.gpu->index, 0);
  EXPECT_NEAR(*reason.ready_in_s, 0.2, 0.001);
}

TEST(Explanation, WithOneGpuTheJobsInFrontAreCounted) {
  Rig rig(one_gpu());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  for (const int id : {1, 2, 3}) rig.submit(id, "a");
  EXPECT_EQ(why(rig, 1).kind, Kind::model_loading);
  EXPECT_NEAR(*why(rig, 1).ready_in_s, 5.0, 0.01);
  EXPECT_EQ(why(rig, 3).kind, Kind::strict_order);
  EXPECT_EQ(why(rig, 3).jobs_ahead, 2);
  rig.ready(1);
  EXPECT_EQ(why(rig, 2).kind, Kind::runs_next);
  EXPECT_NEAR(*why(rig, 2).ready_in_s, 10.0, 0.01);
}

TEST(Explanation, HeldJobsSayWhy) {
  Rig rig(amp());
  rig.gpu(0, 6);
  rig.gpu(1, 10);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit_pinned(1, "a", "gpu-1");
  rig.submit(2, "a");
  rig.give(JobHeld{JobId{2}, HeldReason::user});
  rig.give(GpuLost{"gpu-1"});
  EXPECT_EQ(why(rig, 2).kind, Kind::held);
  EXPECT_EQ(why(rig, 2).held, HeldReason::user);
  EXPECT_EQ(why(rig, 1).kind, Kind::no_gpu_fits);
  EXPECT_EQ(why(rig, 1).largest_bytes, 0);
  EXPECT_EQ(why(rig, 1).needed_bytes, 8 * kGiB);
}

TEST(Explanation, AJobThatRunsHasNone) {
  Rig rig(amp());
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  rig.ready(1);
  EXPECT_FALSE(rig.scheduler.explain(JobId{1}, rig.now));
  EXPECT_FALSE(rig.scheduler.explain(JobId{7}, rig.now));
}

TEST(Excerpt, HoldsWhatRunsAndTheFirstJobsOfTheQueue) {
  Rig rig(amp());
  rig.gpu(0);
  rig.give(ModelKnown{model("a", 10.0, 5.0)});
  rig.submit(1, "a");
  rig.ready(1);
  for (int id = 2; id <= 9; ++id) rig.submit(id, "a");
  const std::string before = rig.scheduler.durable_digest();
  Scheduler excerpt = rig.scheduler.excerpt(3);
  EXPECT_EQ(rig.scheduler.durable_digest(), before);
  const auto reasons = excerpt.explain_all(rig.now);
  ASSERT_EQ(reasons.size(), 3u);
  EXPECT_TRUE(reasons.contains(JobId{2}) && reasons.contains(JobId{4}));
  const auto next = excerpt.step(ChunkEnded{ChunkId{1}, ChunkOutcome::cancelled, {}}, rig.now);
  EXPECT_FALSE(next.empty());
}

TEST(Explanations, AJobThatOnlyAClosedGpuCouldTakeNamesIt) {
  Rig rig;
  rig.gpu(0, 8);
  rig.gpu(1, 24);
  rig.model("large", 20);
  rig.give(GpuClosed{"gpu-1", GpuClosed::Workers::finish});
  rig.submit(1, "large");
  const auto reason = rig.scheduler.explain(JobId{1}, rig.now);
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->kind, WaitingReason::Kind::gpu_closed);
  EXPECT_EQ(reason->gpu->uuid, "gpu-1");
  EXPECT_EQ(to_english(*reason),
            "gpu 1 could take it, but gets no work for now; see that gpu for why, and to use it anyway");
}

}  // namespace
}  // namespace pixelfleet::scheduler
