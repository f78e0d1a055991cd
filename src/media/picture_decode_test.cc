// Pictures of every kind that people upload, made here by the two libraries themselves.
#include <gmock/gmock.h>
#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// jpeglib.h needs the C headers above it.
#include <jpeglib.h>

#include "media/picture_file.h"
#include "media/testing.h"

namespace pixelfleet::media {
namespace {

using ::testing::HasSubstr;

// --- JPEG ------------------------------------------------------------------------------------------------------------

struct JpegRecipe {
  int width = 16;
  int height = 16;
  int components = 3;
  J_COLOR_SPACE space = JCS_RGB;
  std::vector<std::uint8_t> pixels = {};
  std::string exif = {};
  const std::vector<jpeg_scan_info>* scans = nullptr;
};

std::string jpeg_of(const JpegRecipe& recipe) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(recipe.width);
  jpeg.image_height = static_cast<JDIMENSION>(recipe.height);
  jpeg.input_components = recipe.components;
  jpeg.in_color_space = recipe.space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  for (int i = 0; i < jpeg.num_components; ++i) jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
  if (recipe.scans != nullptr) {
    jpeg.scan_info = recipe.scans->data();
    jpeg.num_scans = static_cast<int>(recipe.scans->size());
  }
  jpeg_start_compress(&jpeg, TRUE);
  if (!recipe.exif.empty()) {
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(recipe.exif.data()),
                      static_cast<unsigned>(recipe.exif.size()));
  }
  const std::size_t stride = static_cast<std::size_t>(recipe.width * recipe.components);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(recipe.pixels.data() + jpeg.next_scanline * stride);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  jpeg_destroy_compress(&jpeg);
  std::free(bytes);
  return result;
}

std::vector<std::uint8_t> repeated(const std::vector<std::uint8_t>& pixel, int count) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < count; ++i) pixels.insert(pixels.end(), pixel.begin(), pixel.end());
  return pixels;
}

// The first pixel's colour; all of them where the picture is of one colour.
void expect_colour(const Result<RgbImage>& image, int red, int green, int blue) {
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ(image->data.size(), static_cast<std::size_t>(image->width) * static_cast<std::size_t>(image->height) * 3);
  EXPECT_NEAR(image->data[0], red, 3);
  EXPECT_NEAR(image->data[1], green, 3);
  EXPECT_NEAR(image->data[2], blue, 3);
}

TEST(DecodeJpeg, ReadsColourAndGrey) {
  expect_colour(decode_picture(jpeg_of({.pixels = repeated({200, 30, 90}, 256)}), "a"), 200, 30, 90);
  expect_colour(decode_picture(jpeg_of({.components = 1, .space = JCS_GRAYSCALE, .pixels = repeated({77}, 256)}), "a"),
                77, 77, 77);
}

// As Adobe's programs write it: 255 is no ink. Cyan 100, no magenta, yellow 50, a black of 51 of 255 parts.
TEST(DecodeJpeg, ReadsWhatIsMeantForPrint) {
  const std::vector<std::uint8_t> inverted = repeated({155, 255, 205, 204}, 256);
  // 155 * 204 / 255 = 124, 255 * 204 / 255 = 204, 205 * 204 / 255 = 164
  expect_colour(decode_picture(jpeg_of({.components = 4, .space = JCS_CMYK, .pixels = inverted}), "a"), 124, 204, 164);
}

std::string exif_with(int orientation, bool little) {
  std::string tiff = little ? std::string("II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18)
                            : std::string("MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01", 18);
  const char value = static_cast<char>(orientation);
  tiff += little ? std::string{value, 0, 0, 0} : std::string{0, value, 0, 0};
  return tiff + std::string(4, '\0');
}

// Six letters, two in a row: what is seen when the camera is held as the number says.
const char* const kHeld[] = {"ab/cd/ef", "ba/dc/fe", "fe/dc/ba", "ef/cd/ab",
                             "ace/bdf",  "eca/fdb",  "fdb/eca",  "bdf/ace"};

std::string letters_of(const RgbImage& image, int cell) {
  std::string text;
  for (int y = cell / 2; y < image.height; y += cell) {
    if (!text.empty()) text += '/';
    for (int x = cell / 2; x < image.width; x += cell) {
      text += static_cast<char>('a' + (image.view().row(y)[x * 3] + 20) / 40);
    }
  }
  return text;
}

TEST(Upright, TurnsAPictureOfSixPixelsEightWays) {
  RgbImage image{2, 3, {}};
  for (int letter = 0; letter < 6; ++letter) {
    for (int c = 0; c < 3; ++c) image.data.push_back(static_cast<std::uint8_t>(letter * 40 + c));
  }
  for (int held = 1; held <= 8; ++held) {
    const RgbImage turned = upright(image, held);
    EXPECT_EQ(letters_of(turned, 1), kHeld[held - 1]) << held;
    EXPECT_EQ(turned.data[1], turned.data[0] + 1);  // the colours of a pixel stay together
  }
  EXPECT_EQ(letters_of(upright(image, 0), 1), kHeld[0]);
  EXPECT_EQ(letters_of(upright(image, 9), 1), kHeld[0]);
}

TEST(DecodeJpeg, HoldsThePictureAsItsCameraWas) {
  JpegRecipe recipe{.width = 16, .height = 24, .components = 1, .space = JCS_GRAYSCALE};
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 16; ++x) recipe.pixels.push_back(static_cast<std::uint8_t>((y / 8 * 2 + x / 8) * 40));
  }
  for (const bool little : {true, false}) {
    for (int held = 1; held <= 8; ++held) {
      recipe.exif = std::string("Exif\0\0", 6) + exif_with(held, little);
      const auto image = decode_picture(jpeg_of(recipe), "a");
      ASSERT_TRUE(image) << image.error().message;
      EXPECT_EQ(letters_of(*image, 8), kHeld[held - 1]) << held << (little ? " little" : " big") << " end first";
    }
  }
}

TEST(ExifOrientation, IsUprightForWhatIsNotUnderstood) {
  const std::string whole = exif_with(6, true);
  EXPECT_EQ(exif_orientation(whole), 6);
  EXPECT_EQ(exif_orientation(exif_with(9, true)), 1);
  EXPECT_EQ(exif_orientation(exif_with(0, false)), 1);
  EXPECT_EQ(exif_orientation("XX" + whole.substr(2)), 1);
  for (std::size_t length = 0; length < 20; ++length) EXPECT_EQ(exif_orientation(whole.substr(0, length)), 1) << length;
  std::string far = whole;
  far.replace(4, 4, "\xFF\xFF\xFF\xFF");  // its directory lies beyond the end
  EXPECT_EQ(exif_orientation(far), 1);
  std::string many = whole;
  many.replace(8, 4, "\xFF\xFF\x13\x01");  // 65,535 entries, none of them there
  EXPECT_EQ(exif_orientation(many), 1);
}

void expect_every_cut_is_noticed(const std::string& whole, int width, int height) {
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto image = decode_picture(std::string_view(whole).substr(0, length), "cut.jpg");
    if (image) {
      EXPECT_EQ(image->width, width) << length;
      EXPECT_EQ(image->height, height) << length;
    } else {
      EXPECT_THAT(image.error().message, HasSubstr("cut.jpg")) << length;
    }
    if (length < whole.size() * 3 / 4) {
      EXPECT_FALSE(image) << length;
    }
  }
}

TEST(DecodeJpeg, NoticesEveryCut) {
  const RgbImage picture = gradient(24, 17);
  expect_every_cut_is_noticed(jpeg_of({.width = 24, .height = 17, .pixels = picture.data}), 24, 17);
}

TEST(DecodeJpeg, RefusesAPictureThatIsGoneOverTooOften) {
  // One coefficient of the sixty-four a scan, first without its last bit, then that.
  std::vector<jpeg_scan_info> scans{{1, {0}, 0, 0, 0, 0}};
  for (const int refined : {0, 1}) {
    for (int k = 1; k <= 63; ++k) scans.push_back({1, {0}, k, k, refined, 1 - refined});
  }
  JpegRecipe recipe{.components = 1, .space = JCS_GRAYSCALE, .pixels = repeated({77}, 256), .scans = &scans};
  const auto many = decode_picture(jpeg_of(recipe), "slow.jpg");
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, ErrorCode::corrupt);
  EXPECT_THAT(many.error().message, HasSubstr("slow.jpg"));
  EXPECT_THAT(many.error().message, HasSubstr("more than 100 scans"));
  scans.resize(64);
  expect_colour(decode_picture(jpeg_of(recipe), "a"), 77, 77, 77);
}

// --- PNG -------------------------------------------------------------------------------------------------------------

struct PngRecipe {
  int width = 1;
  int height = 1;
  int depth = 8;
  int colour = PNG_COLOR_TYPE_RGB;
  std::vector<std::uint8_t> pixels = {};  // rows without gaps
  std::vector<png_color> palette = {};
};

std::string png_of(const PngRecipe& recipe) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string bytes;
  png_set_write_fn(
      png, &bytes,
      [](png_structp writer, png_bytep data, std::size_t size) {
        static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<const char*>(data), size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(recipe.width), static_cast<png_uint_32>(recipe.height), recipe.depth,
               recipe.colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!recipe.palette.empty()) png_set_PLTE(png, info, recipe.palette.data(), static_cast<int>(recipe.palette.size()));
  png_write_info(png, info);
  const std::size_t stride = recipe.pixels.size() / static_cast<std::size_t>(recipe.height);
  for (int y = 0; y < recipe.height; ++y) {
    png_write_row(png, recipe.pixels.data() + static_cast<std::size_t>(y) * stride);
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

TEST(DecodePng, ReadsWhatIsNotEightBitsOfColour) {
  const auto pixels = [](const PngRecipe& recipe) {
    const auto image = decode_picture(png_of(recipe), "a");
    EXPECT_TRUE(image) << image.error().message;
    return image ? image->data : std::vector<std::uint8_t>{};
  };
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(pixels({.depth = 16, .pixels = {200, 7, 100, 7, 50, 7}}), (Bytes{200, 100, 50}));
  EXPECT_EQ(pixels({.width = 2, .colour = PNG_COLOR_TYPE_PALETTE, .pixels = {1, 0}, .palette = {{9, 8, 7}, {6, 5, 4}}}),
            (Bytes{6, 5, 4, 9, 8, 7}));
  EXPECT_EQ(pixels({.colour = PNG_COLOR_TYPE_GRAY_ALPHA, .pixels = {90, 0}}), (Bytes{90, 90, 90}));
  EXPECT_EQ(pixels({.width = 8, .depth = 1, .colour = PNG_COLOR_TYPE_GRAY, .pixels = {0x80}}).at(0), 255);
  EXPECT_EQ(pixels({.colour = PNG_COLOR_TYPE_RGB_ALPHA, .pixels = {1, 2, 3, 128}}), (Bytes{1, 2, 3}));
}

TEST(DecodePng, NoticesEveryCut) {
  const RgbImage picture = gradient(24, 17);
  expect_every_cut_is_noticed(png_of({.width = 24, .height = 17, .pixels = picture.data}), 24, 17);
}

TEST(DecodePicture, RefusesTwoHundredMegapixelsByTheirHeader) {
  std::string png = png_of({.pixels = {1, 2, 3}});
  png.replace(16, 8, std::string("\0\0\x37\x2C\0\0\x37\x2C", 8));  // 14,124 a side
  const auto refused = decode_picture(png, "huge.png");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("huge.png"));
  EXPECT_THAT(refused.error().message, HasSubstr("14124x14124"));

  std::string jpeg = jpeg_of({.pixels = repeated({1, 2, 3}, 256)});
  const std::size_t frame = jpeg.find(std::string("\xFF\xC0", 2));
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, std::string("\x37\x2C\x37\x2C", 4));
  EXPECT_FALSE(decode_picture(jpeg, "huge.jpg"));
}

TEST(DecodePicture, RefusesOtherFiles) {
  for (const std::string_view other : {"", "GIF89a", "PK\x03\x04"}) EXPECT_FALSE(decode_picture(other, "a")) << other;
}

// --- resized ---------------------------------------------------------------------------------------------------------

RgbImage grey_row(const std::vector<std::uint8_t>& values) {
  RgbImage image{static_cast<int>(values.size()), 1, {}};
  for (const std::uint8_t value : values) image.data.insert(image.data.end(), 3, value);
  return image;
}

std::vector<int> reds(const RgbImage& image) {
  std::vector<int> values;
  for (std::size_t i = 0; i < image.data.size(); i += 3) values.push_back(image.data[i]);
  return values;
}

TEST(Resized, TakesTheMeanWhereItBecomesSmallerAndGoesStraightBetweenPixelsWhereLarger) {
  using Values = std::vector<int>;
  EXPECT_EQ(reds(resized(grey_row({0, 100}).view(), 2, 1)), (Values{0, 100}));
  // The targets' centres lie at -0.25, 0.25, 0.75 and 1.25 of the source's.
  EXPECT_EQ(reds(resized(grey_row({0, 100}).view(), 4, 1)), (Values{0, 25, 75, 100}));
  EXPECT_EQ(reds(resized(grey_row({0, 100, 200, 40}).view(), 2, 1)), (Values{50, 120}));
  // Narrower and taller at once.
  EXPECT_EQ(reds(resized(grey_row({0, 100, 200, 40}).view(), 2, 2)), (Values{50, 120, 50, 120}));
  EXPECT_EQ(reds(resized(grey_row({7}).view(), 3, 2)), (Values{7, 7, 7, 7, 7, 7}));
}

}  // namespace
}  // namespace pixelfleet::media
