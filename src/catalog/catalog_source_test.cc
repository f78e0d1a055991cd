#include "catalog/catalog_source.h"

#include "catalog/known_models.h"
#include "catalog/registry.h"
#include "catalog/testing.h"

namespace pixelfleet::catalog {
namespace {

class Source : public testing::Test {
 protected:
  CatalogSource::Options options() const {
    CatalogSource::Options options;
    options.registry_file = scratch_ / "data/models.yaml";
    options.models_directory = scratch_ / "models";
    options.profile_directories = {scratch_ / "profiles"};
    options.hub_cache = scratch_ / "hub";
    return options;
  }
  std::unique_ptr<CatalogSource> open() {
    auto source = CatalogSource::open(options());
    EXPECT_TRUE(source) << source.error().message;
    return std::move(*source);
  }

  const ScratchDirectory scratch_;
};

TEST_F(Source, StartsWithDemoModelsAndTheTitlesPeopleKnow) {
  const auto source = open();
  const CatalogPtr catalog = source->current();
  EXPECT_TRUE(source->problems().empty());
  int demos = 0, missing = 0;
  for (const Model& model : catalog->models) {
    if (model.is_demo()) {
      ++demos;
      EXPECT_EQ(model.engine, "synthetic");
      EXPECT_EQ(model.state, ModelState::installed);
      EXPECT_GE(model.memory_bytes, std::int64_t{2} << 30);
      EXPECT_LE(model.memory_bytes, std::int64_t{12} << 30);
    } else {
      ++missing;
      EXPECT_EQ(model.state, ModelState::not_installed);
      EXPECT_FALSE(model.reason.empty());
      EXPECT_FALSE(model.hub_id.empty());
    }
  }
  EXPECT_EQ(demos, 12);
  EXPECT_EQ(missing, 10);
  for (const char* key : {"demo-landscape", "demo-portrait"}) {
    const Model* model = catalog->find_model(key);
    ASSERT_NE(model, nullptr);
    EXPECT_EQ(model->demo->load_seconds, 4.0);
    EXPECT_EQ(model->demo->step_seconds, 0.05);
  }
  EXPECT_NE(catalog->find_model("demo-city"), nullptr);
  EXPECT_NE(catalog->find_model("demo-abstract"), nullptr);
  ASSERT_NE(catalog->find_model("SDXL Base 1.0"), nullptr);
  EXPECT_EQ(catalog->default_model()->key, "demo-landscape");
  EXPECT_TRUE(std::is_sorted(catalog->models.begin(), catalog->models.end(),
                             [](const Model& a, const Model& b) { return a.key < b.key; }));
}

TEST_F(Source, FindsModelsInTheDirectoryAndLeavesPartsOut) {
  write_file(scratch_ / "models/My_Model.SAFETENSORS", safetensors(sd1_shapes()));
  write_file(scratch_ / "models/taesd.safetensors", safetensors(taesd_shapes()));
  write_file(scratch_ / "models/broken.safetensors", "PK\x03\x04");
  write_file(scratch_ / "models/deep/other.safetensors", safetensors(sd1_shapes()));
  write_file(scratch_ / "models/notes.txt", "x");
  std::filesystem::create_symlink("/etc/passwd", scratch_ / "models/link.safetensors");
  std::filesystem::create_symlink(scratch_ / "models", scratch_ / "models/loop.safetensors");
  const CatalogPtr catalog = open()->current();
  EXPECT_EQ(catalog->models.size(), 12u + 10u + 3u);
  const Model* mine = catalog->find_model("my-model");
  ASSERT_NE(mine, nullptr);
  EXPECT_EQ(mine->state, ModelState::installed) << mine->reason;
  EXPECT_EQ(catalog->default_model(), mine) << "a real model goes before the demo";
  ASSERT_NE(catalog->find_model("broken"), nullptr);
  EXPECT_EQ(catalog->find_model("broken")->state, ModelState::unloadable);
  EXPECT_NE(catalog->find_model("broken")->reason.find("run code"), std::string::npos);
  ASSERT_NE(catalog->find_model("link"), nullptr);
  EXPECT_EQ(catalog->find_model("link")->state, ModelState::unloadable);
  EXPECT_EQ(catalog->find_model("link")->reason.find("root"), std::string::npos) << "tells nothing of the content";
}

TEST_F(Source, RecognisesKnownModelsByTheirFileNames) {
  write_file(scratch_ / "models/sd_xl_base_1.0_0.9vae.safetensors", safetensors(sdxl_shapes()));
  const CatalogPtr catalog = open()->current();
  const Model* model = catalog->find_model("SDXL Base 1.0");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->key, "sdxl-base-1.0");
  EXPECT_EQ(model->state, ModelState::installed) << model->reason;
  EXPECT_EQ(model->hub_id, "stabilityai/stable-diffusion-xl-base-1.0");
  EXPECT_EQ(catalog->models.size(), 22u);
}

TEST_F(Source, LooksIntoTheHubCacheWithoutLoadingAnything) {
  const std::string turbo = scratch_ / "hub/models--stabilityai--sdxl-turbo/snapshots/abc/";
  write_file(turbo + "sd_xl_turbo_1.0_fp16.safetensors", safetensors(sdxl_shapes()));
  const std::string base = scratch_ / "hub/models--stabilityai--stable-diffusion-xl-base-1.0/snapshots/abc/";
  write_file(base + "unet/diffusion_pytorch_model.fp16.safetensors", "x");
  const CatalogPtr catalog = open()->current();
  EXPECT_EQ(catalog->find_model("SDXL Turbo")->state, ModelState::installed);
  EXPECT_EQ(catalog->find_model("SDXL Turbo")->defaults.steps, 4);
  EXPECT_EQ(catalog->find_model("SDXL Base 1.0")->state, ModelState::unloadable);
  EXPECT_NE(catalog->find_model("SDXL Base 1.0")->reason.find("sd_xl_base_1.0.safetensors"), std::string::npos);
}

TEST_F(Source, ShowsRegisteredModelsAlsoWhenTheirFileIsGone) {
  const std::string file = scratch_ / "elsewhere/tiny.safetensors";
  write_file(file, safetensors(sd1_shapes()));
  ASSERT_TRUE(add_model(options().registry_file, {"Tiny", {{PartRole::checkpoint, file}}}));
  const auto source = open();
  EXPECT_EQ(source->current()->find_model("tiny")->state, ModelState::installed);
  std::filesystem::remove(file);
  const CatalogPtr before = source->current();
  const CatalogPtr after = source->rescan();
  EXPECT_EQ(after->find_model("tiny")->state, ModelState::not_installed);
  EXPECT_EQ(before->find_model("tiny")->state, ModelState::installed) << "a catalogue handed out does not change";
  EXPECT_EQ(source->current(), after);
}

TEST_F(Source, GivesTwoFilesOfOneNameTwoKeys) {
  write_file(scratch_ / "models/same.safetensors", safetensors(sd1_shapes()));
  write_file(scratch_ / "models/Same!.safetensors", safetensors(sd1_shapes()));
  const CatalogPtr catalog = open()->current();
  EXPECT_NE(catalog->find_model("same"), nullptr);
  EXPECT_NE(catalog->find_model("same-2"), nullptr);
}

TEST_F(Source, ReportsABrokenRegistryAndGoesOn) {
  write_file(options().registry_file, "models: {");
  const auto source = open();
  ASSERT_EQ(source->problems().size(), 1u);
  EXPECT_NE(source->problems()[0].find("models.yaml:"), std::string::npos);
  EXPECT_EQ(source->current()->models.size(), 22u);
}

TEST(KnownByFile, MatchesWhatPublishersCallTheirFiles) {
  for (const KnownModel& known : known_models()) {
    const std::string stem = std::filesystem::path(known.single_file).stem().string();
    EXPECT_EQ(known_by_file(stem), &known) << stem;
  }
  EXPECT_EQ(known_by_file("something-else"), nullptr);
}

}  // namespace
}  // namespace pixelfleet::catalog
