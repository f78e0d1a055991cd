// Pictures that a chunk starts from, on their way from the data directory into a real worker with the synthetic engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "media/encode.h"
#include "media/rgb_view.h"
#include "workers/supervisor.h"
#include "workers/test_fleet.h"

namespace pixelfleet::workers {
namespace {

using control::ChunkIsOver;
using control::ImageArrived;
using control::WorkerIsGone;
using ::testing::HasSubstr;

std::vector<std::uint8_t> bytes_of(const ImageArrived& image) {
  return {image.pixels->bytes().begin(), image.pixels->bytes().end()};
}

// A data directory with pictures in it.
class InputDirectory {
 public:
  InputDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "pixelfleet-inputs-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~InputDirectory() { std::filesystem::remove_all(path_); }
  InputDirectory(const InputDirectory&) = delete;
  InputDirectory& operator=(const InputDirectory&) = delete;
  const std::string& path() const { return path_; }

  InputPicture write(const std::string& name, const std::string& bytes) {
    std::ofstream(path_ + "/" + name, std::ios::binary) << bytes;
    return {UploadId{1}, name};
  }
  // 64x64, white from this column on, else black.
  InputPicture white_from(const std::string& name, int column) {
    media::RgbImage image{64, 64, {}};
    for (int i = 0; i < 64 * 64; ++i) image.data.insert(image.data.end(), 3, i % 64 >= column ? 255 : 0);
    return write(name, *media::encode_png(image.view(), {}));
  }

 private:
  std::string path_;
};

TEST(InputHandover, StartsFromAPictureAsMuchAsStrengthLeavesOfIt) {
  InputDirectory inputs;
  auto options = synthetic_options();
  options.data_directory = inputs.path();
  TestFleet fleet(options);
  const WorkerId worker = fleet.start_ready("demo-landscape", demo());
  const auto painted = fleet.make(worker, 1, 3);  // what strength 0.5 leaves of 4 steps
  auto request = request_for(1, 4);
  request.settings.mode = Mode::img2img;
  request.settings.strength = 0.5;
  request.settings.init_image = inputs.white_from("half.png", 32);
  fleet.run(worker, request);
  const auto image = fleet.inbox().take<ImageArrived>(worker);
  ASSERT_TRUE(image && painted.size() == 1);
  const auto made = bytes_of(*image), free = bytes_of(painted[0]);
  for (std::size_t i = 0; i < made.size(); ++i) {
    const int input = i / 3 % 64 >= 32 ? 255 : 0;
    ASSERT_EQ(made[i], (free[i] + input + 1) / 2) << i;
  }
}

TEST(InputHandover, KeepsEveryPixelOutsideTheMask) {
  InputDirectory inputs;
  auto options = synthetic_options();
  options.data_directory = inputs.path();
  TestFleet fleet(options);
  const WorkerId worker = fleet.start_ready("demo-landscape", demo());
  const auto painted = fleet.make(worker, 1, 4);
  auto request = request_for(1, 4);
  request.settings.mode = Mode::inpaint;
  request.settings.strength = 1;
  request.settings.mask_feather = 2;
  request.settings.init_image = inputs.white_from("init.png", 8);
  request.settings.mask_image = inputs.white_from("mask.png", 32);
  fleet.run(worker, request);
  const auto image = fleet.inbox().take<ImageArrived>(worker);
  ASSERT_TRUE(image && painted.size() == 1);
  const auto made = bytes_of(*image), free = bytes_of(painted[0]);
  for (std::size_t i = 0; i < made.size(); ++i) {
    const std::size_t column = i / 3 % 64;
    if (column < 30) {
      ASSERT_EQ(made[i], column >= 8 ? 255 : 0) << i;
    }
    if (column >= 34) {
      ASSERT_EQ(made[i], free[i]) << i;
    }
  }
}

TEST(InputHandover, APictureThatCannotBeReadEndsItsChunkOnly) {
  InputDirectory inputs;
  auto options = synthetic_options();
  options.data_directory = inputs.path();
  TestFleet fleet(options);
  const WorkerId worker = fleet.start_ready("demo-landscape", demo());
  auto request = request_for(1, 4);
  request.settings.mode = Mode::inpaint;
  request.settings.strength = 0.5;
  request.settings.init_image = inputs.white_from("init.png", 8);
  const auto fails_with = [&](const InputPicture& mask, const char* words) {
    request.settings.mask_image = mask;
    fleet.run(worker, request);
    const auto over = fleet.inbox().take<ChunkIsOver>(worker);
    ASSERT_TRUE(over);
    EXPECT_EQ(over->outcome, "failed");
    EXPECT_EQ(over->failure.code, "bad_request");
    EXPECT_THAT(over->failure.message, HasSubstr(words));
  };
  fails_with({UploadId{12}, "gone.png"}, "mask_image of the job (upload 12)");
  fails_with({UploadId{12}, "gone.png"}, "Upload the picture again");
  fails_with(inputs.write("text.png", "hello"), "mask_image: the file is neither PNG nor JPEG");
  fails_with(inputs.white_from("dark.png", 64), "mask_image is dark all over");
  std::filesystem::create_symlink("init.png", inputs.path() + "/link.png");
  fails_with({UploadId{13}, "link.png"}, "mask_image of the job (upload 13)");
  EXPECT_EQ(fleet.make(worker, 1).size(), 1u);
  EXPECT_EQ(fleet.inbox().count<WorkerIsGone>(worker), 0);
}

}  // namespace
}  // namespace pixelfleet::workers
