// Channel: whole messages (text, and at most one descriptor: a memfd or an open file) between two processes over a
// SOCK_SEQPACKET socket.
//
// It knows bytes, not meanings. Texts up to kMaxInlineBytes travel in the packet, longer ones in a sealed memfd, which
// the receiving Channel unpacks. Whatever a peer sends, no descriptor stays behind. One thread may receive while
// another sends; two senders must agree between them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::ipc {

inline constexpr std::size_t kMaxInlineBytes = 60 * 1024;  // below the kernel's default socket buffer
inline constexpr std::size_t kMaxTextBytes = 1024 * 1024;

struct Frame {
  std::string text;
  UniqueFd memory;  // the descriptor that came with it; none: not set
};
struct NothingYet {};
struct PeerClosed {};
using Received = std::variant<Frame, NothingYet, PeerClosed>;

enum class Wait { no, yes };
enum class Sent { yes, would_block };

class Channel {
 public:
  // Two connected sockets, both closed on exec.
  static Result<std::pair<UniqueFd, UniqueFd>> open_pair();

  explicit Channel(UniqueFd socket);

  // An error is a frame that breaks the rules (empty, too long, several descriptors ...) or a broken socket: the peer
  // is not worth listening to any longer.
  Result<Received> receive(Wait wait);

  // `memory` stays the caller's; only texts that fit into the packet may carry one. unavailable: the peer is gone.
  Result<Sent> send(std::string_view text, int memory, Wait wait);
  Result<Sent> send(std::string_view text, Wait wait) { return send(text, -1, wait); }

  int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  Result<Sent> send_packet(std::string_view text, int memory, Wait wait);

  UniqueFd socket_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace pixelfleet::ipc
