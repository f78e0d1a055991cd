// Shared by this folder's tests: a scratch directory, pictures with recognisable pixels, an inbox that can be waited
// on.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "control/ports.h"
#include "media/rgb_view.h"

namespace pixelfleet::media {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "pixelfleet-media-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Every pixel tells its position: red = x, green = y, blue = a mix, all modulo 256.
inline RgbImage gradient(int width, int height) {
  RgbImage image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.data.push_back(static_cast<std::uint8_t>(x));
      image.data.push_back(static_cast<std::uint8_t>(y));
      image.data.push_back(static_cast<std::uint8_t>(x * 7 + y * 13));
    }
  }
  return image;
}

class OwnedPixels final : public control::Pixels {
 public:
  explicit OwnedPixels(RgbImage image) : image_(std::move(image)) {}
  std::span<const std::uint8_t> bytes() const override { return image_.data; }
  int width() const override { return image_.width; }
  int height() const override { return image_.height; }

 private:
  const RgbImage image_;
};

// Collects messages; `wait_for` blocks until `count` have come.
class CollectingInbox final : public control::Inbox {
 public:
  void post(control::Message message) override {
    const MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
    came_.notify_all();
  }
  bool offer(control::Message message) override {
    post(std::move(message));
    return true;
  }
  // Fewer than `count` only when they did not come within a time that says the test failed.
  std::vector<control::Message> wait_for(std::size_t count) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(mutex_);
    while (messages_.size() < count && came_.wait_until(mutex_, give_up) != std::cv_status::timeout) {
    }
    return messages_;
  }
  std::size_t count() {
    const MutexLock lock(mutex_);
    return messages_.size();
  }

 private:
  Mutex mutex_;
  CondVar came_;
  std::vector<control::Message> messages_ GUARDED_BY(mutex_);
};

class FixedClock final : public Clock {
 public:
  Instant now() override { return from_unix_ms(1'795'508'131'250); }
};

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A finished request for image 1 of job 7: 64x64 made, 60x40 asked.
inline control::PictureRequest sample_request() {
  control::PictureRequest request;
  request.worker = WorkerId{3};
  request.attempt = ChunkId{11};
  request.job.id = JobId{7};
  request.job.created_at = from_unix_ms(1'795'508'130'000);
  request.job.run_dir = "run_20261124_091530";
  request.job.seed_base = 41;
  request.job.requested.prompt = "a red fox";
  request.job.requested.negative_prompt = "blurry";
  request.job.requested.count = 2;
  JobSettings& settings = request.job.settings;
  settings.prompt = "a red fox, photo";
  settings.negative_prompt = "blurry, drawing";
  settings.model = "tiny";
  settings.profile = "Photoreal";
  settings.width = 60;
  settings.height = 40;
  settings.generate_width = settings.generate_height = 64;
  settings.steps = 26;
  settings.cfg_scale = 7.5;
  settings.sampler = "dpm++2m";
  settings.scheduler = "karras";
  request.image.id = ImageId{2};
  request.image.job_id = JobId{7};
  request.image.index = 1;
  request.image.seed = 42;
  request.image.path = "run_20261124_091530/fox_seed42_02.png";
  request.image.effective = {"0123456789abcdef", "sdcpp", "master-495", "GPU-1", 1.5, 64, 64};
  request.model.key = "tiny";
  request.model.title = "Tiny SD";
  request.model.family = "sd1";
  request.pixels = std::make_shared<OwnedPixels>(gradient(64, 64));
  return request;
}

}  // namespace pixelfleet::media
