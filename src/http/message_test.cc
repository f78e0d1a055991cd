#include "http/message.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/testing.h"

namespace pixelfleet::http {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ParseTargetTest, DecodesPathAndQuery) {
  Request request;
  ASSERT_TRUE(parse_target("/api/v1/jobs?state=queued%2Crunning&limit=5&note=a+b&empty&&", request));
  EXPECT_EQ(request.path, "/api/v1/jobs");
  EXPECT_THAT(request.query,
              ElementsAre(Pair("state", "queued,running"), Pair("limit", "5"), Pair("note", "a b"), Pair("empty", "")));
}

TEST(ParseTargetTest, RefusesWhatCouldLeadElsewhere) {
  for (const char* target :
       {"", "*", "http://127.0.0.1/", "images", "/images/../../etc/passwd", "/images/%2e%2e/%2e%2e/etc", "/..",
        "/a/..%5cb", "/a\\b", "/%", "/%4", "/%zz", "/nul%00", "/%c0%ae%c0%ae/", "/?x=%", "/?x=%ff"}) {
    Request request;
    EXPECT_FALSE(parse_target(target, request)) << target;
  }
}

TEST(ParseTargetTest, DoesNotDecodeTwice) {
  Request request;
  ASSERT_TRUE(parse_target("/images/%252e%252e/x", request));
  EXPECT_EQ(request.path, "/images/%2e%2e/x");
}

TEST(TemporaryFileTest, VanishesUnlessPublished) {
  const testing::ScratchDirectory scratch;
  std::filesystem::path path;
  {
    auto file = TemporaryFile::create(scratch.path());
    ASSERT_TRUE(file);
    path = (*file)->path();
    ASSERT_TRUE((*file)->append("bytes"));
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    auto file = TemporaryFile::create(scratch.path());
    ASSERT_TRUE((*file)->append("bytes"));
    ASSERT_TRUE((*file)->publish("kept.png"));
    EXPECT_EQ((*file)->bytes(), 5);
  }
  EXPECT_EQ(std::filesystem::file_size(scratch.path() / "kept.png"), 5u);
}

TEST(TemporaryFileTest, SaysWhereItCouldNotWrite) {
  const auto file = TemporaryFile::create("/proc/nowhere");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace pixelfleet::http
