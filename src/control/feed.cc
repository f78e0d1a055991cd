#include "control/feed.h"

#include <utility>

#include "base/json_full.h"

namespace pixelfleet::control {

// The callbacks run under the mutex, so once erase() has it, none runs and none will.
class Feed::Handle final : public Subscription {
 public:
  Handle(std::shared_ptr<Subscribers> subscribers, std::int64_t key)
      : subscribers_(std::move(subscribers)), key_(key) {}
  ~Handle() override {
    MutexLock lock(subscribers_->mutex);
    subscribers_->callbacks.erase(key_);
  }

 private:
  const std::shared_ptr<Subscribers> subscribers_;
  const std::int64_t key_;
};

EventPtr Feed::durable(std::string type, Instant at, const Json& data) {
  return std::make_shared<const Event>(Event{++last_seq_, std::move(type), at, to_text(data)});
}

EventPtr Feed::lossy(std::string type, Instant at, const Json& data) const {
  return std::make_shared<const Event>(Event{0, std::move(type), at, to_text(data)});
}

void Feed::publish(const EventPtr& event) {
  MutexLock lock(subscribers_->mutex);
  for (const auto& [key, callback] : subscribers_->callbacks) callback(event);
}

bool Feed::has_subscribers() const {
  MutexLock lock(subscribers_->mutex);
  return !subscribers_->callbacks.empty();
}

std::unique_ptr<Subscription> Feed::subscribe(std::function<void(const EventPtr&)> on_event) {
  MutexLock lock(subscribers_->mutex);
  const std::int64_t key = subscribers_->next++;
  subscribers_->callbacks.emplace(key, std::move(on_event));
  return std::make_unique<Handle>(subscribers_, key);
}

}  // namespace pixelfleet::control
