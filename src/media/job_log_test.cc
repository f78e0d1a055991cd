#include "media/job_log.h"

#include "base/json_full.h"
#include "media/testing.h"

namespace pixelfleet::media {
namespace {

class JobLog : public testing::Test {
 protected:
  Json line() {
    const std::string text =
        job_log_line(request_.job, images_, &request_.model, {"/out", "lab-1", from_unix_ms(1'795'508'131'250)});
    EXPECT_TRUE(text.ends_with("\n"));
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    return parse_json(text.substr(0, text.size() - 1)).value();
  }

  control::PictureRequest request_ = sample_request();
  std::vector<Image> images_;
};

TEST_F(JobLog, HasEveryKeyOfTheV17Lab) {
  const Json json = line();
  for (const char* key : {"timestamp",      "mode",          "multi_profile",   "profile_style",
                          "prompt",         "styled_prompt", "negative_prompt", "effective_negative_prompt",
                          "model_key",      "model_id",      "scheduler",       "steps",
                          "guidance_scale", "width",         "height",          "batch_size",
                          "seed_base",      "seeds",         "paths",           "error",
                          "run_dir",        "logged_at",     "instance_id"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
}

TEST_F(JobLog, ListsWhatWasPublishedInParallel) {
  Image published = request_.image;
  published.state = ImageState::published;
  Image pending = request_.image;
  pending.index = 2;
  images_ = {published, pending};
  request_.job.state = JobState::failed;
  request_.job.error = JobError{"out_of_memory", "no memory for image 3", {}};
  request_.model.hub_id = "org/tiny";
  const Json json = line();
  EXPECT_EQ(json["seeds"], Json::array({42}));
  EXPECT_EQ(json["paths"], Json::array({"/out/run_20261124_091530/fox_seed42_02.png"}));
  EXPECT_EQ(json["run_dir"], "/out/run_20261124_091530");
  EXPECT_EQ(json["error"], "no memory for image 3");
  EXPECT_EQ(json["mode"], "txt2img");
  EXPECT_EQ(json["multi_profile"], false);
  EXPECT_EQ(json["profile_style"], "Photoreal");
  EXPECT_EQ(json["prompt"], "a red fox");
  EXPECT_EQ(json["styled_prompt"], "a red fox, photo");
  EXPECT_EQ(json["effective_negative_prompt"], "blurry, drawing");
  EXPECT_EQ(json["model_key"], "Tiny SD");
  EXPECT_EQ(json["model_id"], "org/tiny");
  EXPECT_EQ(json["scheduler"], "DPM++ 2M");
  EXPECT_EQ(json["guidance_scale"], 7.5);
  EXPECT_EQ(json["batch_size"], 2);
  EXPECT_EQ(json["seed_base"], 41);
  EXPECT_EQ(json["logged_at"], "2026-11-24T08:15:31.250Z");
  EXPECT_EQ(json["instance_id"], "lab-1");
  EXPECT_EQ(json["model"], "tiny");
  EXPECT_EQ(json["gpu"], "GPU-1");
  EXPECT_EQ(json["state"], "failed");
}

TEST_F(JobLog, TellsHowLongAJobWaitedAndRan) {
  request_.job.started_at = request_.job.created_at + std::chrono::milliseconds(1500);
  request_.job.finished_at = *request_.job.started_at + std::chrono::seconds(4);
  const Json json = line();
  EXPECT_EQ(json["timings"]["queued_seconds"], 1.5);
  EXPECT_EQ(json["timings"]["run_seconds"], 4.0);
  EXPECT_EQ(json["error"], nullptr);
  EXPECT_EQ(json["gpu"], nullptr);
}

TEST_F(JobLog, KnowsSweepsByTheirRunDirectory) {
  request_.job.run_dir = "multi_profiles_20261124_091530";
  EXPECT_EQ(line()["multi_profile"], true);
}

TEST_F(JobLog, StaysOneLineWhateverThePromptHolds) {
  request_.job.requested.prompt = "line one\nline two\x01 \xFF broken";
  EXPECT_EQ(line()["prompt"], "line one\nline two\x01 \uFFFD broken");
}

TEST(JobLogFile, IsAPlainNameForAnyInstance) {
  EXPECT_EQ(job_log_file("lab-1"), "jobs_lab-1.log");
  EXPECT_EQ(job_log_file("../../etc/x y"), "jobs_.._.._etc_x_y.log");
}

}  // namespace
}  // namespace pixelfleet::media
