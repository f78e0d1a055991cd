// EventHub: fans events out to every open stream; bounded per client, serialised once.
//
// A Frame is one event as it goes over the wire; all clients share it. Each client has a ClientQueue of bounded bytes:
// when it is full, lossy frames give way first, and a client that cannot even take a durable one is cut off (it
// reconnects and resumes by its last seq). Everything here belongs to the I/O thread; it does no I/O itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "domain/event.h"

namespace pixelfleet::http {

class Frame {
 public:
  explicit Frame(const Event& event);
  // The first frame of a stream: seq is what the snapshot contains.
  Frame(std::int64_t snapshot_seq, Instant at, std::string_view snapshot_json);

  std::int64_t seq() const { return seq_; }  // 0: lossy
  bool durable() const { return seq_ > 0; }
  std::string_view sse() const { return text_; }  // "id: 7\ndata: {...}\n\n"
  std::string_view json() const { return std::string_view(text_).substr(json_begin_, json_size_); }

 private:
  void build(std::string_view type, Instant at, std::string_view data);

  std::int64_t seq_ = 0;
  std::string text_;
  std::size_t json_begin_ = 0;
  std::size_t json_size_ = 0;
};

using FramePtr = std::shared_ptr<const Frame>;

class ClientQueue {
 public:
  explicit ClientQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  enum class Push { queued, dropped, overflow };
  Push push(FramePtr frame);
  FramePtr pop();  // null when empty

  bool empty() const { return frames_.empty(); }
  std::size_t bytes() const { return bytes_; }
  std::size_t dropped() const { return dropped_; }

 private:
  void drop_lossy(std::size_t bytes_needed);

  const std::size_t max_bytes_;
  std::deque<FramePtr> frames_;
  std::size_t bytes_ = 0;
  std::size_t dropped_ = 0;
};

// One open stream. It first catches up (snapshot or replay), then follows; frames it already sent are not repeated.
class EventClient {
 public:
  explicit EventClient(std::size_t max_queue_bytes) : queue_(max_queue_bytes) {}
  virtual ~EventClient() = default;

  // Live frames that the client must not lose while it catches up wait in the queue; lossy ones are useless then.
  void deliver(const FramePtr& frame);
  // The next live frame to write, past everything that was sent by seq.
  FramePtr next();
  // `seq` is on the wire, as part of a snapshot or as a frame.
  void sent(std::int64_t seq) { sent_seq_ = std::max(sent_seq_, seq); }
  void caught_up() { catching_up_ = false; }

  std::int64_t sent_seq() const { return sent_seq_; }
  const ClientQueue& queue() const { return queue_; }

 private:
  virtual void wake() = 0;     // there is something to write
  virtual void cut_off() = 0;  // it fell too far behind

  ClientQueue queue_;
  bool catching_up_ = true;
  bool is_cut_off_ = false;
  std::int64_t sent_seq_ = 0;
};

class EventHub {
 public:
  // Progress of one job goes out at most this often; the latest one always does.
  static constexpr std::chrono::milliseconds kProgressInterval{100};

  void add(EventClient* client) { clients_.insert(client); }
  void remove(EventClient* client) { clients_.erase(client); }
  std::size_t clients() const { return clients_.size(); }

  void deliver(const EventPtr& event, Instant now);
  // Sends progress that was held back and is due; the time to call again, if any is still held.
  std::optional<Instant> flush(Instant now);

 private:
  struct Held {
    Instant last_sent;
    EventPtr latest;  // null: nothing waits
  };

  void fan_out(const Event& event);

  std::set<EventClient*> clients_;
  std::map<std::string, Held> progress_;  // by the job and the gpu in the event's data
};

}  // namespace pixelfleet::http
