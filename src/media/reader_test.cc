#include "media/reader.h"

#include "media/testing.h"

namespace pixelfleet::media {
namespace {

std::string png_of(int width, int height) { return *encode_png(gradient(width, height).view(), {}); }

TEST(ProbeImage, TellsTypeAndSizeFromTheHeaders) {
  const auto png = probe_image(png_of(123, 45));
  ASSERT_TRUE(png) << png.error().message;
  EXPECT_EQ(png->media_type, "image/png");
  EXPECT_EQ(png->width, 123);
  EXPECT_EQ(png->height, 45);
}

TEST(ProbeImage, NamesWhatIsAllowedForOtherTypes) {
  for (const std::string_view other : {"GIF89a....", "<svg xmlns=", "%PDF-1.7", "RIFF....WEBP", ""}) {
    const auto info = probe_image(other);
    ASSERT_FALSE(info) << other;
    EXPECT_EQ(info.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(info.error().message.find("image/png and image/jpeg"), std::string::npos);
  }
}

TEST(ProbeImage, SurvivesEveryTruncation) {
  for (const std::string& whole : {png_of(9, 9), *encode_jpeg(gradient(9, 9).view(), 80)}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto info = probe_image(std::string_view(whole).substr(0, length));
      if (info) {
        EXPECT_EQ(info->width, 9);
      }
    }
    EXPECT_FALSE(probe_image(std::string_view(whole).substr(0, 22)));
  }
}

TEST(ProbeImage, RefusesADecompressionBombByItsDeclaredSize) {
  std::string bomb = png_of(8, 8);
  bomb.replace(16, 8, std::string("\0\0\x40\0\0\0\x40\0", 8));  // 16384 x 16384
  const auto info = probe_image(bomb);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(info.error().message.find("16384x16384"), std::string::npos);
}

TEST(ProbeImage, RefusesAJpegWhoseSegmentsNeverReachAFrame) {
  EXPECT_FALSE(probe_image(std::string("\xFF\xD8\xFF\xE0\x00\x00", 6)));  // a segment shorter than its own length
  EXPECT_FALSE(probe_image(std::string("\xFF\xD8\xFF\xFF\xFF\xFF\xFF", 7)));
  EXPECT_FALSE(probe_image(std::string("\xFF\xD8\xFF\xDA\x00\x08", 6)));
}

TEST(ReadPng, ReportsATruncatedFileAsCorrupt) {
  const ScratchDirectory scratch;
  const std::string whole = png_of(64, 64);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{7}, std::size_t{20}, whole.size() / 2, whole.size() - 20}) {
    write_file(scratch / "cut.png", std::string_view(whole).substr(0, length));
    const auto image = read_png(scratch / "cut.png");
    ASSERT_FALSE(image) << length;
    EXPECT_EQ(image.error().code, ErrorCode::corrupt);
    EXPECT_NE(image.error().message.find("cut.png"), std::string::npos);
  }
}

TEST(ReadPng, TellsAMissingFileApart) {
  const auto image = read_png("/nonexistent/a.png");
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, ErrorCode::not_found);
}

TEST(Thumbnail, FitsTheLongerSide) {
  const ScratchDirectory scratch;
  write_file(scratch / "a.png", png_of(640, 320));
  const auto jpeg = thumbnail_jpeg(scratch / "a.png", 320);
  ASSERT_TRUE(jpeg) << jpeg.error().message;
  const auto info = probe_image(*jpeg);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->width, 320);
  EXPECT_EQ(info->height, 160);
}

TEST(Thumbnail, RefusesSidesThatMakeNoSense) {
  EXPECT_FALSE(thumbnail_jpeg("a.png", 0));
  EXPECT_FALSE(thumbnail_jpeg("a.png", 1 << 20));
}

TEST(ThumbnailCache, AnswersFromTheDiskAndNoticesAChangedPicture) {
  const ScratchDirectory scratch;
  const ThumbnailCache cache(scratch / "thumbnails/deep");
  write_file(scratch / "a.png", png_of(640, 320));
  const auto first = cache.get(scratch / "a.png", 64);
  ASSERT_TRUE(first);
  const auto stored = std::filesystem::directory_iterator(scratch / "thumbnails/deep")->path();
  const std::string marked = "\xFF\xD8 from the cache \xFF\xD9";
  write_file(stored.string(), marked);
  EXPECT_EQ(cache.get(scratch / "a.png", 64).value(), marked);

  write_file(scratch / "a.png", png_of(320, 640));  // another size in bytes and another time
  const auto changed = cache.get(scratch / "a.png", 64);
  ASSERT_TRUE(changed);
  EXPECT_EQ(probe_image(*changed)->height, 64);
}

TEST(ThumbnailCache, WorksWithoutAPlaceToStore) {
  const ScratchDirectory scratch;
  write_file(scratch / "file", "not a directory");
  write_file(scratch / "a.png", png_of(64, 64));
  const ThumbnailCache cache(scratch / "file/thumbnails");
  EXPECT_TRUE(cache.get(scratch / "a.png", 32));
  EXPECT_EQ(cache.get(scratch / "none.png", 32).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace pixelfleet::media
