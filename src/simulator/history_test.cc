#include "simulator/history.h"

#include <gtest/gtest.h>

namespace pixelfleet::simulator {
namespace {

Job job(std::int64_t id, std::int64_t created_at_ms, const ModelKey& model, const std::string& owner) {
  Job job;
  job.id = JobId{id};
  job.created_at = from_unix_ms(created_at_ms);
  job.requested.owner = owner;
  job.requested.count = 3;
  job.settings.model = model;
  job.settings.steps = 25;
  job.settings.generate_width = 512;
  job.settings.generate_height = 768;
  return job;
}

Catalog catalog() {
  Catalog catalog;
  Model flux;
  flux.key = "flux-dev";
  flux.family = "flux";
  flux.parts = {{PartRole::diffusion, "flux.gguf", 12'000'000'000, {}}};
  Model demo;
  demo.key = "demo-city";
  demo.family = "demo";
  demo.memory_bytes = 3'000'000'000;
  catalog.models = {flux, demo};
  return catalog;
}

TEST(History, JobsArriveAsTheyDidWhateverTheOrderOfTheRows) {
  const auto history = history_of({job(2, 65'500, "flux-dev", "b"), job(1, 60'000, "demo-city", "a")}, catalog());
  ASSERT_TRUE(history.has_value());
  const std::vector<TraceJob>& jobs = history->trace.jobs;
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].arrival_s, 0.0);
  EXPECT_EQ(jobs[1].arrival_s, 5.5);
  EXPECT_NE(jobs[0].user, jobs[1].user);
  EXPECT_EQ(jobs[1].images, 3);
  EXPECT_EQ(jobs[1].steps, 25);
  EXPECT_EQ(jobs[1].pixels, 512.0 * 768.0);
}

TEST(History, ModelsKeepTheirFamilyAndSize) {
  const auto history = history_of({job(1, 0, "flux-dev", "a"), job(2, 1, "demo-city", "a")}, catalog());
  EXPECT_EQ(history->trace.models[0].family, "FLUX8");
  EXPECT_EQ(history->trace.models[0].bytes, 12e9);
  EXPECT_EQ(history->trace.models[1].family, "SD15");
  EXPECT_EQ(history->trace.models[1].bytes, 3e9);
  EXPECT_TRUE(history->notes.empty());
}

TEST(History, AModelThatIsGoneIsAssumedAndSaidSo) {
  const auto history = history_of({job(1, 0, "gone", "a")}, catalog());
  EXPECT_EQ(history->trace.models[0].family, "SDXL");
  ASSERT_EQ(history->notes.size(), 1u);
  EXPECT_NE(history->notes[0].find("gone"), std::string::npos);
}

TEST(History, TwoLoraSetsAreTwo) {
  Job first = job(1, 0, "flux-dev", "a");
  first.settings.loras = {{"ink", 0.8}};
  Job second = job(2, 1, "flux-dev", "a");
  second.settings.loras = {{"ink", 0.5}};
  const auto history = history_of({first, second, job(3, 2, "flux-dev", "a")}, catalog());
  EXPECT_NE(history->trace.jobs[0].lora_set, history->trace.jobs[1].lora_set);
  EXPECT_EQ(history->trace.jobs[2].lora_set, 0);
}

TEST(History, WithoutJobsThereIsNone) {
  const auto history = history_of({}, catalog());
  ASSERT_FALSE(history.has_value());
  EXPECT_EQ(history.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace pixelfleet::simulator
