// MediaPool: a few threads that turn pixels into published pictures, previews and log lines.
//
// Pictures are written whole or not at all (output_directory.h). The senders bound how many are in flight: a worker
// has at most two unacknowledged pictures. A full disk loses nothing: the thread keeps the picture and tries again
// until there is space. Previews are worth nothing when late, so only the newest of each image waits, a few in all.
// Calls come from any thread and never block; answers go to the inbox.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "control/ports.h"
#include "media/output_directory.h"

namespace pixelfleet::media {

class MediaPool final : public control::MediaPort {
 public:
  struct Options {
    std::string output_directory;
    std::string instance_id;  // names the job log
    std::string version;      // of this program, as the metadata shows it
    int threads = 2;
    std::chrono::milliseconds retry_interval{2000};  // between two tries on a full disk
  };

  // Fails when the output directory cannot be made or opened. `inbox` and `clock` must outlive the pool.
  static Result<std::unique_ptr<MediaPool>> open(const Options& options, control::Inbox& inbox, Clock& clock);
  // Finishes what is being written and the log lines; pictures still waiting are dropped: their attempts are repeated
  // after the next start.
  ~MediaPool() override;
  MediaPool(const MediaPool&) = delete;
  MediaPool& operator=(const MediaPool&) = delete;

  void write_picture(control::PictureRequest request) override;
  void encode_preview(JobId job, int index, int step, int steps, control::PixelsPtr pixels) override;
  void log_job(const Job& job, const std::vector<Image>& images, const Model* model) override;

  // Whether finished pictures wait for a full disk: what readiness and the page tell.
  bool waits_for_space() const;

 private:
  struct Preview {
    JobId job;
    int index = 0;
    int step = 0;
    int steps = 0;
    control::PixelsPtr pixels;
  };

  struct LogLine {
    std::string text;
  };
  struct Stop {};
  using Task = std::variant<Stop, control::PictureRequest, LogLine, Preview>;

  MediaPool(const Options& options, OutputDirectory output, control::Inbox& inbox, Clock& clock);
  void start();
  void run(bool sweeps);
  // The most urgent task, waited for: pictures free workers, log lines are short, previews may be late.
  Task next_task();
  void publish(control::PictureRequest request);
  void write_log(const LogLine& line);
  void encode(const Preview& preview);
  // True when the disk may have space again, false at shutdown.
  bool wait_for_space(const Error& error);
  void space_is_back();

  const Options options_;
  const OutputDirectory output_;
  control::Inbox& inbox_;
  Clock& clock_;
  std::vector<std::thread> threads_;  // started last, joined first

  mutable Mutex mutex_;
  CondVar work_;   // a task came
  CondVar space_;  // only shutdown notifies it: for the pause before another try on a full disk
  std::deque<control::PictureRequest> pictures_ GUARDED_BY(mutex_);
  std::deque<Preview> previews_ GUARDED_BY(mutex_);
  std::deque<LogLine> log_lines_ GUARDED_BY(mutex_);
  bool log_is_being_written_ GUARDED_BY(mutex_) = false;  // one thread at a time keeps the lines in order
  bool disk_is_full_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace pixelfleet::media
