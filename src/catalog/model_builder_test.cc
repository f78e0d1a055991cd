#include "catalog/model_builder.h"

#include "catalog/testing.h"

namespace pixelfleet::catalog {
namespace {

class Builder : public testing::Test {
 protected:
  std::string file(const std::string& name, const Shapes& shapes) {
    write_file(scratch_ / name, safetensors(shapes));
    return scratch_ / name;
  }
  Model build(const std::vector<PartFile>& parts) { return build_model("My Model", parts, inspector_); }

  const ScratchDirectory scratch_;
  FileInspector inspector_;
};

TEST_F(Builder, TellsFamiliesByTheirTensors) {
  const Model sd1 = build({{PartRole::checkpoint, file("sd1.safetensors", sd1_shapes())}});
  EXPECT_EQ(sd1.state, ModelState::installed) << sd1.reason;
  EXPECT_EQ(sd1.family, "sd1");
  EXPECT_EQ(sd1.engine, "sdcpp");
  EXPECT_EQ(sd1.defaults.width, 512);
  EXPECT_EQ(sd1.limits.size_multiple, 64);
  EXPECT_GT(sd1.parts.at(0).bytes, 0);
  EXPECT_GT(sd1.memory_bytes - sd1.workspace_bytes, sd1.file_bytes());
  EXPECT_GT(sd1.workspace_bytes, std::int64_t{1} << 30);

  const Model sdxl = build({{PartRole::checkpoint, file("xl.safetensors", sdxl_shapes())}});
  EXPECT_EQ(sdxl.family, "sdxl");
  EXPECT_EQ(sdxl.defaults.width, 1024);

  Shapes sd2 = sd1_shapes();
  sd2.begin()->second.back() = 4;
  sd2.at("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight") = {4, 1024};
  EXPECT_EQ(build({{PartRole::checkpoint, file("sd2.safetensors", sd2)}}).family, "sd2");

  const Model flux =
      build({{PartRole::diffusion, file("flux.safetensors", {{"double_blocks.0.img_mod.lin.weight", {4, 4}}})},
             {PartRole::vae, file("ae.safetensors", {{"decoder.conv_in.weight", {4, 4, 3, 3}}})},
             {PartRole::t5xxl, file("t5.safetensors", {{"encoder.block.0.layer.0.weight", {4, 4}}})}});
  EXPECT_EQ(flux.state, ModelState::installed) << flux.reason;
  EXPECT_EQ(flux.family, "flux");
  EXPECT_EQ(flux.limits.size_multiple, 16);
}

TEST_F(Builder, TakesATinyAutoencoderInPlaceOfAMissingVae) {
  const std::string unet = file("novae.safetensors", without(sd1_shapes(), "first_stage_model."));
  const Model alone = build({{PartRole::checkpoint, unet}});
  EXPECT_EQ(alone.state, ModelState::unloadable);
  EXPECT_NE(alone.reason.find("no VAE"), std::string::npos) << alone.reason;
  const Model both =
      build({{PartRole::checkpoint, unet}, {PartRole::taesd, file("taesd.safetensors", taesd_shapes())}});
  EXPECT_EQ(both.state, ModelState::installed) << both.reason;
}

TEST_F(Builder, SaysWhatIsMissingOrInTheWrongPlace) {
  const Model gone = build({{PartRole::checkpoint, scratch_ / "gone.safetensors"}});
  EXPECT_EQ(gone.state, ModelState::not_installed);
  EXPECT_NE(gone.reason.find("gone.safetensors"), std::string::npos);

  const std::string lora = file("lora.safetensors", {{"lora_unet_x.lora_down.weight", {4, 4}}});
  const Model not_a_model = build({{PartRole::checkpoint, lora}});
  EXPECT_EQ(not_a_model.state, ModelState::unloadable);
  EXPECT_NE(not_a_model.reason.find("a LoRA"), std::string::npos);

  const std::string sd1 = file("sd1.safetensors", sd1_shapes());
  const Model swapped = build({{PartRole::checkpoint, sd1}, {PartRole::taesd, sd1}});
  EXPECT_EQ(swapped.state, ModelState::unloadable);
  EXPECT_NE(swapped.reason.find("cannot be the taesd part"), std::string::npos);

  const Model mute = build({{PartRole::checkpoint, file("mute.safetensors", without(sd1_shapes(), "cond_stage"))}});
  EXPECT_NE(mute.reason.find("no text encoder"), std::string::npos);
  EXPECT_EQ(build({}).state, ModelState::unloadable);
}

TEST_F(Builder, LooksAgainWhenAFileChanges) {
  const std::string path = scratch_ / "sd1.safetensors";
  write_file(path, "PK\x03\x04 a pickle");
  EXPECT_EQ(build({{PartRole::checkpoint, path}}).state, ModelState::unloadable);
  write_file(path, safetensors(sd1_shapes()));
  EXPECT_EQ(build({{PartRole::checkpoint, path}}).state, ModelState::installed);
}

TEST(ModelKey, IsReadableAndStable) {
  EXPECT_EQ(model_key("SDXL Base 1.0"), "sdxl-base-1.0");
  EXPECT_EQ(model_key("  My  Model_v2! "), "my-model-v2");
  EXPECT_EQ(model_key("\u72D0"), "untitled");
}

}  // namespace
}  // namespace pixelfleet::catalog
