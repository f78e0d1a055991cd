#include "control/trace_log.h"

#include <gtest/gtest.h>

#include "base/json_full.h"

namespace pixelfleet::control {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

Instant at(std::int64_t seconds) { return Instant{std::chrono::seconds{seconds}}; }

Gpu gpu(int index) {
  Gpu gpu;
  gpu.uuid = "GPU-" + std::to_string(index);
  gpu.index = index;
  gpu.name = "H100";
  return gpu;
}

std::vector<Json> of_phase(const TraceLog& log, const char* phase, Instant now) {
  const Json trace = parse_json(log.to_chrome_trace(now), {64u << 20, 16, 1'000'000}).value();
  std::vector<Json> found;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == phase) found.push_back(event);
  }
  return found;
}

TEST(TraceLog, ShowsALoadAndTheRunBehindItOnTracksOfTheirGpu) {
  TraceLog log;
  log.set_gpus({gpu(0), gpu(1)});
  log.load_began(WorkerId{7}, "GPU-1", "sdxl", at(10));
  log.load_ended(WorkerId{7}, "ready", at(14));
  log.run_began(ChunkId{3}, "GPU-1", "sdxl", JobId{12}, 4, at(14));
  log.run_ended(ChunkId{3}, "done", at(20));
  const std::vector<Json> slices = of_phase(log, "X", at(30));
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0]["name"], "load sdxl");
  EXPECT_EQ(slices[0]["ts"], 10 * kSecond);
  EXPECT_EQ(slices[0]["dur"], 4 * kSecond);
  EXPECT_EQ(slices[1]["name"], "job 12");
  EXPECT_EQ(slices[1]["args"], (Json{{"model", "sdxl"}, {"outcome", "done"}, {"images", 4}}));
  EXPECT_EQ(slices[0]["pid"], slices[1]["pid"]);
  EXPECT_NE(slices[0]["tid"], slices[1]["tid"]);
}

TEST(TraceLog, NamesEachGpuAndHostMemory) {
  TraceLog log;
  log.set_gpus({gpu(0)});
  log.staging_began("flux", at(1));
  log.staging_ended("flux", "staged", at(3));
  std::vector<std::string> names;
  for (const Json& event : of_phase(log, "M", at(4))) {
    if (event["name"] == "process_name") names.push_back(event["args"]["name"]);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"host memory", "gpu 0: H100"}));
}

TEST(TraceLog, WhatIsUnderWayEndsNow) {
  TraceLog log;
  log.run_began(ChunkId{3}, "GPU-1", "sdxl", JobId{12}, 1, at(14));
  const std::vector<Json> slices = of_phase(log, "X", at(20));
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0]["dur"], 6 * kSecond);
  EXPECT_EQ(slices[0]["args"]["outcome"], "under way");
}

TEST(TraceLog, ADecisionSaysWhyAndWhatElseThereWas) {
  scheduler::Decision decision;
  decision.at = at(9);
  decision.taken = {scheduler::Decision::Kind::load, "GPU-1", "sdxl", JobId{12}, 0.25};
  decision.why = scheduler::Decision::Why::load_pays;
  decision.pushes_out = {"flux"};
  decision.others = {{scheduler::Decision::Kind::run, "GPU-1", "flux", JobId{13}, 0.1}};
  TraceLog log;
  log.add({decision});
  const std::vector<Json> instants = of_phase(log, "i", at(20));
  ASSERT_EQ(instants.size(), 1u);
  EXPECT_EQ(instants[0]["name"], "decide: load sdxl for job 12");
  EXPECT_EQ(instants[0]["ts"], 9 * kSecond);
  EXPECT_EQ(instants[0]["args"]["why"], "load_pays");
  EXPECT_EQ(instants[0]["args"]["pushes_out"], Json::array({"flux"}));
  EXPECT_EQ(instants[0]["args"]["others"][0]["model"], "flux");
}

TEST(TraceLog, KeepsTheLastOnesOnly) {
  TraceLog log;
  for (int i = 0; i < 10'005; ++i) {
    log.run_began(ChunkId{i + 1}, "GPU-1", "sdxl", JobId{i + 1}, 1, at(i));
    log.run_ended(ChunkId{i + 1}, "done", at(i + 1));
  }
  const std::vector<Json> slices = of_phase(log, "X", at(20'000));
  ASSERT_EQ(slices.size(), TraceLog::kMostSpans);
  EXPECT_EQ(slices.front()["name"], "job 6");
}

TEST(TraceLog, IgnoresTheEndOfWhatNeverBegan) {
  TraceLog log;
  log.load_ended(WorkerId{1}, "stopped", at(1));
  log.run_ended(ChunkId{1}, "done", at(1));
  EXPECT_TRUE(of_phase(log, "X", at(2)).empty());
}

}  // namespace
}  // namespace pixelfleet::control
