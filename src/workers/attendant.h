// Attendant: the server's side of one worker process, from hello to the reaped process.
//
// A state machine fed by the supervisor's thread: socket, output, exit, deadlines, and the control loop's orders. It
// posts to the inbox by itself. Rules: every message is checked against what was asked; a breach ends the process;
// pictures that arrived before a death still count; WorkerIsGone comes once, after the process is gone; nothing is
// posted after stop().
//
//   starting -hello-> loading -ready-> ready <-> running        any of them -> leaving -> killed -> (stuck) -> gone
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "control/ports.h"
#include "ipc/channel.h"
#include "workers/exit_status.h"
#include "workers/log_tail.h"
#include "workers/protocol.h"
#include "workers/spawn.h"
#include "workers/supervisor.h"

namespace pixelfleet::workers {

class Attendant {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class State { starting, loading, ready, running, leaving, killed, stuck, gone };

  // Called on any thread when nobody holds the pixels of a picture any more.
  using PixelsReleased = std::function<void(ChunkId chunk, int index)>;

  Attendant(control::WorkerSpec spec, Process process, const SupervisorOptions& options, control::Inbox& inbox,
            PixelsReleased pixels_released, Time now);

  // What the supervisor's thread watches. Socket and output are -1 once they are of no more use.
  int socket() const { return channel_.fd(); }
  int output() const { return process_.output.get(); }
  int pidfd() const { return process_.pidfd.get(); }
  bool wants_to_write() const { return !outbox_.empty() && channel_.fd() >= 0; }
  Time deadline() const;

  void on_socket(Time now);
  void on_output();
  void on_exit(Time now);
  void on_deadline(Time now);

  void run(const control::ChunkRequest& request, Time now);
  void cancel(ChunkId chunk, Time now);
  // Of a picture that was taken, or whose pixels were released; the second word about it changes nothing.
  void acknowledge(ChunkId chunk, int index, Time now);
  void stop(Time now);

  State state() const { return state_; }
  bool is_stopped() const { return muted_; }
  const control::WorkerSpec& spec() const { return spec_; }
  int pid() const { return process_.pid; }

 private:
  struct Chunk {
    ChunkId id;
    std::map<int, std::int64_t> missing;  // index -> seed
    std::deque<int> order;                // indices as the worker makes them
    int width = 0;
    int height = 0;
    std::optional<Time> cancel_by;  // end the process if the chunk is not over by then
    bool cancelled = false;
  };

  void read_frames(int budget, Time now);
  void handle(ipc::Frame frame, Time now);
  void accept(const protocol::Hello& hello, Time now);
  void accept(const protocol::LoadProgress& progress, Time now);
  void accept(const protocol::Ready& ready, Time now);
  void accept(const protocol::LoadFailed& failed, Time now);
  void accept(const protocol::Progress& progress, Time now);
  void accept_preview(const protocol::Preview& preview, UniqueFd memory, Time now);
  void accept_image(const protocol::Image& image, UniqueFd memory, Time now);
  void accept(const protocol::ChunkDone& done, Time now);

  Result<> send_inputs(const control::ChunkRequest& request, Time now);
  void send(const protocol::ToWorker& order, Time now, UniqueFd file = {});
  void flush(Time now);
  void note_movement(Time now);
  bool is_held_back() const { return std::ssize(unacknowledged_) >= protocol::kMaxUnacknowledged; }
  std::chrono::milliseconds silence_limit() const;
  Doing doing() const;
  std::string label() const;  // "worker 7 (demo-city on virtual-0)"

  void breach(const std::string& what, Time now);  // ends the process over a broken rule
  void kill(Verdict verdict, Time now);
  void expect_exit(Verdict verdict, Time now);
  void report_gone(Verdict verdict);
  void post(control::Message message);
  void offer(control::Message message);

  const control::WorkerSpec spec_;
  const SupervisorOptions& options_;
  control::Inbox& inbox_;
  const PixelsReleased pixels_released_;

  Process process_;
  ipc::Channel channel_;
  struct Outgoing {
    std::string text;
    UniqueFd file;  // that travels beside it
  };
  std::deque<Outgoing> outbox_;
  LogTail log_;

  State state_ = State::starting;
  Time since_;  // when the state began
  bool muted_ = false;
  std::optional<Verdict> verdict_;     // since leaving: why, where that is known before the process has ended
  Doing was_doing_ = Doing::starting;  // before leaving
  control::Capabilities capabilities_;

  std::optional<Chunk> chunk_;
  std::set<std::pair<ChunkId, int>> unacknowledged_;
  Time moved_at_;  // the last sign of progress
  Phase phase_ = Phase::load;
  int step_ = -1;
  std::chrono::milliseconds longest_pause_{0};  // between two signs of progress, over whole pictures
  std::int64_t learned_pixels_ = 0;             // of the largest picture finished here
};

}  // namespace pixelfleet::workers
