// Feed: numbers, keeps and hands out events. Durable ones get the next seq and go to subscribers after their commit.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/mutex.h"
#include "control/service.h"
#include "domain/event.h"

namespace pixelfleet::control {

class Feed {
 public:
  explicit Feed(std::int64_t last_seq) : last_seq_(last_seq) {}

  // Control thread only.
  EventPtr durable(std::string type, Instant at, const Json& data);
  EventPtr lossy(std::string type, Instant at, const Json& data) const;
  std::int64_t last_seq() const { return last_seq_; }
  // Takes back numbers whose commit failed.
  void rewind(std::int64_t seq) { last_seq_ = seq; }
  void publish(const EventPtr& event);

  // Any thread.
  bool has_subscribers() const;
  std::unique_ptr<Subscription> subscribe(std::function<void(const EventPtr&)> on_event);

 private:
  struct Subscribers {
    mutable Mutex mutex;
    std::map<std::int64_t, std::function<void(const EventPtr&)>> callbacks GUARDED_BY(mutex);
    std::int64_t next GUARDED_BY(mutex) = 1;
  };
  class Handle;

  std::int64_t last_seq_;
  // Shared with the handles: a subscription may outlive the feed.
  std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
};

}  // namespace pixelfleet::control
