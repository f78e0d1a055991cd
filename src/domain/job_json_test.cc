#include "domain/job_json.h"

#include <gtest/gtest.h>

#include "base/json_full.h"

namespace pixelfleet {
namespace {

Error error_of(const char* text) {
  const auto json = parse_json(text);
  EXPECT_TRUE(json) << text;
  const auto spec = job_spec_from_json(*json);
  EXPECT_FALSE(spec) << text;
  return spec ? Error{} : spec.error();
}

TEST(JobJson, EveryKeyOfASpecSurvivesTheRoundTrip) {
  JobSpec spec;
  spec.prompt = "fox";
  spec.negative_prompt = "blur";
  spec.model = "m";
  spec.profile = "p";
  spec.mode = Mode::inpaint;
  spec.width = 64;
  spec.height = 4096;
  spec.steps = 1;
  spec.cfg_scale = 0.5;
  spec.sampler = "euler";
  spec.scheduler = "karras";
  spec.seed = limits::kMaxSeed;
  spec.count = 3;
  spec.strength = 0.25;
  spec.init_image = UploadId{4};
  spec.mask_image = UploadId{5};
  spec.loras = {{"style", 0.75}};
  spec.priority = Priority::interactive;
  spec.rank = -1.5;
  spec.gpu = "GPU-1";
  spec.owner = "lab";
  spec.sweep_id = SweepId{6};
  spec.campaign_id = CampaignId{7};
  spec.allow_smaller = true;
  spec.keep_mine = KeepMine::profile_wins;
  spec.labels = {{"project", "x"}};
  const auto again = job_spec_from_json(to_json(spec));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, spec);
}

TEST(JobJson, NullMeansAbsent) {
  const auto spec = job_spec_from_json(*parse_json(R"({"prompt":"x","steps":null})"));
  ASSERT_TRUE(spec);
  EXPECT_FALSE(spec->steps);
}

TEST(JobJson, NamesTheFieldAndWhatIsAllowed) {
  const struct {
    const char* body;
    const char* field;
    const char* message;
    const char* allowed;
  } cases[] = {
      {R"({"width":0})", "width", "out of range", "a whole number from 64 to 4096"},
      {R"({"width":-1})", "width", "out of range", "a whole number from 64 to 4096"},
      {R"({"height":7})", "height", "out of range", "a whole number from 64 to 4096"},
      {R"({"height":99999})", "height", "out of range", "a whole number from 64 to 4096"},
      {R"({"width":512.5})", "width", "not a whole number", "a whole number from 64 to 4096"},
      {R"({"steps":0})", "steps", "out of range", "a whole number from 1 to 200"},
      {R"({"steps":-1})", "steps", "out of range", "a whole number from 1 to 200"},
      {R"({"steps":1000000000})", "steps", "out of range", "a whole number from 1 to 200"},
      {R"({"steps":18446744073709551615})", "steps", "out of range", "a whole number from 1 to 200"},
      {R"({"seed":"abc"})", "seed", "not a whole number", "a whole number from -1 to 4294967295"},
      {R"({"cfg_scale":"7"})", "cfg_scale", "not a number", "a number from 0 to 30"},
      {R"({"count":1001})", "count", "out of range", "a whole number from 1 to 1000"},
      {R"({"strength":0})", "strength", "out of range", "a number from 0.01 to 1"},
      {R"({"mask_feather":257})", "mask_feather", "out of range", "a whole number from 0 to 256"},
      {R"({"priority":"urgent"})", "priority", "not one of the choices", "interactive, normal, background"},
      {R"({"promt":"x"})", "promt", "unknown field; did you mean \"prompt\"?", "the job keys of the API document"},
      {R"({"loras":[{"name":"x","weight":9}]})", "loras", "not a LoRA",
       R"(a list of at most 16 objects {"name", "weight"}, weight from -4 to 4)"},
      {R"({"keep_mine":"yes"})", "keep_mine", "not a boolean", "true or false"},
      {R"([1])", "body", "not a job", "a JSON object"},
  };
  for (const auto& c : cases) {
    const Error error = error_of(c.body);
    ASSERT_EQ(error.fields.size(), 1u) << c.body;
    EXPECT_EQ(error.fields[0].field, c.field) << c.body;
    EXPECT_EQ(error.fields[0].message, c.message) << c.body;
    EXPECT_EQ(error.fields[0].allowed, c.allowed) << c.body;
  }
}

TEST(JobJson, PrefixesTheFieldsOfAListedJob) {
  const auto spec = job_spec_from_json(*parse_json(R"({"steps":0})"), "jobs[3].");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().fields[0].field, "jobs[3].steps");
}

TEST(JobJson, LongPromptsAreRefusedAndShownShort) {
  Json json = {{"prompt", std::string(8193, 'x')}};
  const auto spec = job_spec_from_json(json);
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().fields[0].message, "8193 bytes long");
  EXPECT_LE(spec.error().fields[0].value.size(), 128u);
}

TEST(JobJson, SettingsAndErrorsSurviveTheRoundTripAndCorruptRowsAreNamed) {
  JobSettings settings;
  settings.prompt = "a";
  settings.model = "m";
  settings.width = settings.generate_width = 64;
  settings.steps = 2;
  settings.loras = {{"l", 1.0}};
  const auto again = job_settings_from_json(to_json(settings));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, settings);
  const JobError error{"engine_died", "signal 11", {"line"}};
  EXPECT_EQ(*job_error_from_json(to_json(error)), error);
  EXPECT_EQ(job_settings_from_json(Json::object()).error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace pixelfleet
