// StagingPool: brings model files into host memory ahead of their loads, and sees when the system has dropped them.
//
// One thread reads, one model after the other: two readers would halve each other. What it has brought in, or was told
// to look at, it watches: the memory is the page cache, which the kernel takes back when others need it. Which file is
// worth its place is the scheduler's to decide. Calls come from any thread and never block; answers go to the inbox.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <thread>
#include <variant>

#include "base/mutex.h"
#include "control/ports.h"

namespace pixelfleet::hostmem {

class StagingPool final : public control::HostMemoryPort {
 public:
  struct Options {
    std::chrono::milliseconds watch_interval{15'000};
  };

  // `inbox` must outlive the pool.
  StagingPool(Options options, control::Inbox& inbox);
  ~StagingPool() override;  // stops reading; what is in memory stays there
  StagingPool(const StagingPool&) = delete;
  StagingPool& operator=(const StagingPool&) = delete;

  void stage(const control::FilesOfModel& files) override;
  void unstage(const control::FilesOfModel& files) override;
  void check(const control::FilesOfModel& files) override;

 private:
  struct Stage {
    control::FilesOfModel files;
  };
  struct LetGo {
    control::FilesOfModel files;
  };
  struct Check {
    control::FilesOfModel files;
  };
  struct Watch {};
  struct Stop {};
  using Task = std::variant<Stage, LetGo, Check, Watch, Stop>;

  void run();
  Task next_task();
  void push(Task task);
  void carry_out(const Stage& task);
  void carry_out(const LetGo& task);
  void carry_out(const Check& task);
  void watch();
  bool is_needed_by_others(const std::string& file, const ModelKey& model) const;

  const Options options_;
  control::Inbox& inbox_;

  // Of the pool's thread.
  std::map<ModelKey, control::FilesOfModel> held_;
  std::chrono::steady_clock::time_point watch_at_;

  std::atomic<bool> cancelled_ = false;  // the reading under way
  mutable Mutex mutex_;
  CondVar work_;
  std::deque<Task> tasks_ GUARDED_BY(mutex_);
  std::optional<ModelKey> reading_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;

  std::thread thread_;  // started last, joined first
};

}  // namespace pixelfleet::hostmem
