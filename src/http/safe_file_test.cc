#include "http/safe_file.h"

#include "gtest/gtest.h"
#include "http/testing.h"

namespace pixelfleet::http {
namespace {

TEST(SafeFileTest, OpensFilesBelowTheRoot) {
  const testing::ScratchDirectory scratch;
  scratch.write("root/run/a.png", "picture");
  const Result<OpenFile> file = open_beneath(scratch.path() / "root", "run/a.png");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->bytes, 7);
}

TEST(SafeFileTest, NeverLeavesTheRoot) {
  const testing::ScratchDirectory scratch;
  scratch.write("secret", "secret");
  scratch.write("root/run/a.png", "picture");
  const std::filesystem::path root = scratch.path() / "root";
  std::filesystem::create_symlink(scratch.path() / "secret", root / "link");
  std::filesystem::create_directory_symlink(scratch.path(), root / "up");
  std::filesystem::create_symlink("run/a.png", root / "inner");
  for (const char* path : {"../secret", "run/../../secret", "/etc/passwd", "link", "up/secret", "inner", "run", ""}) {
    EXPECT_FALSE(open_beneath(root, path)) << path;
  }
}

TEST(SafeFileTest, AMissingFileIsNotFound) {
  const testing::ScratchDirectory scratch;
  const Result<OpenFile> file = open_beneath(scratch.path(), "nothing.png");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace pixelfleet::http
