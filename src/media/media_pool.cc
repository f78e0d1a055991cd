#include "media/media_pool.h"

#include <array>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "media/encode.h"
#include "media/job_log.h"
#include "media/metadata.h"

namespace pixelfleet::media {
namespace {

constexpr std::size_t kMaxWaitingPreviews = 16;
constexpr int kPreviewWidth = 384;
constexpr int kPreviewHeight = 768;  // a tall picture is bounded too
constexpr int kPreviewQuality = 75;

RgbView view_of(const control::Pixels& pixels) {
  return {pixels.bytes().data(), pixels.width(), pixels.height(), static_cast<std::size_t>(pixels.width()) * 3};
}

Result<std::string> encode_picture(control::PictureRequest& request, const std::string& version) {
  const RgbView made = view_of(*request.pixels);
  if (request.pixels->bytes().size() != made.stride_bytes * static_cast<std::size_t>(made.height)) {
    return fail(ErrorCode::corrupt,
                format("{} bytes of pixels for {}x{}", request.pixels->bytes().size(), made.width, made.height));
  }
  const RgbView picture = crop_centred(made, request.job.settings.width, request.job.settings.height);
  request.image.effective.width = picture.width;
  request.image.effective.height = picture.height;
  const PictureFacts facts{request.job, request.image, request.model, made.width, made.height, version};
  const std::array texts = {
      PngTextChunk{{std::string(kInfotextKey), infotext(facts)}, TextCarrier::latin1_if_possible},
      PngTextChunk{{std::string(kSpecKey), spec_json(facts)}, TextCarrier::always_utf8},
  };
  return encode_png(picture, texts);
}

}  // namespace

Result<std::unique_ptr<MediaPool>> MediaPool::open(const Options& options, control::Inbox& inbox, Clock& clock) {
  auto output = OutputDirectory::open(options.output_directory);
  if (!output) return fail(output.error());
  std::unique_ptr<MediaPool> pool(new MediaPool(options, std::move(*output), inbox, clock));
  pool->start();
  return pool;
}

MediaPool::MediaPool(const Options& options, OutputDirectory output, control::Inbox& inbox, Clock& clock)
    : options_(options), output_(std::move(output)), inbox_(inbox), clock_(clock) {}

void MediaPool::start() {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this, i] { run(i == 0); });
}

MediaPool::~MediaPool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    space_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void MediaPool::write_picture(control::PictureRequest request) {
  const MutexLock lock(mutex_);
  pictures_.push_back(std::move(request));
  work_.notify_one();
}

void MediaPool::encode_preview(JobId job, int index, int step, int steps, control::PixelsPtr pixels) {
  const MutexLock lock(mutex_);
  for (Preview& waiting : previews_) {
    if (waiting.job == job && waiting.index == index) {
      waiting = {job, index, step, steps, std::move(pixels)};
      return;
    }
  }
  if (previews_.size() == kMaxWaitingPreviews) previews_.pop_front();
  previews_.push_back({job, index, step, steps, std::move(pixels)});
  work_.notify_one();
}

void MediaPool::log_job(const Job& job, const std::vector<Image>& images, const Model* model) {
  LogLine line{job_log_line(job, images, model, {output_.path(), options_.instance_id, clock_.now()})};
  const MutexLock lock(mutex_);
  log_lines_.push_back(std::move(line));
  work_.notify_one();
}

bool MediaPool::waits_for_space() const {
  const MutexLock lock(mutex_);
  return disk_is_full_;
}

void MediaPool::run(bool sweeps) {
  if (sweeps) {
    if (const int removed = output_.remove_orphans(); removed > 0) {
      log::info("media", "removed {} unfinished pictures of an earlier run", removed);
    }
  }
  while (true) {
    Task task = next_task();
    if (std::holds_alternative<Stop>(task)) return;
    if (auto* picture = std::get_if<control::PictureRequest>(&task)) publish(std::move(*picture));
    if (const auto* line = std::get_if<LogLine>(&task)) write_log(*line);
    if (const auto* preview = std::get_if<Preview>(&task)) encode(*preview);
  }
}

MediaPool::Task MediaPool::next_task() {
  const auto take = [](auto& queue) {
    Task task = std::move(queue.front());
    queue.pop_front();
    return task;
  };
  const MutexLock lock(mutex_);
  while (true) {
    if (!pictures_.empty() && !stopping_) return take(pictures_);
    if (!log_lines_.empty() && !log_is_being_written_) {
      log_is_being_written_ = true;
      return take(log_lines_);
    }
    if (stopping_) return Stop{};
    if (!previews_.empty()) return take(previews_);
    work_.wait(mutex_);
  }
}

void MediaPool::publish(control::PictureRequest request) {
  const auto bytes = encode_picture(request, options_.version);
  Result<> done;
  if (bytes) {
    request.pixels.reset();  // the worker's memory goes back as soon as the encoded copy stands
    const std::string tag = format("{}-{}", request.attempt.value, request.image.index);
    done = output_.publish(request.image.path, tag, *bytes);
    while (!done && done.error().code == ErrorCode::disk_full) {
      if (!wait_for_space(done.error())) return;
      done = output_.publish(request.image.path, tag, *bytes);
    }
    if (done) space_is_back();
  } else {
    done = fail(bytes.error());
  }
  const JobId job = request.job.id;
  const int index = request.image.index;
  if (done) {
    inbox_.post(control::PictureWritten{request.worker, request.attempt, job, index,
                                        static_cast<std::int64_t>(bytes->size()), request.image.effective});
  } else {
    inbox_.post(control::PictureFailed{request.worker, request.attempt, job, index, done.error()});
  }
}

void MediaPool::encode(const Preview& preview) {
  const RgbView view = view_of(*preview.pixels);
  if (view.width <= 0 || view.height <= 0 ||
      preview.pixels->bytes().size() != view.stride_bytes * static_cast<std::size_t>(view.height)) {
    return;
  }
  const FittedSize size = fit_within(view.width, view.height, kPreviewWidth, kPreviewHeight);
  const bool fits = size.width == view.width && size.height == view.height;
  const auto jpeg = fits ? encode_jpeg(view, kPreviewQuality)
                         : encode_jpeg(box_downscale(view, size.width, size.height).view(), kPreviewQuality);
  if (!jpeg) return;
  inbox_.offer(control::PreviewEncoded{preview.job, preview.index, preview.step, preview.steps, base64(*jpeg)});
}

void MediaPool::write_log(const LogLine& line) {
  const std::string file = job_log_file(options_.instance_id);
  auto done = output_.append(file, line.text);
  while (!done && done.error().code == ErrorCode::disk_full) {
    if (!wait_for_space(done.error())) break;
    done = output_.append(file, line.text);
  }
  if (!done) log::error("media", "a line of the job log is lost: {}", done.error().message);
  const MutexLock lock(mutex_);
  log_is_being_written_ = false;
}

bool MediaPool::wait_for_space(const Error& error) {
  const MutexLock lock(mutex_);
  if (!disk_is_full_) {
    disk_is_full_ = true;
    log::warn("media",
              "{}; finished pictures are kept in memory until there is space (free some, or check quota and mount)",
              error.message);
  }
  const auto deadline = std::chrono::steady_clock::now() + options_.retry_interval;
  while (!stopping_ && space_.wait_until(mutex_, deadline) != std::cv_status::timeout) {
  }
  return !stopping_;
}

void MediaPool::space_is_back() {
  const MutexLock lock(mutex_);
  if (!disk_is_full_) return;
  disk_is_full_ = false;
  log::info("media", "the output directory takes pictures again");
}

}  // namespace pixelfleet::media
