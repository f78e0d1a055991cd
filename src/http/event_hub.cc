#include "http/event_hub.h"

#include <algorithm>
#include <utility>

#include "base/format.h"

namespace pixelfleet::http {
namespace {

// What follows `key` in the text, up to the first character of `end`.
std::string_view after(std::string_view text, std::string_view key, std::string_view end) {
  const std::size_t begin = text.find(key);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = text.substr(begin + key.size());
  return rest.substr(0, rest.find_first_of(end));
}

// {"job_id":17,"progress":{"gpu":"GPU-1",...}} -> "17 GPU-1": a job in several chunks is told of by each of its gpus,
// and one must not replace the other. The loop writes these keys itself, compact.
std::string progress_key(std::string_view data) {
  std::string key(after(data, "\"job_id\":", ",}"));
  return key.append(" ").append(after(data, "\"gpu\":\"", "\""));
}

}  // namespace

Frame::Frame(const Event& event) : seq_(event.seq) { build(event.type, event.at, event.data); }

Frame::Frame(std::int64_t snapshot_seq, Instant at, std::string_view snapshot_json) : seq_(snapshot_seq) {
  build("snapshot", at, snapshot_json);
}

void Frame::build(std::string_view type, Instant at, std::string_view data) {
  const bool numbered = durable() || type == "snapshot";
  const std::string seq = numbered ? format("{}", seq_) : "null";
  if (numbered) text_ = format("id: {}\n", seq);
  text_ += "data: ";
  json_begin_ = text_.size();
  text_ += format("{{\"seq\":{},\"type\":\"{}\",\"at\":{},\"data\":", seq, type, to_unix_ms(at));
  const std::size_t data_begin = text_.size();
  text_ += data;
  // A line break in JSON is only ever white space, and would end the frame early.
  std::replace_if(
      text_.begin() + static_cast<std::ptrdiff_t>(data_begin), text_.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
  text_ += '}';
  json_size_ = text_.size() - json_begin_;
  text_ += "\n\n";
}

ClientQueue::Push ClientQueue::push(FramePtr frame) {
  const std::size_t size = frame->sse().size();
  if (bytes_ + size > max_bytes_) drop_lossy(bytes_ + size - max_bytes_);
  // A durable frame that is larger than the whole queue still fits into an empty one.
  if (bytes_ + size > max_bytes_ && !(frame->durable() && frames_.empty())) {
    if (frame->durable()) return Push::overflow;
    ++dropped_;
    return Push::dropped;
  }
  bytes_ += size;
  frames_.push_back(std::move(frame));
  return Push::queued;
}

void ClientQueue::drop_lossy(std::size_t bytes_needed) {
  std::size_t freed = 0;
  std::erase_if(frames_, [&](const FramePtr& frame) {
    if (frame->durable() || freed >= bytes_needed) return false;
    freed += frame->sse().size();
    ++dropped_;
    return true;
  });
  bytes_ -= freed;
}

FramePtr ClientQueue::pop() {
  if (frames_.empty()) return nullptr;
  FramePtr frame = std::move(frames_.front());
  frames_.pop_front();
  bytes_ -= frame->sse().size();
  return frame;
}

void EventClient::deliver(const FramePtr& frame) {
  if (is_cut_off_ || (catching_up_ && !frame->durable())) return;
  if (queue_.push(frame) == ClientQueue::Push::overflow) {
    is_cut_off_ = true;
    cut_off();
  } else {
    wake();
  }
}

FramePtr EventClient::next() {
  while (FramePtr frame = queue_.pop()) {
    if (frame->durable() && frame->seq() <= sent_seq_) continue;
    sent(frame->seq());
    return frame;
  }
  return nullptr;
}

void EventHub::deliver(const EventPtr& event, Instant now) {
  if (event->type != "job.progress") return fan_out(*event);
  if (clients_.empty()) return;
  Held& held = progress_[progress_key(event->data)];
  if (now - held.last_sent < kProgressInterval) {
    held.latest = event;
    return;
  }
  held = {now, nullptr};
  fan_out(*event);
}

std::optional<Instant> EventHub::flush(Instant now) {
  std::optional<Instant> next;
  for (auto it = progress_.begin(); it != progress_.end();) {
    Held& held = it->second;
    const Instant due = held.last_sent + kProgressInterval;
    if (now < due) {
      next = next ? std::min(*next, due) : due;
    } else if (held.latest) {
      const EventPtr latest = std::exchange(held.latest, nullptr);
      held.last_sent = now;
      next = next ? std::min(*next, now + kProgressInterval) : now + kProgressInterval;
      fan_out(*latest);
    } else {
      it = progress_.erase(it);
      continue;
    }
    ++it;
  }
  return next;
}

void EventHub::fan_out(const Event& event) {
  if (clients_.empty()) return;
  const auto frame = std::make_shared<const Frame>(event);
  // A client that is cut off removes itself later, from its own coroutine, never inside this loop.
  for (EventClient* client : clients_) client->deliver(frame);
}

}  // namespace pixelfleet::http
