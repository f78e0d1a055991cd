// CollectingInbox: keeps what a source tells the control loop, for tests that wait for it.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "control/ports.h"

namespace pixelfleet::gpu {

// Collects messages; `wait_for` blocks until one of a type, and like `accept`, has come.
class CollectingInbox final : public control::Inbox {
 public:
  void post(control::Message message) override {
    const MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
    came_.notify_all();
  }
  bool offer(control::Message message) override {
    {
      const MutexLock lock(mutex_);
      if (refusals_ > 0) {
        --refusals_;
        return false;
      }
    }
    post(std::move(message));
    return true;
  }
  // The next `offers` find no room.
  void refuse(int offers) {
    const MutexLock lock(mutex_);
    refusals_ = offers;
  }
  template <class T, class Accept>
  std::optional<T> wait_for(Accept accept) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(mutex_);
    while (true) {
      for (const control::Message& message : messages_) {
        if (const T* found = std::get_if<T>(&message); found != nullptr && accept(*found)) return *found;
      }
      if (came_.wait_until(mutex_, give_up) == std::cv_status::timeout) return std::nullopt;
    }
  }
  template <class T>
  std::optional<T> wait_for() {
    return wait_for<T>([](const T&) { return true; });
  }
  // Until there are so many, those that have been there before counted in.
  template <class T>
  bool wait_for_count(int wanted) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(mutex_);
    while (count_locked<T>() < wanted) {
      if (came_.wait_until(mutex_, give_up) == std::cv_status::timeout) return false;
    }
    return true;
  }
  template <class T>
  int count() {
    const MutexLock lock(mutex_);
    return count_locked<T>();
  }

 private:
  template <class T>
  int count_locked() const REQUIRES(mutex_) {
    int n = 0;
    for (const control::Message& message : messages_) n += std::holds_alternative<T>(message) ? 1 : 0;
    return n;
  }

  Mutex mutex_;
  CondVar came_;
  std::vector<control::Message> messages_ GUARDED_BY(mutex_);
  int refusals_ GUARDED_BY(mutex_) = 0;
};

}  // namespace pixelfleet::gpu
