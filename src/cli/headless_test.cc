#include <gtest/gtest.h>

#include <map>

#include "base/json_full.h"
#include "cli/generate.h"
#include "domain/job_json.h"

namespace pixelfleet::cli {
namespace {

Result<Json> job_of(std::map<std::string, std::string> values) {
  return headless_job([&](const std::string& variable) -> std::optional<std::string> {
    const auto found = values.find(variable);
    if (found == values.end()) return std::nullopt;
    return found->second;
  });
}

TEST(Headless, FollowsV17sDefaults) {
  const auto job = job_of({{"PROMPT", "a fox"}});
  ASSERT_TRUE(job);
  EXPECT_EQ((*job)["model"], "SDXL Base 1.0");
  EXPECT_EQ((*job)["profile"], "Photoreal");
  EXPECT_EQ((*job)["steps"], 26);
  EXPECT_EQ((*job)["cfg_scale"], 7.5);
  EXPECT_EQ((*job)["width"], 1024);
  EXPECT_EQ((*job)["height"], 576);
  EXPECT_EQ((*job)["count"], 4);
  EXPECT_EQ((*job)["seed"], -1);
  EXPECT_EQ((*job)["keep_mine"], false);
  EXPECT_TRUE(job_spec_from_json(*job)) << "the API's validator takes it";
}

TEST(Headless, RangeErrorsNameEveryWrongVariable) {
  const auto job = job_of({{"WIDTH", "1023"},
                           {"STEPS", "3"},
                           {"CFG_SCALE", "abc"},
                           {"SEED", "8589934592"},
                           {"BATCH_SIZE", "11"},
                           {"RUN_ALL_PROFILES", "true"},
                           {"RUN_ALL_MODELS", "true"}});
  ASSERT_FALSE(job);
  std::map<std::string, std::string> messages;
  for (const FieldError& field : job.error().fields) messages[field.field] = field.message;
  EXPECT_EQ(messages["PROMPT"], "missing");
  EXPECT_EQ(messages["WIDTH"], "not a multiple of 8");
  EXPECT_EQ(messages["STEPS"], "out of range");
  EXPECT_EQ(messages["CFG_SCALE"], "not a number");
  EXPECT_EQ(messages["SEED"], "out of range");
  EXPECT_EQ(messages["BATCH_SIZE"], "out of range");
  EXPECT_EQ(messages["RUN_ALL_MODELS"], "set together with RUN_ALL_PROFILES");
}

TEST(JobFromTexts, LeavesWhatIsNoNumberToTheValidator) {
  const Json job = job_from_texts({{"prompt", "5"}, {"steps", "12"}, {"seed", "abc"}, {"cfg_scale", "nan"}});
  EXPECT_EQ(job["prompt"], "5");
  EXPECT_EQ(job["steps"], 12);
  const auto spec = job_spec_from_json(job);
  ASSERT_FALSE(spec);
  ASSERT_EQ(spec.error().fields.size(), 2u);
  EXPECT_EQ(spec.error().fields[0].field, "cfg_scale");
  EXPECT_EQ(spec.error().fields[1].message, "not a whole number");
}

TEST(Generate, TheFilesGivenDecideTheMode) {
  EXPECT_EQ(mode_of({}), "txt2img");
  EXPECT_EQ(mode_of({{"init_image", "a.png"}}), "img2img");
  EXPECT_EQ(mode_of({{"init_image", "a.png"}, {"mask_image", "b.png"}}), "inpaint");
  EXPECT_EQ(mode_of({{"mask_image", "b.png"}}), "inpaint");  // and the server says which picture is missing
}

}  // namespace
}  // namespace pixelfleet::cli
