// What the store's tests share: a directory that goes with the test, and nouns with every field filled in.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/format.h"
#include "control/ports.h"
#include "store/store.h"

namespace pixelfleet::store {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pixelfleet_store_XXXXXX").native();
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Instant at(std::int64_t ms) { return from_unix_ms(1'790'000'000'000 + ms); }

// Tests open many stores: the reserve for a full disk is written only where it is the subject.
inline Options small_options() {
  Options options;
  options.ballast_bytes = 0;
  return options;
}

inline std::unique_ptr<Store> open_store(const std::filesystem::path& directory, Options options = small_options()) {
  auto store = Store::open(directory, std::move(options));
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}

inline control::InsertRun make_run(std::int64_t id) { return {{RunId(id), format("run_{}", id), at(id)}}; }

inline Image make_image(std::int64_t id, const Job& job, int index) {
  Image image;
  image.id = ImageId(id);
  image.job_id = job.id;
  image.index = index;
  image.seed = job.seed_base + index;
  image.path = format("{}/job{}_{:02}.png", job.run_dir, job.id.value, index + 1);
  image.demo = true;
  image.effective.width = 512;
  image.effective.height = 384;
  return image;
}

// Image ids are 1000 * job id + index.
inline control::InsertJob make_job(std::int64_t id, std::int64_t run_id, int count = 1) {
  Job job;
  job.id = JobId(id);
  job.run_id = RunId(run_id);
  job.run_dir = format("run_{}", run_id);
  job.requested.prompt = format("a red fox \"{}\"\nin the snow ❄", id);
  job.requested.negative_prompt = "blurry";
  job.requested.model = "demo-landscape";
  job.requested.profile = "Photoreal";
  job.requested.width = 512;
  job.requested.cfg_scale = 6.5;
  job.requested.count = count;
  job.requested.priority = Priority::interactive;
  job.requested.rank = -1.25;
  job.requested.owner = "anna";
  job.requested.sweep_id = SweepId(7);
  job.requested.labels = {{"album", "winter"}};
  job.requested.loras = {{"ink", 0.5}};
  job.settings.prompt = job.requested.prompt + ", photo";
  job.settings.negative_prompt = "blurry, drawing";
  job.settings.model = "demo-landscape";
  job.settings.profile = "photoreal";
  job.settings.width = job.settings.generate_width = 512;
  job.settings.height = 380;
  job.settings.generate_height = 384;
  job.settings.steps = 20;
  job.settings.cfg_scale = 6.5;
  job.settings.sampler = "euler_a";
  job.settings.scheduler = "default";
  job.settings.loras = job.requested.loras;
  job.seed_base = 4'000'000'000;
  job.warnings = {"380 is generated as 384 and cropped"};
  job.created_at = at(id);
  control::InsertJob insert{job, {}};
  for (int index = 0; index < count; ++index) insert.images.push_back(make_image(1000 * id + index, job, index));
  return insert;
}

inline control::InsertChunk make_chunk(std::int64_t id, std::int64_t job_id, std::vector<int> indices) {
  return {ChunkId(id), JobId(job_id), std::move(indices), WorkerId(id + 100), "virtual-0", at(id)};
}

inline control::PublishImage make_publication(std::int64_t job_id, int index, std::int64_t attempt) {
  EffectiveImage made{"abc123", "synthetic", "1", "virtual-0", 1.5, 512, 380};
  return {JobId(job_id), index, ChunkId(attempt), 12'345, made, at(5000 + index)};
}

inline control::UpdateJob make_update(std::int64_t job_id, JobState state) {
  control::UpdateJob update;
  update.id = JobId(job_id);
  update.state = state;
  return update;
}

inline control::AppendEvent make_event(std::int64_t seq) {
  return {std::make_shared<Event>(Event{seq, "job.updated", at(seq), format("{{\"n\":{}}}", seq)})};
}

inline void expect_commit(Store& store, const std::vector<control::Change>& changes) {
  const auto done = store.commit(changes);
  EXPECT_TRUE(done) << done.error().message;
}

inline void expect_same(const Job& actual, const Job& expected) {
  EXPECT_EQ(actual.id, expected.id);
  EXPECT_EQ(actual.run_id, expected.run_id);
  EXPECT_EQ(actual.state, expected.state);
  EXPECT_EQ(actual.held_reason, expected.held_reason);
  EXPECT_EQ(actual.requested, expected.requested);
  EXPECT_EQ(actual.settings, expected.settings);
  EXPECT_EQ(actual.seed_base, expected.seed_base);
  EXPECT_EQ(actual.published, expected.published);
  EXPECT_EQ(actual.worker_deaths, expected.worker_deaths);
  EXPECT_EQ(actual.cancel_requested, expected.cancel_requested);
  EXPECT_EQ(actual.error, expected.error);
  EXPECT_EQ(actual.warnings, expected.warnings);
  EXPECT_EQ(actual.run_dir, expected.run_dir);
  EXPECT_EQ(actual.created_at, expected.created_at);
  EXPECT_EQ(actual.started_at, expected.started_at);
  EXPECT_EQ(actual.finished_at, expected.finished_at);
}

inline void expect_same(const Image& actual, const Image& expected) {
  EXPECT_EQ(actual.id, expected.id);
  EXPECT_EQ(actual.job_id, expected.job_id);
  EXPECT_EQ(actual.index, expected.index);
  EXPECT_EQ(actual.state, expected.state);
  EXPECT_EQ(actual.seed, expected.seed);
  EXPECT_EQ(actual.path, expected.path);
  EXPECT_EQ(actual.bytes, expected.bytes);
  EXPECT_EQ(actual.demo, expected.demo);
  EXPECT_EQ(actual.effective.model_hash, expected.effective.model_hash);
  EXPECT_EQ(actual.effective.engine, expected.effective.engine);
  EXPECT_EQ(actual.effective.engine_version, expected.effective.engine_version);
  EXPECT_EQ(actual.effective.gpu, expected.effective.gpu);
  EXPECT_EQ(actual.effective.seconds, expected.effective.seconds);
  EXPECT_EQ(actual.effective.width, expected.effective.width);
  EXPECT_EQ(actual.effective.height, expected.effective.height);
  EXPECT_EQ(actual.published_at, expected.published_at);
}

}  // namespace pixelfleet::store
