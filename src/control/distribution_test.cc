// What the loop tells the scheduler of models, jobs and the machine, and how it carries out what several gpus do at
// once.
#include <gmock/gmock.h>

#include <cmath>

#include "control/testing.h"

namespace pixelfleet::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class DistributionTest : public testing::LoopTest {
 protected:
  void SetUp() override {
    configured.multi_gpu_enabled = true;
    configured.multi_gpu_max_gpus = 8;
    configured.share = "always";
    auto changed = std::make_shared<Catalog>(*catalog);
    changed->models = {real("a", 10), real("b", 10), catalog->models.front()};
    catalog = changed;
  }
  static Model real(const ModelKey& key, int gib) {
    Model model;
    model.key = model.title = key;
    model.family = "sdxl";
    model.engine = "sdcpp";
    model.memory_bytes = gib * kGiB;
    model.workspace_bytes = 2 * kGiB;
    model.parts = {{PartRole::checkpoint, "/models/" + key, 7 * kGiB, ""}};
    return model;
  }
  void gpus(int count, GpuKind kind = GpuKind::nvidia, int gib = 24) {
    GpusSeen seen;
    for (int i = 0; i < count; ++i) seen.gpus.push_back({format("gpu-{}", i), i, "H100", kind, gib * kGiB});
    turn(std::move(seen));
  }
  JobId submit_for(const ModelKey& model, int count = 1) {
    JobSpec spec;
    spec.prompt = "fox";
    spec.model = model;
    spec.count = count;
    spec.seed = 100;
    JobId id;
    turn(SubmitJobs{{spec}, [&](const Result<SubmitReceipt>& receipt) { id = receipt->jobs.at(0).id; }});
    return id;
  }
  void ready(std::int64_t worker) { turn(WorkerIsReady{WorkerId{worker}, {}, "sdcpp", "1", 0, 0.0}); }
  void later(double seconds) { clock.at += Duration{std::llround(seconds * 1e6)}; }
  std::vector<std::int64_t> cost_rows(const std::string& kind) const {
    std::vector<std::int64_t> counts;
    for (const Change& row : store.rows) {
      const auto* cost = std::get_if<PutCost>(&row);
      if (cost != nullptr && cost->cost.kind == kind) counts.push_back(std::llround(cost->cost.count));
    }
    return counts;
  }
  std::string refusal(const std::string& changes) {
    std::string message;
    turn(ChangeSettings{
        changes, [&](const Result<LiveSettings>& answer) { message = answer ? "accepted" : answer.error().message; }});
    return message;
  }
};

// --- costs ------------------------------------------------------------------------------------------------------

TEST_F(DistributionTest, WhatLoadsAndRunsTookIsStoredAndComparedWithWhatWasExpected) {
  open();
  gpus(1);
  submit_for("demo-landscape");  // 4 s to load, 50 ms a step
  EXPECT_FALSE(loop->live()->prediction_error.load);
  later(4.1);
  ready(1);
  ASSERT_TRUE(loop->live()->prediction_error.load);
  EXPECT_NEAR(*loop->live()->prediction_error.load, 0.0, 0.01);
  EXPECT_THAT(cost_rows("load_from_host"), ElementsAre(1));
  EXPECT_FALSE(loop->live()->prediction_error.run);
  later(2 * 1.03);  // twice the 20 steps and the drawing
  hand_over(0);
  turn(ChunkIsOver{WorkerId{1}, ChunkId{1}, "done", {}});
  EXPECT_NEAR(*loop->live()->prediction_error.run, std::log(2.0), 0.01);
  EXPECT_THAT(cost_rows("run"), ElementsAre(1));
}

TEST_F(DistributionTest, WhatWasLearnedBeforeARestartIsExpectedAfterIt) {
  store.restored.costs = {{"run", "demo-landscape/default", "H100", std::log(2.0), 1000.0},
                          {"of a later program", "", "", 0.0, 1.0}};
  open();
  gpus(1);
  submit_for("demo-landscape");
  later(4.1);
  ready(1);
  later(2 * 1.03);
  hand_over(0);
  turn(ChunkIsOver{WorkerId{1}, ChunkId{1}, "done", {}});
  EXPECT_NEAR(*loop->live()->prediction_error.run, 0.0, 0.01);
}

TEST_F(DistributionTest, AnAttemptThatFailedTeachesNothing) {
  open();
  gpus(1);
  submit_for("demo-landscape");
  ready(1);
  turn(ChunkIsOver{WorkerId{1}, ChunkId{1}, "failed", {"engine_error", "no", {}}});
  EXPECT_FALSE(loop->live()->prediction_error.run);
  EXPECT_THAT(cost_rows("run"), IsEmpty());
}

// --- the machine ------------------------------------------------------------------------------------------------

TEST_F(DistributionTest, AWorkerOnAnNvidiaGpuTakesItsContextToo) {
  open();
  gpus(1, GpuKind::nvidia, 10);
  submit_for("a");
  EXPECT_THAT(workers.started, IsEmpty()) << "10 GiB and a context do not fit into 10 GiB";
  EXPECT_EQ(refusal(R"({"worker_overhead_bytes": 0})"), "accepted");
  EXPECT_THAT(workers.started, SizeIs(1));
}

TEST_F(DistributionTest, OtherKindsOfGpuHaveNoContext) {
  open();
  gpus(1, GpuKind::cpu, 10);
  submit_for("a");
  EXPECT_THAT(workers.started, SizeIs(1));
}

TEST_F(DistributionTest, ALostGpuIsShownOfflineUntilItReturns) {
  open();
  gpus(2);
  gpus(1);
  ASSERT_THAT(loop->live()->gpus, SizeIs(2));
  EXPECT_EQ(loop->live()->gpus.at(1).gpu.uuid, "gpu-1");
  EXPECT_EQ(loop->live()->gpus.at(1).state, GpuState::offline);
  EXPECT_EQ(loop->live()->gpus.at(1).health.reason, "lost");
  std::string drained;
  turn(OrderGpu{"1", OrderGpu::Wish::drain, [&](const Result<GpuStatus>& status) { drained = status->gpu.uuid; }});
  EXPECT_EQ(drained, "gpu-1") << "by its number, while that is nobody else's";
  gpus(2);
  ASSERT_THAT(loop->live()->gpus, SizeIs(2));
  EXPECT_NE(loop->live()->gpus.at(1).state, GpuState::offline);
}

TEST_F(DistributionTest, OnlyModelsThatExistCanBePinned) {
  open();
  EXPECT_THAT(refusal(R"({"models.pinned": ["a", "demo-landscap"]})"), ::testing::HasSubstr("demo-landscape"));
  EXPECT_EQ(refusal(R"({"models.pinned": ["a"]})"), "accepted");
}

TEST_F(DistributionTest, AModelThatIsNotUsedLeavesItsGpuAfterTheTimeThatIsSet) {
  configured.idle_gpu_seconds = 60;
  open();
  gpus(1);
  submit_for("demo-landscape");
  ready(1);
  hand_over(0);
  turn(ChunkIsOver{WorkerId{1}, ChunkId{1}, "done", {}});
  written(0);
  later(59.0);
  turn();
  EXPECT_EQ(count("stop worker 1"), 0);
  later(1.0);
  turn();
  EXPECT_EQ(count("stop worker 1"), 1);
  EXPECT_THAT(loop->live()->gpus.at(0).resident_models, IsEmpty());
}

// --- host memory ------------------------------------------------------------------------------------------------

class HostMemoryTest : public DistributionTest {
 protected:
  void SetUp() override {
    DistributionTest::SetUp();
    host_memory_bytes = 32 * kGiB;
  }
  // One gpu that cannot hold both: it runs "a" while a job waits for "b".
  void keep_b_waiting() {
    open();
    gpus(1, GpuKind::nvidia, 16);
    submit_for("a");
    ready(1);
    submit_for("b");
  }
};

TEST_F(HostMemoryTest, AModelThatAJobWaitsForIsReadIn) {
  keep_b_waiting();
  EXPECT_THAT(diary, Contains("stage b /models/b"));
  EXPECT_EQ(loop->live()->host_memory.staging, "b");
  EXPECT_EQ(loop->live()->host_memory.limit_bytes, 32 * kGiB);
  turn(ModelIsStaged{"b", 7 * kGiB, 7.0});
  EXPECT_FALSE(loop->live()->host_memory.staging);
  EXPECT_THAT(loop->live()->host_memory.staged, ElementsAre("b"));
  EXPECT_EQ(loop->live()->host_memory.used_bytes, 7 * kGiB);
  EXPECT_DOUBLE_EQ(*loop->live()->host_memory.disk_bytes_per_second, kGiB);
  turn(ModelIsUnstaged{"b"});
  EXPECT_THAT(loop->live()->host_memory.staged, IsEmpty());
}

TEST_F(HostMemoryTest, WhatAWorkerHasReadIsLookedFor) {
  keep_b_waiting();
  EXPECT_LT(place("start worker 1 a"), place("check a /models/a"));
  turn(ModelIsStaged{"a", 0, 0.0});
  EXPECT_THAT(loop->live()->host_memory.staged, ElementsAre("a"));
  EXPECT_FALSE(loop->live()->host_memory.disk_bytes_per_second) << "nothing was read";
}

TEST_F(HostMemoryTest, ALowerLimitLetsFilesGo) {
  keep_b_waiting();
  turn(ModelIsStaged{"b", 0, 0.0});
  EXPECT_EQ(refusal(R"({"host_memory.limit": 1000000})"), "accepted");
  EXPECT_THAT(diary, Contains("unstage b /models/b"));
  EXPECT_THAT(loop->live()->host_memory.staged, IsEmpty());
  EXPECT_EQ(loop->live()->host_memory.limit_bytes, 1'000'000);
}

TEST_F(HostMemoryTest, WithoutALimitNothingIsReadOrLookedFor) {
  configured.host_memory_limit_bytes = 0;
  keep_b_waiting();
  EXPECT_THAT(diary, Not(Contains("stage b /models/b")));
  EXPECT_THAT(diary, Not(Contains("check a /models/a")));
}

TEST_F(HostMemoryTest, DemoModelsHaveNothingToRead) {
  open();
  gpus(1);
  submit_for("demo-landscape");
  ready(1);
  EXPECT_EQ(std::count_if(diary.begin(), diary.end(), [](const auto& line) { return line.starts_with("check"); }), 0);
}

// --- several gpus at once ---------------------------------------------------------------------------------------

class SplittingTest : public DistributionTest {
 protected:
  // Four gpus that hold the model, and a job of eight pictures: four chunks.
  void split() {
    open();
    gpus(4);
    for (int i = 0; i < 4; ++i) {
      JobSpec spec;
      spec.prompt = "fox";
      spec.model = "demo-landscape";
      spec.gpu = format("gpu-{}", i);
      turn(SubmitJobs{{spec}, [](const Result<SubmitReceipt>&) {}});
      ready(workers.started.back().id.value);
      hand_over(0);
      turn(ChunkIsOver{workers.requests.back().worker, workers.requests.back().id, "done", {}});
      written(0);
    }
    workers.requests.clear();
    media.pictures.clear();
    diary.clear();
    job_ = submit_for("demo-landscape", 8);
  }
  void hand_over_of(std::size_t chunk, std::size_t item) {
    const ChunkRequest& request = workers.requests.at(chunk);
    turn(ImageArrived{request.worker, request.id, request.items.at(item).index, request.items.at(item).seed, 0.1,
                      nullptr});
  }
  void write_all() {
    for (const PictureRequest& picture : std::exchange(media.pictures, {})) {
      turn(PictureWritten{picture.worker, picture.attempt, picture.job.id, picture.image.index, 1000, {}});
    }
  }
  std::vector<int> published() const {
    std::vector<int> indices;
    for (const Change& row : store.rows) {
      const auto* image = std::get_if<PublishImage>(&row);
      if (image != nullptr && image->job_id == job_) indices.push_back(image->index);
    }
    std::sort(indices.begin(), indices.end());
    return indices;
  }

  JobId job_;
};

TEST_F(SplittingTest, EveryPictureOfAJobOnFourGpusIsPublishedOnceByItsOwnAttempt) {
  split();
  ASSERT_THAT(workers.requests, SizeIs(4));
  for (const ChunkRequest& request : workers.requests) {
    ASSERT_THAT(request.items, SizeIs(2));
    EXPECT_EQ(request.items[0].seed, 100 + request.items[0].index);
  }
  for (const GpuStatus& gpu : loop->live()->gpus) {
    EXPECT_EQ(gpu.state, GpuState::busy);
    EXPECT_EQ(gpu.job, job_);
  }
  for (std::size_t item = 0; item < 2; ++item) {
    for (std::size_t chunk = 0; chunk < 4; ++chunk) hand_over_of(chunk, item);
    write_all();
  }
  for (const ChunkRequest& request : workers.requests) turn(ChunkIsOver{request.worker, request.id, "done", {}});
  EXPECT_THAT(published(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(count(format("row job {} done", job_.value)), 1);
  EXPECT_EQ(count(format("log job {} done", job_.value)), 1);
}

TEST_F(SplittingTest, ALostWorkerCostsOnlyItsOwnPictures) {
  split();
  for (std::size_t chunk = 0; chunk < 4; ++chunk) hand_over_of(chunk, 0);
  write_all();
  const int lost = workers.requests[2].items[1].index;
  turn(WorkerIsGone{workers.requests[2].worker, {"engine_died", "signal 9", {}}, false});
  for (const std::size_t chunk : {0u, 1u, 3u}) {
    hand_over_of(chunk, 1);
    write_all();
    turn(ChunkIsOver{workers.requests[chunk].worker, workers.requests[chunk].id, "done", {}});
  }
  ASSERT_THAT(workers.requests, SizeIs(5));
  ASSERT_THAT(workers.requests[4].items, SizeIs(1));
  EXPECT_EQ(workers.requests[4].items[0].index, lost);
  hand_over_of(4, 0);
  write_all();
  EXPECT_THAT(published(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(SplittingTest, ACancelStopsEveryChunkAndEndsTheJobOnce) {
  split();
  hand_over_of(0, 0);
  turn(CancelJob{job_, [](const Result<Job>&) {}});
  for (const ChunkRequest& request : workers.requests) {
    EXPECT_EQ(count(format("cancel chunk {}", request.id.value)), 1);
  }
  for (const ChunkRequest& request : workers.requests) {
    EXPECT_EQ(count(format("row job {} cancelled", job_.value)), 0);
    turn(ChunkIsOver{request.worker, request.id, "cancelled", {}});
  }
  EXPECT_EQ(count(format("row job {} cancelled", job_.value)), 1);
  write_all();
  EXPECT_THAT(published(), SizeIs(1)) << "the picture that was handed over counts";
  EXPECT_EQ(count(format("log job {} cancelled", job_.value)), 1);
}

TEST_F(SplittingTest, ProgressIsThatOfAllChunksTogetherAndToldOfEachGpu) {
  split();
  events.clear();
  for (const ChunkRequest& request : workers.requests) {
    turn(ChunkProgressed{request.worker, request.id, request.items[0].index, Phase::sample, 10, 20});
  }
  EXPECT_DOUBLE_EQ(loop->live()->progress.at(job_).ratio, 4 * 0.5 / 8);
  std::set<std::string> told;
  for (const EventPtr& event : events) {
    if (event->type == "job.progress")
      told.insert(parse_json(event->data)->at("progress").at("gpu").get<std::string>());
  }
  EXPECT_THAT(told, SizeIs(4));
}

TEST_F(DistributionTest, AGpuThatLoadsTheNextModelWhileItRunsShowsBoth) {
  host_memory_bytes = 32 * kGiB;
  open();
  gpus(1);
  submit_for("a", 8);
  ready(1);
  turn(ModelIsStaged{"b", 0, 0.0});
  submit_for("b");
  ASSERT_THAT(workers.started, SizeIs(2)) << "b fits beside a";
  const GpuStatus& gpu = loop->live()->gpus.at(0);
  EXPECT_EQ(gpu.state, GpuState::busy);
  EXPECT_EQ(gpu.loading_model, "b");
  EXPECT_THAT(gpu.resident_models, ElementsAre("a"));
}

}  // namespace
}  // namespace pixelfleet::control
