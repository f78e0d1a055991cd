#include "control/mailbox.h"

#include <utility>

namespace pixelfleet::control {

void Mailbox::post(Message message) {
  {
    MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
  }
  arrived_.notify_one();
}

bool Mailbox::offer(Message message) { return push_if_below(kMaxLossy, std::move(message)); }

bool Mailbox::request(Message message) { return push_if_below(kMaxRequests, std::move(message)); }

bool Mailbox::push_if_below(std::size_t limit, Message&& message) {
  {
    MutexLock lock(mutex_);
    if (messages_.size() >= limit) return false;
    messages_.push_back(std::move(message));
  }
  arrived_.notify_one();
  return true;
}

std::vector<Message> Mailbox::drain(std::optional<std::chrono::steady_clock::time_point> deadline) {
  MutexLock lock(mutex_);
  while (messages_.empty()) {
    if (!deadline) {
      arrived_.wait(mutex_);
    } else if (arrived_.wait_until(mutex_, *deadline) == std::cv_status::timeout) {
      break;
    }
  }
  return std::exchange(messages_, {});
}

}  // namespace pixelfleet::control
