#include "media/media_pool.h"

#include <sys/mount.h>

#include "base/format.h"
#include "base/json_full.h"
#include "media/reader.h"
#include "media/testing.h"

namespace pixelfleet::media {
namespace {

class Pool : public testing::Test {
 protected:
  void open(const std::string& output) {
    auto pool = MediaPool::open({output, "lab-1", "0.1.0", 2, std::chrono::milliseconds(5)}, inbox_, clock_);
    ASSERT_TRUE(pool) << pool.error().message;
    pool_ = std::move(*pool);
  }

  const ScratchDirectory scratch_;
  CollectingInbox inbox_;
  FixedClock clock_;
  std::unique_ptr<MediaPool> pool_;
};

TEST_F(Pool, PublishesTheCroppedPictureWithItsMetadata) {
  open(scratch_ / "out");
  pool_->write_picture(sample_request());
  const auto messages = inbox_.wait_for(1);
  ASSERT_EQ(messages.size(), 1u);
  const auto& written = std::get<control::PictureWritten>(messages[0]);
  EXPECT_EQ(written.worker, WorkerId{3});
  EXPECT_EQ(written.attempt, ChunkId{11});
  EXPECT_EQ(written.job, JobId{7});
  EXPECT_EQ(written.index, 1);
  EXPECT_EQ(written.effective.width, 60);
  EXPECT_EQ(written.effective.height, 40);
  EXPECT_EQ(written.effective.gpu, "GPU-1");

  const std::string path = scratch_ / "out/run_20261124_091530/fox_seed42_02.png";
  EXPECT_EQ(written.bytes, static_cast<std::int64_t>(std::filesystem::file_size(path)));
  const auto image = read_png(path);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->width, 60);
  EXPECT_EQ(image->height, 40);
  EXPECT_EQ(image->data[0], 2);
  EXPECT_EQ(image->data[1], 12);
  const auto texts = read_png_text(path);
  ASSERT_TRUE(texts);
  ASSERT_EQ(texts->size(), 2u);
  EXPECT_EQ((*texts)[0].key, "parameters");
  EXPECT_TRUE((*texts)[0].text.starts_with("a red fox, photo\nNegative prompt: "));
  EXPECT_EQ((*texts)[1].key, "pixelfleet");
  EXPECT_EQ(parse_json((*texts)[1].text).value()["size"]["generated_height"], 64);
}

TEST_F(Pool, ReportsAPictureThatCannotBeWritten) {
  open(scratch_ / "out");
  write_file(scratch_ / "out/run_20261124_091530", "a file where the directory should be");
  pool_->write_picture(sample_request());
  const auto messages = inbox_.wait_for(1);
  ASSERT_EQ(messages.size(), 1u);
  const auto& failed = std::get<control::PictureFailed>(messages[0]);
  EXPECT_EQ(failed.job, JobId{7});
  EXPECT_NE(failed.error.message.find("run_20261124_091530"), std::string::npos);
}

TEST_F(Pool, RefusesPixelsThatDoNotFitTheirSize) {
  open(scratch_ / "out");
  auto request = sample_request();
  RgbImage short_of_a_pixel = gradient(64, 64);
  for (int i = 0; i < 3; ++i) short_of_a_pixel.data.pop_back();
  request.pixels = std::make_shared<OwnedPixels>(std::move(short_of_a_pixel));
  pool_->write_picture(std::move(request));
  const auto messages = inbox_.wait_for(1);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<control::PictureFailed>(messages[0]).error.code, ErrorCode::corrupt);
}

TEST_F(Pool, EncodesPreviewsSmall) {
  open(scratch_ / "out");
  pool_->encode_preview(JobId{7}, 1, 4, 20, std::make_shared<OwnedPixels>(gradient(1024, 512)));
  const auto messages = inbox_.wait_for(1);
  ASSERT_EQ(messages.size(), 1u);
  const auto& preview = std::get<control::PreviewEncoded>(messages[0]);
  EXPECT_EQ(preview.step, 4);
  EXPECT_TRUE(preview.base64_jpeg.starts_with("/9j/"));
  EXPECT_LT(preview.base64_jpeg.size(), 60'000u);
}

TEST_F(Pool, KeepsTheOrderOfTheJobLog) {
  open(scratch_ / "out");
  for (int i = 1; i <= 200; ++i) {
    Job job = sample_request().job;
    job.id = JobId{i};
    pool_->log_job(job, {}, nullptr);
  }
  pool_.reset();  // the lines are written before the threads end
  std::ifstream log(scratch_ / "out/jobs_lab-1.log");
  std::string line;
  int expected = 1;
  while (std::getline(log, line)) EXPECT_EQ(parse_json(line).value()["job_id"], expected++);
  EXPECT_EQ(expected, 201);
}

TEST_F(Pool, RemovesUnfinishedPicturesOfAnEarlierRun) {
  std::filesystem::create_directories(scratch_ / "out/run_1");
  write_file(scratch_ / "out/run_1/.pixelfleet-1-0.tmp", "x");
  open(scratch_ / "out");
  pool_.reset();
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out/run_1/.pixelfleet-1-0.tmp"));
}

TEST_F(Pool, WaitsForSpaceOnAFullDiskAndThenPublishes) {
  const std::string small = scratch_ / "small";
  std::filesystem::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  struct Unmount {
    std::string path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } const unmount{small};
  write_file(small + "/ballast", std::string(256 * 1024, 'x'));

  open(small);
  for (int i = 0; i < 3; ++i) {
    auto request = sample_request();
    request.image.index = i;
    request.image.path = format("run_1/{}.png", i);
    pool_->write_picture(std::move(request));
  }
  Job job = sample_request().job;
  pool_->log_job(job, {}, nullptr);
  while (!pool_->waits_for_space()) std::this_thread::yield();
  EXPECT_EQ(inbox_.count(), 0u);
  std::filesystem::remove(small + "/ballast");
  const auto messages = inbox_.wait_for(3);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_FALSE(pool_->waits_for_space());
  for (const auto& message : messages) EXPECT_TRUE(std::holds_alternative<control::PictureWritten>(message));
  pool_.reset();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(read_png(format("{}/run_1/{}.png", small, i)));
  EXPECT_EQ(parse_json(read_file(small + "/jobs_lab-1.log")).value()["job_id"], 7);
}

TEST_F(Pool, EndsWhileTheDiskIsFull) {
  const std::string small = scratch_ / "small";
  std::filesystem::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  struct Unmount {
    std::string path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } const unmount{small};
  write_file(small + "/ballast", std::string(64 * 1024, 'x'));
  open(small);
  pool_->write_picture(sample_request());
  while (!pool_->waits_for_space()) std::this_thread::yield();
  pool_.reset();
  EXPECT_EQ(inbox_.count(), 0u) << "no answer: the attempt is repeated after the next start";
}

}  // namespace
}  // namespace pixelfleet::media
