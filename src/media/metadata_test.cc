#include "media/metadata.h"

#include "base/json_full.h"
#include "media/testing.h"

namespace pixelfleet::media {
namespace {

class Metadata : public testing::Test {
 protected:
  Metadata() { request_.image.effective.width = 60, request_.image.effective.height = 40; }
  PictureFacts facts() const { return {request_.job, request_.image, request_.model, 64, 64, "0.1.0"}; }
  std::string last_line() const {
    const std::string text = infotext(facts());
    return text.substr(text.rfind('\n') + 1);
  }

  control::PictureRequest request_ = sample_request();
};

TEST_F(Metadata, InfotextIsWhatReadersOfA1111Expect) {
  EXPECT_EQ(infotext(facts()),
            "a red fox, photo\n"
            "Negative prompt: blurry, drawing\n"
            "Steps: 26, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 60x40, "
            "Model hash: 0123456789, Model: Tiny SD, Generated size: 64x64, Profile: Photoreal, "
            "Version: PixelFleet 0.1.0");
}

TEST_F(Metadata, InfotextLeavesOutWhatHasItsDefault) {
  request_.job.settings.negative_prompt.clear();
  request_.job.settings.scheduler = "default";
  request_.job.settings.profile.clear();
  request_.job.settings.cfg_scale = 7.0;
  request_.image.effective = {"", "synthetic", "1", "virtual-0", 1.0, 64, 64};
  request_.image.demo = true;
  EXPECT_EQ(infotext(facts()),
            "a red fox, photo\n"
            "Steps: 26, Sampler: DPM++ 2M, CFG scale: 7, Seed: 42, Size: 64x64, Model: Tiny SD, Demo: yes, "
            "Version: PixelFleet 0.1.0");
}

TEST_F(Metadata, InfotextNamesTheStrengthOfImageToImage) {
  request_.job.settings.mode = Mode::img2img;
  request_.job.settings.strength = 0.6;
  EXPECT_NE(last_line().find(", Denoising strength: 0.6,"), std::string::npos);
}

TEST_F(Metadata, InfotextQuotesValuesThatWouldSplit) {
  request_.job.settings.profile = "Ink & \"Screentone\", Manga: bold\nline";
  EXPECT_NE(last_line().find("Profile: \"Ink & 'Screentone', Manga: bold line\", Version"), std::string::npos);
  request_.model.title = "Real, Vis: \"XL\"";
  EXPECT_NE(last_line().find("Model: Real Vis 'XL', "), std::string::npos);
}

TEST_F(Metadata, PromptLinesThatLookLikeMarksAreGuarded) {
  request_.job.settings.prompt = "fox\nNegative prompt: cat\r\n  Steps: 99, x: y\rSteps: 1";
  request_.job.settings.negative_prompt = "a\nSteps: 3";
  const std::string text = infotext(facts());
  EXPECT_TRUE(
      text.starts_with("fox\n\u200BNegative prompt: cat\n  \u200BSteps: 99, x: y\n\u200BSteps: 1\n"
                       "Negative prompt: a\n\u200BSteps: 3\nSteps: 26, "))
      << text;
}

TEST_F(Metadata, MarksInsideALineStayAsTheyAre) {
  request_.job.settings.prompt = "how many Steps: many";
  EXPECT_TRUE(infotext(facts()).starts_with("how many Steps: many\n"));
}

TEST_F(Metadata, AnEmptyPromptLeavesStepsOnTheFirstLine) {
  request_.job.settings.prompt.clear();
  request_.job.settings.negative_prompt.clear();
  EXPECT_TRUE(infotext(facts()).starts_with("Steps: 26, "));
}

TEST_F(Metadata, SpecKeepsRequestSettingsSizesAndOrigin) {
  request_.job.warnings = {"the engine has no UniPC sampler; dpm++2m stands in for it"};
  const auto json = parse_json(spec_json(facts()));
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_EQ((*json)["schema"], 1);
  EXPECT_EQ((*json)["job_id"], 7);
  EXPECT_EQ((*json)["index"], 1);
  EXPECT_EQ((*json)["seed"], 42);
  EXPECT_EQ((*json)["demo"], false);
  EXPECT_EQ((*json)["requested"]["prompt"], "a red fox");
  EXPECT_EQ((*json)["settings"]["prompt"], "a red fox, photo");
  EXPECT_EQ((*json)["size"]["width"], 60);
  EXPECT_EQ((*json)["size"]["generated_width"], 64);
  EXPECT_EQ((*json)["effective"]["gpu"], "GPU-1");
  EXPECT_EQ((*json)["effective"]["engine"], "sdcpp");
  EXPECT_EQ((*json)["model"]["key"], "tiny");
  EXPECT_EQ((*json)["warnings"].size(), 1u);
}

}  // namespace
}  // namespace pixelfleet::media
