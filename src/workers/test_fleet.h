// TestFleet: a supervisor over real processes and an inbox that remembers, for tests.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "workers/supervisor.h"

namespace pixelfleet::workers {

// Keeps every message in order. Waiting has a limit far above what any machine needs.
class RecordingInbox final : public control::Inbox {
 public:
  void post(control::Message message) override { keep(std::move(message)); }
  bool offer(control::Message message) override {
    keep(std::move(message));
    return true;
  }

  // Takes the first message of type T that is about `worker` and came after everything taken before for that worker
  // and type. Nothing after 60 s.
  template <class T>
  std::optional<T> take(WorkerId worker) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    MutexLock lock(mutex_);
    while (true) {
      for (auto message = messages_.begin(); message != messages_.end(); ++message) {
        T* found = std::get_if<T>(&*message);
        if (found == nullptr || found->worker != worker) continue;
        T taken = std::move(*found);
        messages_.erase(message);
        return taken;
      }
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) return std::nullopt;
    }
  }

  // How many messages of type T about `worker` have come and were not taken.
  template <class T>
  int count(WorkerId worker) {
    MutexLock lock(mutex_);
    int count = 0;
    for (const control::Message& message : messages_) {
      const T* found = std::get_if<T>(&message);
      count += found != nullptr && found->worker == worker ? 1 : 0;
    }
    return count;
  }

 private:
  void keep(control::Message message) {
    MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
    changed_.notify_all();
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<control::Message> messages_ GUARDED_BY(mutex_);
};

// Directory of the running test program; its siblings are the programs that tests start.
std::string program_directory();
std::string engines_directory();

SupervisorOptions fake_options();       // fake_worker; a model's key is its fault
SupervisorOptions synthetic_options();  // worker_host with the synthetic engine, very fast

class TestFleet {
 public:
  explicit TestFleet(const SupervisorOptions& options);

  Supervisor& supervisor() { return *supervisor_; }
  RecordingInbox& inbox() { return inbox_; }
  void end() { supervisor_.reset(); }

  // Each worker gets a virtual gpu of its own unless one is named.
  WorkerId start(const std::string& model, std::optional<DemoTraits> demo = std::nullopt, const GpuUuid& gpu = "");
  // The same, and waits until it is ready.
  WorkerId start_ready(const std::string& model, std::optional<DemoTraits> demo = std::nullopt);
  ChunkId run(WorkerId worker, int images, int steps = 4);
  ChunkId run(WorkerId worker, control::ChunkRequest request);
  // Runs `images` pictures, takes each at once, expects the chunk to be done.
  std::vector<control::ImageArrived> make(WorkerId worker, int images, int steps = 4);
  int pid_of(WorkerId worker) const;

 private:
  RecordingInbox inbox_;
  std::unique_ptr<Supervisor> supervisor_;
  std::int64_t last_worker_ = 0;
  std::int64_t last_chunk_ = 0;
};

DemoTraits demo(double step_seconds = 0.05, const std::string& faults = "");
control::ChunkRequest request_for(int images, int steps);
int open_descriptors();

}  // namespace pixelfleet::workers
