#include "media/encode.h"

#include <array>

#include "media/reader.h"
#include "media/testing.h"

namespace pixelfleet::media {
namespace {

TEST(EncodePng, RoundTripsEveryPixel) {
  const ScratchDirectory scratch;
  const RgbImage made = gradient(300, 65);
  const auto bytes = encode_png(made.view(), {});
  ASSERT_TRUE(bytes);
  write_file(scratch / "a.png", *bytes);
  const auto read = read_png(scratch / "a.png");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->width, 300);
  EXPECT_EQ(read->height, 65);
  EXPECT_EQ(read->data, made.data);
}

TEST(EncodePng, WritesLatin1AsTextAndTheRestAsUtf8) {
  const ScratchDirectory scratch;
  const std::array texts = {PngTextChunk{{"parameters", "caf\u00E9"}, TextCarrier::latin1_if_possible},
                            PngTextChunk{{"other", "\u72D0 in snow"}, TextCarrier::latin1_if_possible},
                            PngTextChunk{{"pixelfleet", "{}"}, TextCarrier::always_utf8}};
  const auto bytes = encode_png(gradient(8, 8).view(), texts);
  ASSERT_TRUE(bytes);
  EXPECT_NE(bytes->find("tEXtparameters"), std::string::npos);
  EXPECT_NE(bytes->find(std::string("iTXtother\0\0\0\0\0\xE7\x8B\x90", 17)), std::string::npos)
      << "uncompressed, no language, no translated key";
  EXPECT_NE(bytes->find("iTXtpixelfleet"), std::string::npos);
  EXPECT_LT(bytes->find("iTXtpixelfleet"), bytes->find("IDAT"));

  write_file(scratch / "a.png", *bytes);
  const auto read = read_png_text(scratch / "a.png");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 3u);
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ((*read)[i], texts[i].text);
}

TEST(EncodePng, UsesThePaethFilterOnly) {
  const RgbImage flat{16, 16, std::vector<std::uint8_t>(16 * 16 * 3, 200)};
  const auto bytes = encode_png(flat.view(), {});
  ASSERT_TRUE(bytes);
  // Paeth turns a flat picture into zeros, which run-length deflate packs into almost nothing.
  EXPECT_LT(bytes->size(), 120u);
}

TEST(EncodePng, RefusesAPictureWithoutPixels) {
  const auto bytes = encode_png(RgbView{}, {});
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::invalid_argument);
}

TEST(EncodeJpeg, MakesAJpegOfTheSameSize) {
  const auto bytes = encode_jpeg(gradient(100, 50).view(), 80);
  ASSERT_TRUE(bytes);
  const auto info = probe_image(*bytes);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->media_type, "image/jpeg");
  EXPECT_EQ(info->width, 100);
  EXPECT_EQ(info->height, 50);
}

TEST(Base64, PadsToGroupsOfFour) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
}

TEST(CropCentred, TakesTheMiddleAndNeverMoreThanThereIs) {
  const RgbImage image = gradient(64, 64);
  const RgbView crop = crop_centred(image.view(), 60, 40);
  EXPECT_EQ(crop.width, 60);
  EXPECT_EQ(crop.height, 40);
  EXPECT_EQ(crop.row(0)[0], 2);    // x of the first column
  EXPECT_EQ(crop.row(0)[1], 12);   // y of the first row
  EXPECT_EQ(crop.row(39)[1], 51);  // y of the last row
  const RgbView whole = crop_centred(image.view(), 100, 100);
  EXPECT_EQ(whole.width, 64);
  EXPECT_EQ(whole.height, 64);
}

TEST(BoxDownscale, AveragesWhatLiesUnderEachPixel) {
  RgbImage image{4, 2, {}};
  for (const int v : {0, 100, 10, 30, 200, 100, 10, 30})
    image.data.insert(image.data.end(), 3, static_cast<std::uint8_t>(v));
  const RgbImage half = box_downscale(image.view(), 2, 1);
  EXPECT_EQ(half.data, (std::vector<std::uint8_t>{100, 100, 100, 20, 20, 20}));
}

TEST(BoxDownscale, KeepsAFlatPictureFlatAtOddRatios) {
  const RgbImage flat{101, 67, std::vector<std::uint8_t>(101 * 67 * 3, 255)};
  const RgbImage small = box_downscale(flat.view(), 37, 23);
  EXPECT_EQ(small.data, std::vector<std::uint8_t>(37 * 23 * 3, 255));
}

TEST(FitWithin, KeepsTheAspectRatioAndNeverEnlarges) {
  EXPECT_EQ(fit_within(1024, 576, 320, 320).height, 180);
  EXPECT_EQ(fit_within(100, 50, 320, 320).width, 100);
  EXPECT_EQ(fit_within(4096, 1, 320, 320).height, 1);
}

}  // namespace
}  // namespace pixelfleet::media
