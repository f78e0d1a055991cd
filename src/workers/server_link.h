// ServerLink: the worker's end of the conversation with its server.
//
// The main thread sends and takes work; a reader thread hears cancel, ack and shutdown while the engine computes. A
// worker owns nothing that needs care at its end, so shutdown, a lost server and a broken message end the process at
// once, from whichever thread sees them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "ipc/channel.h"
#include "workers/protocol.h"

namespace pixelfleet::workers {

class ServerLink {
 public:
  explicit ServerLink(UniqueFd socket) : channel_(std::move(socket)) {}

  // The first order, before the reader thread runs.
  protocol::Load wait_for_load();

  // Starts the reader thread. `on_cancel` is called on it with the chunk's id.
  void start_reading(std::function<void(std::int64_t chunk)> on_cancel);

  // Any thread. `memory` stays the caller's.
  void send(const protocol::FromWorker& message, int memory = -1);
  // Hands over a picture: waits until the server has taken enough of the earlier ones. A picture of a chunk that is
  // cancelled meanwhile is dropped.
  void send_image(const protocol::Image& image, int memory);

  struct Order {
    protocol::Run run;
    std::map<std::string, UniqueFd> inputs;  // by role
  };
  Order wait_for_run();
  bool is_cancelled(std::int64_t chunk);

 private:
  struct Received {
    protocol::ToWorker order;
    UniqueFd file;
  };
  Received receive();
  void read_orders();

  ipc::Channel channel_;
  std::function<void(std::int64_t)> on_cancel_;

  // Reader thread only: files of the chunk that comes next.
  std::int64_t inputs_chunk_ = 0;
  std::map<std::string, UniqueFd> inputs_;

  Mutex send_mutex_;  // frames of one sender at a time; never taken while mutex_ is held

  Mutex mutex_;
  CondVar changed_;
  std::deque<Order> runs_ GUARDED_BY(mutex_);
  std::int64_t cancelled_chunk_ GUARDED_BY(mutex_) = 0;
  int unacknowledged_ GUARDED_BY(mutex_) = 0;
};

// Ends the process without running destructors: engine libraries have threads of their own inside them.
[[noreturn]] void leave(int code);

}  // namespace pixelfleet::workers
