// Event streams over server-sent events and WebSocket: join, catch up, follow.
//
// Each stream is one coroutine that writes, and one that notices that the client left. The client joins the hub before
// it catches up; see replay.h for why nothing is lost or repeated.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/log.h"
#include "http/core_internal.h"
#include "http/replay.h"
#include "http/response_head.h"

namespace pixelfleet::http {
namespace {

namespace beast = boost::beast;
using asio::ip::tcp;

constexpr std::size_t kWriteBatchBytes = 64u << 10;
constexpr std::chrono::seconds kWriteDeadline{60};
constexpr std::size_t kMaxClientMessage = 4096;  // clients have nothing to say

// Small kernel buffers, so that a reader that stopped shows in our bounded queue; a dead peer ends in 30 s.
void tune_stream_socket(int fd) {
  const int send_buffer_bytes = 128 << 10;
  const int on = 1;
  const int user_timeout_ms = 30'000;
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

using Frames = std::vector<FramePtr>;

class StreamClient : public EventClient {
 public:
  explicit StreamClient(Core& core)
      : EventClient(core.context.options.event_queue_bytes),
        core_(core),
        signal_(core.io),
        open_(core, [this] { close(); }) {
    ++core_.event_clients;
    core_.hub.add(this);
  }
  ~StreamClient() override {
    core_.hub.remove(this);
    --core_.event_clients;
  }

  virtual asio::awaitable<bool> write(Frames frames) = 0;
  virtual asio::awaitable<bool> write_heartbeat() = 0;

  void close() {
    is_closed_ = true;
    close_socket();
    signal_.cancel();
  }
  bool is_closed() const { return is_closed_; }

  // Until there may be something to write; false when the heartbeat is due first.
  asio::awaitable<bool> wait_for_frames() {
    signal_.expires_after(core_.context.options.heartbeat);
    const auto [error] = co_await signal_.async_wait(kTuple);
    co_return error == asio::error::operation_aborted;
  }

  Core& core() { return core_; }

 private:
  virtual void close_socket() = 0;

  void wake() override { signal_.cancel(); }
  void cut_off() override {
    log::info("http", "an event stream fell behind by {} bytes and was cut off; {} lossy events had been dropped",
              queue().bytes(), queue().dropped());
    close();
  }

  Core& core_;
  asio::steady_timer signal_;
  OpenConnection open_;
  bool is_closed_ = false;
};

using StreamClientPtr = std::shared_ptr<StreamClient>;

asio::awaitable<bool> write_one(StreamClient& client, FramePtr frame) {
  client.sent(frame->seq());
  Frames frames;
  frames.push_back(std::move(frame));
  co_return co_await client.write(std::move(frames));
}

asio::awaitable<bool> send_snapshot(StreamClient& client) {
  Core& core = client.core();
  auto build = [&core] { return snapshot_frame(core.context); };
  Result<FramePtr> snapshot = co_await on_pool(core, build);
  if (!snapshot) {
    log::warn("http", "an event stream ends: no snapshot: {}", snapshot.error().message);
    co_return false;
  }
  co_return co_await write_one(client, std::move(*snapshot));
}

// Writes the durable events after what was sent, page by page. Nothing when they are gone from the store.
asio::awaitable<std::optional<bool>> send_replay(StreamClient& client) {
  Core& core = client.core();
  while (true) {
    const std::int64_t after = client.sent_seq();
    auto read = [&core, after] { return replay_page(core.context, after); };
    Result<ReplayPage> page = co_await on_pool(core, read);
    if (!page) co_return false;
    if (page->gap) co_return std::nullopt;
    if (page->frames.empty()) co_return true;
    const bool last = page->frames.size() < kReplayPage;
    client.sent(page->frames.back()->seq());
    const bool written = co_await client.write(std::move(page->frames));
    if (!written) co_return false;
    if (last) co_return true;
  }
}

asio::awaitable<bool> catch_up(StreamClient& client, std::optional<std::int64_t> last_seq) {
  if (last_seq && may_replay(*last_seq, client.core().context.service.live()->seq)) {
    client.sent(*last_seq);
    const std::optional<bool> replayed = co_await send_replay(client);
    if (replayed) co_return *replayed;
  }
  const bool snapshot = co_await send_snapshot(client);
  if (!snapshot) co_return false;
  // Events between the snapshot's seq and this client's joining were announced to others only.
  const std::optional<bool> replayed = co_await send_replay(client);
  co_return replayed.value_or(true);
}

Frames take_batch(StreamClient& client) {
  Frames frames;
  std::size_t bytes = 0;
  while (bytes < kWriteBatchBytes) {
    FramePtr frame = client.next();
    if (!frame) break;
    bytes += frame->sse().size();
    frames.push_back(std::move(frame));
  }
  return frames;
}

asio::awaitable<void> run_stream(StreamClientPtr client, std::optional<std::int64_t> last_seq) {
  bool going = co_await catch_up(*client, last_seq);
  client->caught_up();
  while (going && !client->is_closed()) {
    Frames frames = take_batch(*client);
    if (!frames.empty()) {
      going = co_await client->write(std::move(frames));
      continue;
    }
    const bool woken = co_await client->wait_for_frames();
    if (!woken && !client->is_closed()) going = co_await client->write_heartbeat();
  }
  client->close();
}

// --- server-sent events ---------------------------------------------------------------------------------------

class SseClient final : public StreamClient {
 public:
  SseClient(Core& core, tcp::socket socket) : StreamClient(core), stream_(std::move(socket)) {}

  asio::awaitable<bool> write(Frames frames) override {
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(frames.size());
    for (const FramePtr& frame : frames) buffers.push_back(asio::buffer(frame->sse()));
    co_return co_await write_buffers(std::move(buffers));
  }
  asio::awaitable<bool> write_heartbeat() override { return write_text(": \n\n"); }

  asio::awaitable<bool> write_text(std::string_view text) {
    std::vector<asio::const_buffer> buffers(1, asio::buffer(text));
    co_return co_await write_buffers(std::move(buffers));
  }

  tcp::socket& socket() { return stream_.socket(); }

 private:
  void close_socket() override { stream_.close(); }

  asio::awaitable<bool> write_buffers(std::vector<asio::const_buffer> buffers) {
    stream_.expires_after(kWriteDeadline);
    const auto [error, size] = co_await asio::async_write(stream_, buffers, kTuple);
    co_return !error;
  }

  beast::tcp_stream stream_;
};

// A client that leaves says nothing but the end of its stream.
asio::awaitable<void> watch_for_end(std::shared_ptr<SseClient> client) {
  while (!client->is_closed()) {
    const auto [error] = co_await client->socket().async_wait(tcp::socket::wait_read, kTuple);
    if (error || client->is_closed()) break;
    char ignored[512];
    const ssize_t got = ::recv(client->socket().native_handle(), ignored, sizeof ignored, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
  }
  if (!client->is_closed()) client->close();
}

// --- WebSocket ------------------------------------------------------------------------------------------------

class SocketClient final : public StreamClient {
 public:
  SocketClient(Core& core, tcp::socket socket) : StreamClient(core), socket_(std::move(socket)) {
    namespace websocket = beast::websocket;
    websocket::stream_base::timeout timeout{};
    timeout.handshake_timeout = std::chrono::seconds(10);
    timeout.idle_timeout = 2 * core.context.options.heartbeat;  // it pings at half of this
    timeout.keep_alive_pings = true;
    socket_.set_option(timeout);
    socket_.read_message_max(kMaxClientMessage);
    socket_.auto_fragment(false);
    socket_.text(true);
  }

  asio::awaitable<bool> accept(const Request& request) {
    beast::http::request<beast::http::empty_body> handshake(beast::http::verb::get, request.target, 11);
    for (const auto& [name, value] : request.headers) handshake.insert(name, value);
    const auto [error] = co_await socket_.async_accept(handshake, kTuple);
    co_return !error;
  }
  asio::awaitable<bool> write(Frames frames) override {
    for (const FramePtr& frame : frames) {
      const auto [error, size] = co_await socket_.async_write(asio::buffer(frame->json()), kTuple);
      if (error) co_return false;
    }
    co_return true;
  }
  asio::awaitable<bool> write_heartbeat() override { co_return true; }  // the library pings

  // Answers pings and the closing handshake; what the client says is ignored.
  asio::awaitable<void> read_until_end() {
    beast::flat_buffer buffer;
    while (!is_closed()) {
      const auto [error, size] = co_await socket_.async_read(buffer, kTuple);
      if (error) break;
      buffer.clear();
    }
    if (!is_closed()) close();
  }

 private:
  void close_socket() override { beast::get_lowest_layer(socket_).close(); }

  beast::websocket::stream<beast::tcp_stream, false> socket_;
};

asio::awaitable<void> read_socket(std::shared_ptr<SocketClient> client) { co_await client->read_until_end(); }

}  // namespace

asio::awaitable<void> serve_events(Core& core, tcp::socket socket, std::shared_ptr<const Request> request) {
  tune_stream_socket(socket.native_handle());
  const auto client = std::make_shared<SseClient>(core, std::move(socket));
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "Connection: close\r\nX-Accel-Buffering: no\r\nX-Request-Id: " +
      request->request_id + "\r\n" + std::string(security_headers()) + "\r\n";
  const bool begun = co_await client->write_text(head);
  if (!begun) co_return client->close();
  asio::co_spawn(core.io, watch_for_end(client), asio::detached);
  co_await run_stream(client, parse_last_event_id(request->header("last-event-id")));
}

asio::awaitable<void> serve_websocket(Core& core, tcp::socket socket, std::shared_ptr<const Request> request) {
  tune_stream_socket(socket.native_handle());
  const auto client = std::make_shared<SocketClient>(core, std::move(socket));
  const bool accepted = co_await client->accept(*request);
  if (!accepted) co_return client->close();
  asio::co_spawn(core.io, read_socket(client), asio::detached);
  co_await run_stream(client, parse_last_event_id(request->query_value("last_event_id").value_or("")));
}

}  // namespace pixelfleet::http
