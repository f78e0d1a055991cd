#include "ipc/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/format.h"
#include "ipc/sealed_buffer.h"

namespace pixelfleet::ipc {
namespace {

// The packet that says "my text is in the memfd".
constexpr std::string_view kLargeMarker = R"({"type":"large"})";
// Room for more descriptors than the one allowed: those that arrive are closed by us, the rest by the kernel.
constexpr std::size_t kDescriptorRoom = 8;

std::vector<UniqueFd> take_descriptors(msghdr& header) {
  std::vector<UniqueFd> taken;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

// recvmsg says 0 for an empty packet and for the end alike. At the end it says so again.
bool really_closed(int socket) {
  char byte = 0;
  return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

Result<Received> unpack_large(UniqueFd memory) {
  auto text = SealedBuffer::map_up_to(std::move(memory), kMaxTextBytes);
  if (!text) return fail(text.error());
  const auto bytes = text->bytes();
  return Received(Frame{std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), UniqueFd()});
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> Channel::open_pair() {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(system_error("creating a socket pair", errno));
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Channel::Channel(UniqueFd socket)
    : socket_(std::move(socket)), buffer_(std::make_unique_for_overwrite<char[]>(kMaxInlineBytes)) {}

Result<Received> Channel::receive(Wait wait) {
  iovec text{buffer_.get(), kMaxInlineBytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorRoom)];
  msghdr header{};
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);

  ssize_t size = -1;
  do {
    size = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | (wait == Wait::no ? MSG_DONTWAIT : 0));
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Received(NothingYet{});
    if (errno == ECONNRESET) return Received(PeerClosed{});
    return fail(system_error("reading a frame", errno));
  }

  std::vector<UniqueFd> descriptors = take_descriptors(header);
  if ((header.msg_flags & MSG_TRUNC) != 0) {
    return fail(ErrorCode::corrupt, format("a frame is longer than {} bytes", kMaxInlineBytes));
  }
  if ((header.msg_flags & MSG_CTRUNC) != 0 || descriptors.size() > 1) {
    return fail(ErrorCode::corrupt,
                "a frame carries more descriptors than the one allowed, or this process has no free descriptor left");
  }
  if (size == 0) {
    if (descriptors.empty() && really_closed(socket_.get())) return Received(PeerClosed{});
    return fail(ErrorCode::corrupt, "a frame is empty");
  }

  UniqueFd memory = descriptors.empty() ? UniqueFd() : std::move(descriptors.front());
  const std::string_view packet(buffer_.get(), static_cast<std::size_t>(size));
  if (packet == kLargeMarker) return unpack_large(std::move(memory));
  return Received(Frame{std::string(packet), std::move(memory)});
}

Result<Sent> Channel::send(std::string_view text, int memory, Wait wait) {
  if (text.empty() || text.size() > kMaxTextBytes) {
    return fail(ErrorCode::invalid_argument,
                format("a frame of {} bytes cannot be sent; 1 to {} are allowed", text.size(), kMaxTextBytes));
  }
  if (text.size() <= kMaxInlineBytes) return send_packet(text, memory, wait);
  if (memory >= 0) {
    return fail(ErrorCode::invalid_argument,
                format("a frame with shared memory may have {} bytes of text, not {}", kMaxInlineBytes, text.size()));
  }
  auto large = seal({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, "pixelfleet-frame");
  if (!large) return fail(large.error());
  return send_packet(kLargeMarker, large->get(), wait);
}

Result<Sent> Channel::send_packet(std::string_view text, int memory, Wait wait) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (memory >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &memory, sizeof(int));
  }
  while (true) {
    const ssize_t size =
        sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_EOR | (wait == Wait::no ? MSG_DONTWAIT : 0));
    if (size >= 0) return Sent::yes;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Sent::would_block;
    if (errno == EPIPE || errno == ECONNRESET) return fail(ErrorCode::unavailable, "the other process is gone");
    return fail(system_error("sending a frame", errno));
  }
}

}  // namespace pixelfleet::ipc
