#include "http/server.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <cerrno>

#include "base/format.h"
#include "base/log.h"
#include "domain/suggest.h"
#include "http/core_internal.h"
#include "http/session_secret.h"
#include "media/reader.h"

namespace pixelfleet::http {
namespace {

using asio::ip::tcp;

constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr rlim_t kFilesReserved = 256;  // store, uploads, workers' sockets and pipes
constexpr std::chrono::milliseconds kAcceptBackOff{100};
constexpr std::chrono::seconds kStopDeadline{2};
constexpr std::size_t kMaxIntake = 8192;  // waiting events above which lossy ones are not taken

SystemClock& process_clock() {
  static SystemClock clock;
  return clock;
}

Result<asio::ip::address> parse_bind_address(const std::string& text) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(text == "localhost" ? "127.0.0.1" : text, error);
  if (!error) return address;
  return fail(invalid_fields({{"http.bind", text, "not an address of this machine",
                               "an IPv4 or IPv6 address, such as 127.0.0.1 or 0.0.0.0"}}));
}

// Our descriptors must not reach workers: close-on-exec from the first moment, which Asio's own sockets lack.
Result<UniqueFd> listen_on(const tcp::endpoint& endpoint) {
  UniqueFd fd(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(system_error("cannot make a socket", errno));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // not on a listener, only on its leftovers
  const std::string where = format("port {} of {}", endpoint.port(), endpoint.address().to_string());
  if (::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE) {
      return fail(ErrorCode::conflict,
                  format("{} is taken: PixelFleet or another program listens there already. Stop it, or choose another "
                         "port with --port N (0: any free one)",
                         where));
    }
    return fail(system_error("cannot listen on " + where, errno));
  }
  return fd;
}

std::size_t connections_allowed(std::size_t wanted) {
  if (wanted > 0) return wanted;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t left = files.rlim_cur > kFilesReserved ? files.rlim_cur - kFilesReserved : 0;
  return static_cast<std::size_t>(std::clamp<rlim_t>(left, 16, 10'000));
}

// Uploads that a crash cut off.
void remove_leftovers(const std::filesystem::path& uploads) {
  std::error_code ignored;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(uploads, ignored)) {
    if (entry.path().filename().string().starts_with(".incoming-")) leftovers.push_back(entry.path());
  }
  for (const auto& path : leftovers) std::filesystem::remove(path, ignored);
}

void refuse_connection(int fd) {
  constexpr std::string_view kAnswer =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
      "Connection: close\r\n\r\n";
  static_cast<void>(::send(fd, kAnswer.data(), kAnswer.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

void start_connection(Core& core, UniqueFd fd) {
  if (core.connections >= core.max_connections) return refuse_connection(fd.get());
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  tcp::socket socket(core.io);
  boost::system::error_code error;
  socket.assign(core.acceptor.local_endpoint(error).protocol(), fd.get(), error);
  if (error) return;
  static_cast<void>(fd.release());
  asio::co_spawn(core.io, serve_connection(core, std::move(socket)), [](const std::exception_ptr& failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& exception) {
      log::error("http", "a connection ended unexpectedly: {}", exception.what());
    }
  });
}

// Takes what waits; false when descriptors or memory have run out.
bool accept_waiting(Core& core) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd(::accept4(core.acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) {
      start_connection(core, std::move(fd));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log::warn("http", "cannot accept connections: {}", system_error("accept", errno).message);
      return false;
    } else if (errno == EAGAIN) {
      break;
    }
  }
  return true;
}

asio::awaitable<void> accept_connections(Core& core) {
  while (!core.stopping) {
    const auto [error] = co_await core.acceptor.async_wait(tcp::acceptor::wait_read, kTuple);
    if (error) break;
    if (accept_waiting(core)) continue;
    asio::steady_timer back_off(core.io, kAcceptBackOff);
    co_await back_off.async_wait(kTuple);
  }
}

void flush_progress(Core& core) {
  const Instant now = core.context.clock.now();
  const std::optional<Instant> next = core.hub.flush(now);
  if (!next) return;
  core.flush_timer.expires_after(std::max(*next - now, Duration(1000)));
  core.flush_timer.async_wait([&core](const boost::system::error_code& error) {
    if (!error) flush_progress(core);
  });
}

void fan_out_intake(Core& core) {
  std::vector<EventPtr> events;
  {
    MutexLock lock(core.intake_mutex);
    events.swap(core.intake);
  }
  const Instant now = core.context.clock.now();
  for (const EventPtr& event : events) core.hub.deliver(event, now);
  flush_progress(core);
}

// On the control thread: only hands over, and wakes the I/O thread once per batch.
void take_event(Core& core, const EventPtr& event) {
  bool first = false;
  {
    MutexLock lock(core.intake_mutex);
    if (!event->durable() && core.intake.size() >= kMaxIntake) return;
    first = core.intake.empty();
    core.intake.push_back(event);
  }
  if (first) asio::post(core.io, [&core] { fan_out_intake(core); });
}

void begin_stop(Core& core) {
  core.stopping = true;
  boost::system::error_code ignored;
  core.acceptor.close(ignored);
  core.flush_timer.cancel();
  const std::vector<Stopper*> open(core.open.begin(), core.open.end());
  for (Stopper* connection : open) connection->stop();
  if (core.connections == 0) return core.io.stop();
  core.stop_timer.expires_after(kStopDeadline);
  core.stop_timer.async_wait([&core](const boost::system::error_code&) { core.io.stop(); });
}

Result<Policy> make_policy(const Options& options, const asio::ip::address& address) {
  const Reach reach = address.is_loopback() ? Reach::loopback : Reach::network;
  if (reach == Reach::network && options.token.empty() && options.without_token == WithoutToken::refuse_to_start) {
    return fail(ErrorCode::invalid_argument,
                format("{} can be reached by other machines, so a token is needed; the program makes one in the data "
                       "directory unless that is read-only. To serve this machine only, bind 127.0.0.1",
                       options.bind_address));
  }
  Result<std::string> session = load_session_secret(options.data_directory);
  if (!session) return fail(session.error());
  Policy policy;
  policy.reach = reach;
  for (const std::string& host : options.allowed_hosts) policy.hosts.push_back(to_lower_ascii(host));
  policy.token = options.token;
  policy.session = std::move(*session);
  return policy;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(Options options, control::Service& service, control::Reader& reader) {
  const Result<asio::ip::address> address = parse_bind_address(options.bind_address);
  if (!address) return fail(address.error());
  Result<Policy> policy = make_policy(options, *address);
  if (!policy) return fail(policy.error());
  Result<UniqueFd> listener = listen_on(tcp::endpoint(*address, options.port));
  if (!listener) return fail(listener.error());
  remove_leftovers(options.data_directory / "uploads");
  if (!options.make_thumbnail) {
    const media::ThumbnailCache cache(options.data_directory / "thumbnails");
    options.make_thumbnail = [cache](const std::filesystem::path& png, int max_side) {
      return cache.get(png.string(), max_side);
    };
  }

  Context context{service, reader, std::move(options), std::move(*policy), process_clock(), process_clock().now()};
  const auto core = std::make_shared<Core>(std::move(context));
  core->max_connections = connections_allowed(core->context.options.max_connections);
  boost::system::error_code error;
  core->acceptor.assign(address->is_v6() ? tcp::v6() : tcp::v4(), listener->get(), error);
  if (error) return fail(ErrorCode::internal, "cannot listen: " + error.message());
  static_cast<void>(listener->release());

  asio::co_spawn(core->io, accept_connections(*core), asio::detached);
  core->subscription = service.subscribe([&core = *core](const EventPtr& event) { take_event(core, event); });
  core->io_thread = std::thread([&core = *core] { core.io.run(); });
  return std::unique_ptr<Server>(new Server(core));
}

Server::~Server() { stop(); }

int Server::port() const {
  boost::system::error_code ignored;
  return core_->acceptor.local_endpoint(ignored).port();
}

void Server::stop() {
  if (!core_->io_thread.joinable()) return;
  core_->subscription.reset();
  asio::post(core_->io, [&core = *core_] { begin_stop(core); });
  core_->io_thread.join();
  core_->running = false;
  core_->pool.join();
}

}  // namespace pixelfleet::http
