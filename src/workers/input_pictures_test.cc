#include "workers/input_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "ipc/sealed_buffer.h"
#include "media/encode.h"
#include "media/rgb_view.h"

namespace pixelfleet::workers {
namespace {

using media::RgbImage;
using ::testing::HasSubstr;

UniqueFd file_of(std::string_view bytes) {
  return *ipc::seal({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "test-picture");
}

// Each pixel one grey.
RgbImage greys(int width, int height, const std::vector<std::uint8_t>& values) {
  RgbImage image{width, height, {}};
  for (const std::uint8_t value : values) image.data.insert(image.data.end(), 3, value);
  return image;
}

// White in the columns from `first` on, up to `last`.
RgbImage columns(int width, int height, int first, int last) {
  std::vector<std::uint8_t> values;
  for (int i = 0; i < width * height; ++i) values.push_back(i % width >= first && i % width <= last ? 255 : 0);
  return greys(width, height, values);
}

using Files = std::map<std::string, UniqueFd>;

void add(Files& files, const std::string& role, const RgbImage& image) {
  files[role] = file_of(*media::encode_png(image.view(), {}));
}

protocol::Run run_of(const std::string& mode, int width, int height) {
  protocol::Run run;
  run.mode = mode;
  run.width = run.published_width = width;
  run.height = run.published_height = height;
  return run;
}

std::vector<int> reds(const std::vector<std::uint8_t>& rgb) {
  std::vector<int> values;
  for (std::size_t i = 0; i < rgb.size(); i += 3) values.push_back(rgb[i]);
  return values;
}

TEST(ReadInputs, ATextTakesNone) {
  const auto inputs = read_inputs(run_of("txt2img", 64, 64), {});
  ASSERT_TRUE(inputs);
  EXPECT_TRUE(inputs->init_rgb.empty() && inputs->mask.empty() && inputs->soft_mask.empty());
}

TEST(ReadInputs, StretchesToWhatIsPublishedAndContinuesTheEdgeAroundIt) {
  Files files;
  add(files, "init_image", greys(2, 1, {0, 100}));
  protocol::Run run = run_of("img2img", 6, 4);
  run.published_width = 4;
  run.published_height = 2;
  const auto inputs = read_inputs(run, files);
  ASSERT_TRUE(inputs) << inputs.error().message;
  EXPECT_EQ(reds(inputs->init_rgb), (std::vector<int>{0, 0, 25, 75, 100, 100,  //
                                                      0, 0, 25, 75, 100, 100,  //
                                                      0, 0, 25, 75, 100, 100,  //
                                                      0, 0, 25, 75, 100, 100}));
  EXPECT_TRUE(inputs->mask.empty());
}

TEST(ReadInputs, AMaskIsBlackOrWhiteForTheEngineAndSoftForTheJoin) {
  Files files;
  add(files, "init_image", greys(8, 1, {1, 2, 3, 4, 5, 6, 7, 8}));
  add(files, "mask_image", columns(8, 1, 4, 7));
  protocol::Run run = run_of("inpaint", 8, 1);
  run.mask_feather = 1;
  const auto inputs = read_inputs(run, files);
  ASSERT_TRUE(inputs) << inputs.error().message;
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(inputs->mask, (Bytes{0, 0, 0, 0, 255, 255, 255, 255}));
  // The mean of a pixel and its neighbours: one of three, then two of three of 255.
  EXPECT_EQ(inputs->soft_mask, (Bytes{0, 0, 0, 85, 170, 255, 255, 255}));
  run.mask_feather = 0;
  EXPECT_EQ(read_inputs(run, files)->soft_mask, inputs->mask);
  run.mask_feather = 256;  // wider than the picture: everywhere the mean of all
  EXPECT_EQ(read_inputs(run, files)->soft_mask, Bytes(8, 128));
}

TEST(ReadInputs, AMaskOfAnotherSizeIsStretchedAndGreysAreDecidedByTheirLight) {
  Files files;
  add(files, "init_image", greys(1, 1, {9}));
  RgbImage mask{4, 1, {255, 0, 0, /* green: */ 0, 255, 0, 127, 127, 127, 128, 128, 128}};
  add(files, "mask_image", mask);
  const auto inputs = read_inputs(run_of("inpaint", 4, 2), files);
  ASSERT_TRUE(inputs) << inputs.error().message;
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(inputs->mask, (Bytes{0, 255, 0, 255, 0, 255, 0, 255}));
}

TEST(RestoreUnmasked, KeepsEveryPixelThatTheMaskKeeps) {
  Files files;
  add(files, "init_image", greys(8, 1, {10, 20, 30, 40, 50, 60, 70, 80}));
  add(files, "mask_image", columns(8, 1, 4, 7));
  protocol::Run run = run_of("inpaint", 8, 1);
  run.mask_feather = 1;
  const auto inputs = read_inputs(run, files);
  ASSERT_TRUE(inputs) << inputs.error().message;
  std::vector<std::uint8_t> made(24, 200);
  inputs->restore_unmasked(made);
  // 40 * 2/3 + 200 / 3 = 93.3, 50 / 3 + 200 * 2/3 = 150
  EXPECT_EQ(reds(made), (std::vector<int>{10, 20, 30, 93, 150, 200, 200, 200}));
}

struct Wrong {
  const char* what;
  const char* role;
  std::string bytes;
  const char* words;
};

TEST(ReadInputs, NamesThePictureThatIsWrong) {
  const std::string good = *media::encode_png(columns(8, 8, 0, 7).view(), {});
  const std::string black = *media::encode_png(columns(8, 8, 9, 9).view(), {});
  const Wrong wrongs[] = {{"text", "init_image", "hello", "init_image: the file is neither PNG nor JPEG"},
                          {"empty", "init_image", "", "init_image: the file is neither PNG nor JPEG"},
                          {"cut", "init_image", good.substr(0, good.size() / 2), "init_image is not a readable PNG"},
                          {"cut mask", "mask_image", good.substr(0, 50), "mask_image is not a readable PNG"},
                          {"dark mask", "mask_image", black, "mask_image is dark all over"}};
  for (const Wrong& wrong : wrongs) {
    SCOPED_TRACE(wrong.what);
    Files files;
    files["init_image"] = file_of(good);
    files["mask_image"] = file_of(good);
    files[wrong.role] = file_of(wrong.bytes);
    const auto inputs = read_inputs(run_of("inpaint", 8, 8), files);
    ASSERT_FALSE(inputs);
    EXPECT_THAT(inputs.error().message, HasSubstr(wrong.words));
  }
}

TEST(ReadInputs, NamesThePictureThatDidNotCome) {
  Files files;
  const auto nothing = read_inputs(run_of("img2img", 8, 8), files);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().message, "init_image is missing");
  add(files, "init_image", columns(8, 8, 0, 7));
  EXPECT_TRUE(read_inputs(run_of("img2img", 8, 8), files));
  const auto no_mask = read_inputs(run_of("inpaint", 8, 8), files);
  ASSERT_FALSE(no_mask);
  EXPECT_EQ(no_mask.error().message, "mask_image is missing");
}

TEST(ReadInputs, ReadsOnlyFiles) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd writing(ends[1]);
  Files files;
  files["init_image"] = UniqueFd(ends[0]);
  const auto inputs = read_inputs(run_of("img2img", 8, 8), files);
  ASSERT_FALSE(inputs);
  EXPECT_THAT(inputs.error().message, HasSubstr("init_image is no file"));
}

}  // namespace
}  // namespace pixelfleet::workers
