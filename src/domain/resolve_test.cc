#include "domain/resolve.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pixelfleet {
namespace {

Catalog small_catalog() {
  Catalog catalog;
  Model sd;
  sd.key = "sd";
  sd.title = "Stable One";
  sd.engine = "sdcpp";
  sd.defaults = {512, 512, 20, 7.0, "euler_a", "default"};
  Model gone;
  gone.key = "gone";
  gone.title = "Gone XL";
  gone.state = ModelState::not_installed;
  gone.reason = "its file is missing";
  catalog.models = {sd, gone};
  catalog.profiles = {{"none", "None / Raw", {}, "", "", {}, {}},
                      {"cinematic", "Cinematic", {"film"}, "film still", "flat", 30, "euler"}};
  return catalog;
}

JobSpec fox() {
  JobSpec spec;
  spec.prompt = "a red fox";
  return spec;
}

const FieldError* find_field(const Error& error, const std::string& field) {
  for (const FieldError& f : error.fields) {
    if (f.field == field) return &f;
  }
  return nullptr;
}

TEST(Resolve, TakesTheModelsDefaultsWhereNothingIsAsked) {
  const auto resolved = resolve(fox(), small_catalog());
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.model, "sd");
  EXPECT_EQ(resolved->settings.steps, 20);
  EXPECT_EQ(resolved->settings.sampler, "euler_a");
  EXPECT_EQ(resolved->settings.width, 512);
  EXPECT_TRUE(resolved->warnings.empty());
}

TEST(Resolve, ExplicitKeysWinOverTheProfileByDefault) {
  JobSpec spec = fox();
  spec.profile = "film";
  spec.steps = 12;
  spec.sampler = "DPM++ 2M Karras";
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.prompt, "a red fox, film still");
  EXPECT_EQ(resolved->settings.negative_prompt, "flat");
  EXPECT_EQ(resolved->settings.steps, 12);
  EXPECT_EQ(resolved->settings.sampler, "dpm++2m");
  EXPECT_EQ(resolved->settings.scheduler, "karras");
}

TEST(Resolve, TheProfilesStepsAndSamplerWinTheV17Way) {
  JobSpec spec = fox();
  spec.profile = "Cinematic";
  spec.steps = 12;
  spec.sampler = "lcm";
  spec.keep_mine = KeepMine::profile_wins;
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.steps, 30);
  EXPECT_EQ(resolved->settings.sampler, "euler");
}

TEST(Resolve, AlignsTheGeneratedSizeUpAndSaysSo) {
  JobSpec spec = fox();
  spec.width = 1024;
  spec.height = 440;
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.height, 440);
  EXPECT_EQ(resolved->settings.generate_width, 1024);
  EXPECT_EQ(resolved->settings.generate_height, 448);
  ASSERT_EQ(resolved->warnings.size(), 1u);
  EXPECT_NE(resolved->warnings[0].find("1024x448"), std::string::npos);
}

TEST(Resolve, ReportsEveryWrongFieldAtOnce) {
  JobSpec spec;
  spec.prompt = "  ";
  spec.width = 99999;
  spec.steps = 0;
  spec.cfg_scale = std::nan("");
  spec.count = 0;
  spec.sampler = "warp";
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_FALSE(resolved);
  for (const char* field : {"prompt", "width", "steps", "cfg_scale", "count", "sampler"}) {
    EXPECT_NE(find_field(resolved.error(), field), nullptr) << field;
  }
}

TEST(Resolve, SuggestsTheNearModelAndListsWhatIsInstalled) {
  JobSpec spec = fox();
  spec.model = "stable onr";
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_FALSE(resolved);
  const FieldError* model = find_field(resolved.error(), "model");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->message, "unknown model; did you mean \"Stable One\"?");
  EXPECT_EQ(model->allowed, "installed models: sd");
}

TEST(Resolve, RefusesAModelThatIsNotInstalledWithItsReason) {
  JobSpec spec = fox();
  spec.model = "Gone XL";
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_FALSE(resolved);
  EXPECT_EQ(find_field(resolved.error(), "model")->message, "its file is missing");
}

TEST(Resolve, StandsInForUniPcWithOneWarning) {
  JobSpec spec = fox();
  spec.sampler = "UniPC";
  const auto resolved = resolve(spec, small_catalog());
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.sampler, "dpm++2m");
  EXPECT_EQ(resolved->warnings.size(), 1u);
}

JobSpec fox_from(Mode mode) {
  JobSpec spec = fox();
  spec.mode = mode;
  spec.init_image = UploadId{3};
  if (mode == Mode::inpaint) spec.mask_image = UploadId{4};
  return spec;
}

TEST(Resolve, APictureIsStartedFromAsTheModeSays) {
  const auto plain = resolve(fox(), small_catalog());
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->settings.init_image || plain->settings.mask_image);

  const auto again = resolve(fox_from(Mode::img2img), small_catalog());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->settings.init_image, (InputPicture{UploadId{3}, ""}));
  EXPECT_FALSE(again->settings.mask_image);
  EXPECT_EQ(again->settings.strength, 0.6);

  JobSpec spec = fox_from(Mode::inpaint);
  spec.strength = 1.0;
  spec.mask_feather = 0;
  const auto part = resolve(spec, small_catalog());
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->settings.mask_image, (InputPicture{UploadId{4}, ""}));
  EXPECT_EQ(part->settings.strength, 1.0);
  EXPECT_EQ(part->settings.mask_feather, 0);
  spec.mask_feather.reset();
  EXPECT_EQ(resolve(spec, small_catalog())->settings.mask_feather, 4);
}

TEST(Resolve, NamesThePictureThatAModeLacksOrHasTooMany) {
  const auto complaint = [](const JobSpec& spec, const char* field) {
    const auto resolved = resolve(spec, small_catalog());
    const FieldError* error = resolved ? nullptr : find_field(resolved.error(), field);
    return error == nullptr ? std::string() : error->message;
  };
  JobSpec nothing = fox();
  nothing.mode = Mode::inpaint;
  EXPECT_EQ(complaint(nothing, "init_image"), "missing, and mode inpaint starts from it");
  EXPECT_EQ(complaint(nothing, "mask_image"), "missing, and mode inpaint starts from it");
  nothing.mode = Mode::img2img;
  EXPECT_EQ(complaint(nothing, "init_image"), "missing, and mode img2img starts from it");
  EXPECT_EQ(complaint(nothing, "mask_image"), "");
  JobSpec mask = fox_from(Mode::inpaint);
  mask.mode = Mode::img2img;
  EXPECT_EQ(complaint(mask, "mask_image"), "mode img2img takes none");
  mask.mode = Mode::txt2img;
  EXPECT_EQ(complaint(mask, "init_image"), "mode txt2img takes none");
}

TEST(Resolve, RefusesStrengthsThatWouldLeaveNothingToDo) {
  JobSpec spec = fox_from(Mode::img2img);
  for (const double strength : {0.0, 0.009, 1.01, -1.0, std::nan("")}) {
    spec.strength = strength;
    const auto resolved = resolve(spec, small_catalog());
    ASSERT_FALSE(resolved) << strength;
    EXPECT_EQ(find_field(resolved.error(), "strength")->allowed, "a number from 0.01 to 1");
  }
  spec.strength = 0.01;
  EXPECT_TRUE(resolve(spec, small_catalog()));
  spec.mask_feather = 257;
  EXPECT_FALSE(resolve(spec, small_catalog()));
}

TEST(JobSettings, AnInputSavesTheFirstSteps) {
  JobSettings settings;
  settings.steps = 10;
  settings.strength = 0.6;
  EXPECT_EQ(settings.sampled_steps(), 10);
  settings.mode = Mode::img2img;
  EXPECT_EQ(settings.sampled_steps(), 7);
  settings.strength = 1.0;
  EXPECT_EQ(settings.sampled_steps(), 10);
  settings.strength = 0.01;
  EXPECT_EQ(settings.sampled_steps(), 1);
}

TEST(Catalog, TheDefaultIsARealModelBeforeADemoOne) {
  Catalog catalog = small_catalog();
  Model demo;
  demo.key = "demo-landscape";
  demo.demo = DemoTraits{};
  catalog.models.insert(catalog.models.begin(), demo);
  EXPECT_EQ(catalog.default_model()->key, "sd");
  catalog.models.erase(catalog.models.begin() + 1);
  EXPECT_EQ(catalog.default_model()->key, "demo-landscape");
  catalog.models.clear();
  EXPECT_EQ(catalog.default_model(), nullptr);
}

}  // namespace
}  // namespace pixelfleet
