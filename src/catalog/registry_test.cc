#include "catalog/registry.h"

#include "catalog/testing.h"

namespace pixelfleet::catalog {
namespace {

class Registry : public testing::Test {
 protected:
  Registry() {
    write_file(checkpoint_, safetensors(sd1_shapes()));
    write_file(taesd_, safetensors(taesd_shapes()));
  }
  RegisteredModel tiny() const {
    return {"Tiny: \"SD\" #1", {{PartRole::checkpoint, checkpoint_}, {PartRole::taesd, taesd_}}};
  }

  const ScratchDirectory scratch_;
  const std::string file_ = scratch_ / "data/models.yaml";
  const std::string checkpoint_ = scratch_ / "models dir/sd1.safetensors";
  const std::string taesd_ = scratch_ / "models dir/taesd.safetensors";
};

TEST_F(Registry, RemembersWhatWasAdded) {
  EXPECT_TRUE(load_registry(file_).value().empty());
  const auto added = add_model(file_, tiny());
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ(added->key, "tiny-sd-1");
  EXPECT_EQ(added->state, ModelState::installed);
  EXPECT_EQ(load_registry(file_).value(), std::vector{tiny()});
}

TEST_F(Registry, AddsTheSameTwiceWithoutChange) {
  ASSERT_TRUE(add_model(file_, tiny()));
  ASSERT_TRUE(add_model(file_, tiny()));
  EXPECT_EQ(load_registry(file_)->size(), 1u);
}

TEST_F(Registry, RefusesANameThatIsTaken) {
  ASSERT_TRUE(add_model(file_, tiny()));
  RegisteredModel other = tiny();
  other.parts.pop_back();
  const auto conflict = add_model(file_, other);
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().code, ErrorCode::conflict);
  other.name = "demo landscape";
  EXPECT_EQ(add_model(file_, other).error().code, ErrorCode::conflict);
}

TEST_F(Registry, WritesNothingForFilesThatCannotBeUsed) {
  RegisteredModel model{"X", {{PartRole::checkpoint, scratch_ / "none.safetensors"}}};
  EXPECT_EQ(add_model(file_, model).error().code, ErrorCode::not_found);
  write_file(scratch_ / "pickle.safetensors", "PK\x03\x04 torch");
  model.parts = {{PartRole::checkpoint, scratch_ / "pickle.safetensors"}};
  const auto refused = add_model(file_, model);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("run code"), std::string::npos);
  model.name = "bad\nname";
  EXPECT_EQ(add_model(file_, model).error().fields.at(0).field, "name");
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(Registry, RemovesByNameOrKey) {
  ASSERT_TRUE(add_model(file_, tiny()));
  EXPECT_EQ(remove_model(file_, "tiny-sd-2").error().code, ErrorCode::not_found);
  ASSERT_TRUE(remove_model(file_, "TINY-SD-1"));
  EXPECT_TRUE(load_registry(file_).value().empty());
  EXPECT_TRUE(std::filesystem::exists(checkpoint_));
}

TEST_F(Registry, TellsTheLineThatIsBroken) {
  write_file(file_, "models:\n  - name: A\n    parts: {chekpoint: /a}\n");
  const auto models = load_registry(file_);
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, ErrorCode::corrupt);
  EXPECT_NE(models.error().message.find("models.yaml:3:"), std::string::npos) << models.error().message;
  write_file(file_, "models: [\n");
  EXPECT_FALSE(load_registry(file_));
  write_file(file_, "- x\n");
  EXPECT_FALSE(load_registry(file_));
}

TEST(ParsePart, TakesRoleAndFile) {
  EXPECT_EQ(parse_part("taesd=/a=b.safetensors").value(), (PartFile{PartRole::taesd, "/a=b.safetensors"}));
  for (const char* bad : {"", "taesd", "taesd=", "=file", "unet=file"}) {
    EXPECT_EQ(parse_part(bad).error().fields.at(0).field, "part") << bad;
  }
}

}  // namespace
}  // namespace pixelfleet::catalog
