// Core: what the I/O thread owns, and the seams between the three sources that instantiate Asio and Beast.
//
// All members are of the I/O thread except `pool`, `intake` and the immutable `context`. Coroutines hold a plain
// reference: the io_context is destroyed before the rest of the Core, and with it every coroutine.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/mutex.h"
#include "http/context.h"
#include "http/event_hub.h"
#include "http/message.h"

namespace pixelfleet::http {

namespace asio = boost::asio;

// Completion token: results as values, errors are never thrown.
inline constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// What stop() calls on each open connection.
struct Stopper {
  std::function<void()> stop;
};

struct Core : std::enable_shared_from_this<Core> {
  explicit Core(Context c) : context(std::move(c)), pool(static_cast<std::size_t>(context.options.reader_threads)) {}

  const Context context;
  EventHub hub;
  std::set<Stopper*> open;
  std::size_t connections = 0;
  std::size_t max_connections = 0;
  std::size_t event_clients = 0;
  std::uint64_t requests = 0;
  bool stopping = false;
  bool running = true;  // false once the I/O thread has ended

  Mutex intake_mutex;
  std::vector<EventPtr> intake GUARDED_BY(intake_mutex);  // from the control thread, not yet fanned out
  std::unique_ptr<control::Subscription> subscription;

  asio::thread_pool pool;
  asio::io_context io{1};
  asio::ip::tcp::acceptor acceptor{io};
  asio::steady_timer flush_timer{io};
  asio::steady_timer stop_timer{io};
  std::thread io_thread;
};

// Counts one open connection and lets stop() reach it.
class OpenConnection {
 public:
  OpenConnection(Core& core, std::function<void()> stop) : core_(core) {
    stopper_.stop = std::move(stop);
    core_.open.insert(&stopper_);
    ++core_.connections;
  }
  ~OpenConnection() {
    core_.open.erase(&stopper_);
    if (--core_.connections == 0 && core_.stopping && core_.running) core_.io.stop();
  }
  OpenConnection(const OpenConnection&) = delete;
  OpenConnection& operator=(const OpenConnection&) = delete;

 private:
  Core& core_;
  Stopper stopper_;
};

// Runs `function` on the pool and resumes on the I/O thread with its result. The pool is joined before any coroutine is
// destroyed, so the references hold.
template <class Function>
asio::awaitable<std::invoke_result_t<Function>> on_pool(Core& core, Function function) {
  std::optional<std::invoke_result_t<Function>> result;
  asio::steady_timer done(core.io, asio::steady_timer::time_point::max());
  asio::post(core.pool, [&] {
    result.emplace(function());
    asio::post(core.io, [&] { done.cancel(); });
  });
  co_await done.async_wait(kTuple);
  co_return std::move(*result);
}

// Serves one client until it leaves. connection.cc
asio::awaitable<void> serve_connection(Core& core, asio::ip::tcp::socket socket);

// Streams events until either side ends it. streams.cc
asio::awaitable<void> serve_events(Core& core, asio::ip::tcp::socket socket, std::shared_ptr<const Request> request);
asio::awaitable<void> serve_websocket(Core& core, asio::ip::tcp::socket socket, std::shared_ptr<const Request> request);

}  // namespace pixelfleet::http
