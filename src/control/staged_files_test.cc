#include "control/staged_files.h"

#include <gmock/gmock.h>

namespace pixelfleet::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Catalog two_models() {
  Catalog catalog;
  for (const char* key : {"a", "b"}) {
    Model model;
    model.key = model.title = key;
    model.parts.push_back({PartRole::checkpoint, std::string("/models/") + key, 1000, ""});
    catalog.models.push_back(model);
  }
  return catalog;
}

TEST(StagedFiles, KnowsWhatIsThereAndWhatIsOnTheWay) {
  StagedFiles files;
  EXPECT_THAT(files.files_of(two_models(), "a").files, ElementsAre("/models/a"));
  files.begin("a");
  EXPECT_EQ(files.view(5000).staging, "a");
  EXPECT_EQ(files.view(5000).used_bytes, 0);
  files.arrived({"a", 0, 0.0});
  EXPECT_TRUE(files.contains("a"));
  EXPECT_EQ(files.view(5000).used_bytes, 1000);
  EXPECT_EQ(files.view(5000).limit_bytes, 5000);
  EXPECT_FALSE(files.view(5000).staging);
  files.left("a");
  EXPECT_THAT(files.view(5000).staged, IsEmpty());
}

TEST(StagedFiles, AModelThatIsForgottenKeepsItsFilesUntilTheyAreLetGo) {
  StagedFiles files;
  files.files_of(two_models(), "a");
  files.arrived({"a", 0, 0.0});
  EXPECT_THAT(files.files_of(Catalog{}, "a").files, ElementsAre("/models/a"));
  files.let_go("a");
  EXPECT_THAT(files.files_of(Catalog{}, "a").files, IsEmpty());
}

TEST(StagedFiles, TheDisksSpeedIsAMeanThatChangesOnlyWhenItIsClearlyAnother) {
  StagedFiles files;
  constexpr std::int64_t kGigabyte = 1'000'000'000;
  EXPECT_FALSE(files.disk_bytes_per_second());
  files.arrived({"a", 1'000, 1.0});  // too little to tell
  EXPECT_FALSE(files.disk_bytes_per_second());
  files.arrived({"a", kGigabyte, 1.0});
  EXPECT_DOUBLE_EQ(*files.disk_bytes_per_second(), 1e9);
  files.arrived({"a", kGigabyte, 1.0 / 1.2});  // 1.0 + 0.3 * 0.2 = 1.06: not clearly another
  EXPECT_DOUBLE_EQ(*files.disk_bytes_per_second(), 1e9);
  files.arrived({"a", kGigabyte, 0.5});  // 1.06 + 0.3 * 0.94
  EXPECT_NEAR(*files.disk_bytes_per_second(), 1.342e9, 1e6);
}

}  // namespace
}  // namespace pixelfleet::control
