// Mailbox: the one way into the control loop. Many threads post, the control thread drains.
//
// Bounded for what may be dropped or refused: lossy messages beyond kMaxLossy and submissions beyond kMaxRequests are
// turned away at the door; messages that must arrive (worker ends, pictures) are bounded by their senders.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "control/ports.h"

namespace pixelfleet::control {

class Mailbox final : public Inbox {
 public:
  static constexpr std::size_t kMaxLossy = 1024;
  static constexpr std::size_t kMaxRequests = 4096;

  void post(Message message) override;
  bool offer(Message message) override;
  // A client's request: false when too many wait already.
  [[nodiscard]] bool request(Message message);

  // Waits until there is something or `deadline` has come; takes everything there is, in order.
  std::vector<Message> drain(std::optional<std::chrono::steady_clock::time_point> deadline);

 private:
  bool push_if_below(std::size_t limit, Message&& message);

  Mutex mutex_;
  CondVar arrived_;
  std::vector<Message> messages_ GUARDED_BY(mutex_);
};

}  // namespace pixelfleet::control
