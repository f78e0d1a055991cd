// Which durations teach the cost model, and what is done with what it learned.
#include <gmock/gmock.h>

#include <cmath>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const auto kNothing = Not(Contains(StartsWith("RememberCost")));

// Models of 8 GB whose load takes 2 s and 8 s of reading (4 s of copying from host memory), and whose picture takes
// 1 s and 19 s of steps. Gpus of 24 GiB.
class Durations : public ::testing::Test {
 protected:
  Durations() {
    policy.host_memory_bytes = 64 * kGiB;
    rig.give(PolicyChanged{policy});
    rig.gpu(0);
    know("a");
  }
  void know(const ModelKey& key, const std::string& family = "", std::int64_t memory_bytes = 8'000'000'000) {
    ModelFacts model{key, Engine::synthetic, memory_bytes};
    model.file_bytes = 8'000'000'000;
    model.family = family;
    const RunPrior run{.overhead_seconds = 1.0, .step_seconds = 0.95};
    const LoadPrior load{.start_seconds = 2.0, .to_gpu_bytes_per_second = 2e9, .lora_seconds = 3.0};
    model.priors = {{"", run, load}};
    rig.give(ModelKnown{model});
  }
  Rig::Lines submit(std::int64_t id, const ModelKey& model, const std::string& loras = "") {
    JobFacts facts;
    facts.id = JobId{id};
    facts.model = model;
    facts.shape.sampler = "euler";
    facts.shape.loras = loras;
    return rig.submit(facts);
  }
  void pass(int elapsed_seconds) { rig.now += seconds{elapsed_seconds}; }
  Rig::Lines ends(std::int64_t chunk, ChunkOutcome outcome = ChunkOutcome::done) {
    if (outcome == ChunkOutcome::done) rig.made(chunk, 0);
    return rig.ended(chunk, outcome, outcome == ChunkOutcome::failed ? "bad_request" : "");
  }

  Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
  Rig rig{policy};
};

TEST_F(Durations, OfALoadFromTheDiskTeachTheModelsLoads) {
  submit(1, "a");
  pass(20);  // twice the 10 s that were expected
  EXPECT_THAT(rig.ready(1), Contains("RememberCost 1 a  log ratio 0.693147 count 1.000"));
}

TEST_F(Durations, OfALoadFromHostMemoryTeachOnlyThose) {
  rig.give(ModelStaged{"a"});
  submit(1, "a");
  pass(3);  // half of 6 s
  EXPECT_THAT(rig.ready(1), Contains("RememberCost 0 a  log ratio -0.693147 count 1.000"));
}

TEST_F(Durations, OfARunTeachTheFamilysRunsWithTheSampler) {
  know("b", "sdxl");
  submit(1, "b");
  rig.ready(1);
  pass(40);  // twice the 20 s
  EXPECT_THAT(ends(1), Contains("RememberCost 2 sdxl/euler  log ratio 0.693147 count 1.000"));
}

TEST_F(Durations, OfSeveralPicturesAreWeighedAgainstThoseOfAll) {
  JobFacts facts;
  facts.id = JobId{1};
  facts.model = "a";
  facts.missing = {0, 1, 2};
  facts.shape.sampler = "euler";
  rig.submit(facts);
  rig.ready(1);
  pass(118);  // twice 2 + 57
  for (const int index : {0, 1, 2}) rig.made(1, index);
  EXPECT_THAT(rig.ended(1), Contains("RememberCost 2 a/euler  log ratio 0.693147 count 1.000"));
}

TEST_F(Durations, OfAColdJobCountItsLoadAndItsRunApart) {
  submit(1, "a");
  pass(10);
  EXPECT_THAT(rig.ready(1), Contains("RememberCost 1 a  log ratio 0.000000 count 1.000"));
  pass(20);
  EXPECT_THAT(ends(1), Contains("RememberCost 2 a/euler  log ratio 0.000000 count 1.000"));
}

TEST_F(Durations, OfFailuresTeachNothing) {
  submit(1, "a");
  submit(2, "a");
  submit(3, "a");
  rig.ready(1);
  pass(40);
  EXPECT_THAT(ends(1, ChunkOutcome::failed), kNothing);
  rig.cancel(2);
  pass(40);
  EXPECT_THAT(ends(2, ChunkOutcome::cancelled), kNothing);
  pass(40);
  EXPECT_THAT(rig.ended(3), kNothing) << "without its picture";
}

TEST_F(Durations, OfAWorkerThatDiedTeachNothing) {
  submit(1, "a");
  pass(40);
  EXPECT_THAT(rig.lost(1), kNothing);
  pass(40);
  rig.give(TimerFired{});
  rig.ready(2);
  pass(40);
  EXPECT_THAT(rig.lost(2), kNothing);
}

TEST_F(Durations, OfALoadBesideARunTeachNothing) {
  know("b");
  rig.give(ModelStaged{"b"});
  submit(1, "a");
  rig.ready(1);
  EXPECT_THAT(submit(2, "b"), Contains("StartWorker 2 gpu-0 b"));
  pass(20);
  EXPECT_THAT(rig.ready(2), kNothing);
}

TEST_F(Durations, OfALoadThatSharedTheDiskTeachNothing) {
  rig.gpu(1);
  know("b");
  submit(1, "a");
  submit(2, "b");
  pass(30);
  EXPECT_THAT(rig.ready(2), kNothing);
  EXPECT_THAT(rig.ready(1), Contains(StartsWith("RememberCost 1 a"))) << "it began alone";
}

TEST_F(Durations, OfALoadThatJoinedAReadingTeachNothing) {
  know("b", "", 24'000'000'000);  // nothing fits beside it
  submit(1, "a");
  rig.ready(1);
  EXPECT_THAT(submit(2, "b"), Contains("StageModel b"));
  pass(20);
  EXPECT_THAT(ends(1), Contains("StartWorker 2 gpu-0 b"));
  pass(4);
  EXPECT_THAT(rig.ready(2), kNothing);
}

TEST_F(Durations, OfARunThatBeganWithAnotherLoraSetTeachNothing) {
  submit(1, "a", "style");
  rig.ready(1);
  pass(23);
  EXPECT_THAT(ends(1), kNothing) << "the worker had none";
  submit(2, "a", "style");
  pass(20);
  EXPECT_THAT(ends(2), Contains("RememberCost 2 a/euler  log ratio 0.000000 count 1.000"));
  submit(3, "a");
  pass(23);
  EXPECT_THAT(ends(3), kNothing);
}

// --- what is done with it -------------------------------------------------------------------------------------

// Gpu 0 runs a job of model a, expected to end after 20 s; another one waits, gpu 1 is empty.
class NextOfABusyModel : public Durations {
 protected:
  NextOfABusyModel() {
    rig.gpu(1);
    rig.give(ModelStaged{"a"});
  }
  Rig::Lines second_job() {
    submit(1, "a");
    rig.ready(1);
    return submit(2, "a");
  }
};

TEST_F(NextOfABusyModel, GetsAGpuOfItsOwnOnceRunsHaveProvedLong) {
  // 40 s on the warm gpu, or 26 s on the other one after a load of 6 s, which has to save 3.
  EXPECT_THAT(second_job(), Contains("StartWorker 2 gpu-1 a"));
}

TEST_F(NextOfABusyModel, WaitsOnceRunsHaveProvedShort) {
  // A tenth: 4 s, or 8.
  rig.give(CostRemembered{{CostRecord::Kind::run, "a/euler", "", std::log(0.1), 1000.0}});
  EXPECT_THAT(second_job(), Not(Contains("StartWorker 2 gpu-1 a")));
}

TEST_F(NextOfABusyModel, WaitsOnceLoadsHaveProvedLong) {
  rig.give(CostRemembered{{CostRecord::Kind::load_from_host, "a", "", std::log(10.0), 1000.0}});
  EXPECT_THAT(second_job(), Not(Contains("StartWorker 2 gpu-1 a")));
}

TEST_F(NextOfABusyModel, WaitsOnceTheLoadsOfOthersHaveProvedLong) {
  // No load of a was ever seen on such a gpu: what others' took is the best guess.
  for (int other = 0; other < 30; ++other) {
    know("other");
    rig.give(CostRemembered{
        {CostRecord::Kind::load_from_host, "other " + std::to_string(other), "", std::log(20.0), 1000.0}});
  }
  EXPECT_THAT(second_job(), Not(Contains("StartWorker 2 gpu-1 a")));
}

TEST_F(NextOfABusyModel, GetsAGpuOfItsOwnWhenTheRunTellsThatItTakesLonger) {
  rig.give(CostRemembered{{CostRecord::Kind::run, "a/euler", "", std::log(0.1), 1000.0}});
  EXPECT_THAT(second_job(), Not(Contains("StartWorker 2 gpu-1 a")));
  pass(1);
  rig.give(ChunkProgress{ChunkId{1}, 0, 1, 20});  // so 20 s, not 2
  EXPECT_THAT(rig.give(TimerFired{}), Contains("StartWorker 2 gpu-1 a"));
}

TEST_F(NextOfABusyModel, BelievesNoProgressThatCannotBe) {
  rig.give(CostRemembered{{CostRecord::Kind::run, "a/euler", "", std::log(0.1), 1000.0}});
  second_job();
  pass(1);
  for (const auto& [step, steps] : {std::pair{1, 0}, {-1, 20}, {21, 20}, {0, 20}, {1, 1000}}) {
    rig.give(ChunkProgress{ChunkId{1}, 0, step, steps});
  }
  rig.give(ChunkProgress{ChunkId{9}, 0, 1, 20});
  EXPECT_THAT(rig.give(TimerFired{}), Not(Contains("StartWorker 2 gpu-1 a")));
}

TEST_F(Durations, LearnedBeforeARestartOfTheServerAreKept) {
  rig.gpu(1);
  rig.give(CostRemembered{{CostRecord::Kind::run, "a/euler", "", std::log(0.1), 1000.0}});
  rig.give(ServerRestarted{});
  rig.give(ModelStaged{"a"});
  submit(1, "a");
  rig.ready(1);
  EXPECT_THAT(submit(2, "a"), Not(Contains("StartWorker 2 gpu-1 a")));
}

}  // namespace
}  // namespace pixelfleet::scheduler
