// One HTTP/1.1 connection: read a request, check it, run its handler, write the response, again.
//
// The only source that instantiates Beast's HTTP parser. Limits come before memory: the head is bounded while it is
// read, the body's length is checked before its first byte is kept, uploads go to a file piece by piece.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "base/format.h"
#include "base/log.h"
#include "domain/suggest.h"
#include "http/admission.h"
#include "http/core_internal.h"
#include "http/problem.h"
#include "http/response_head.h"

namespace pixelfleet::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using Parser = bhttp::request_parser<bhttp::buffer_body>;
using RequestPtr = std::shared_ptr<Request>;

constexpr std::uint32_t kMaxHeadBytes = 32u << 10;
constexpr std::size_t kReadBufferBytes = 48u << 10;
constexpr std::size_t kPieceBytes = 64u << 10;
constexpr std::size_t kFilePieceBytes = 256u << 10;
constexpr std::chrono::seconds kWriteDeadline{60};
constexpr std::chrono::seconds kLingerDeadline{5};

// What a handler's answer arrives in; touched on the I/O thread only.
struct Pending {
  std::optional<Response> response;
  asio::steady_timer* waiting = nullptr;
};

Method method_of(bhttp::verb verb) {
  switch (verb) {
    case bhttp::verb::get: return Method::get;
    case bhttp::verb::head: return Method::head;
    case bhttp::verb::post: return Method::post;
    case bhttp::verb::put: return Method::put;
    case bhttp::verb::patch: return Method::patch;
    default: return Method::other;
  }
}

Error bad(std::string message) { return {ErrorCode::invalid_argument, std::move(message), {}}; }

void fill_head(Request& request, const Parser& parser) {
  const auto& head = parser.get();
  request.method = method_of(head.method());
  request.method_text = std::string(head.method_string());
  request.target = std::string(head.target());
  for (const auto& field : head) {
    request.headers.emplace_back(to_lower_ascii(std::string_view(field.name_string())), std::string(field.value()));
  }
}

BodyHead body_head(const Parser& parser) {
  if (parser.is_done()) return {};
  if (parser.chunked()) return {Framing::chunked, 0};
  return {Framing::length, parser.content_length().value_or(0)};
}

class Connection {
 public:
  Connection(Core& core, tcp::socket socket)
      : core_(core), options_(core.context.options), stream_(std::move(socket)), open_(core, [this] {
          if (!busy_) stream_.close();
        }) {}

  asio::awaitable<void> run();

 private:
  asio::awaitable<bool> wait_for_request();
  asio::awaitable<After> serve_one();
  asio::awaitable<std::optional<Response>> read_body(Parser& parser, const RequestPtr& request);
  asio::awaitable<Result<>> keep(const RequestPtr& request, std::string_view piece);
  asio::awaitable<Response> answer(std::shared_ptr<const Request> request);
  asio::awaitable<After> open_stream(std::shared_ptr<const Request> request);
  asio::awaitable<After> write(const Request& request, Response response, After after);
  asio::awaitable<bool> write_bytes(std::string_view first, std::string_view second);
  asio::awaitable<bool> write_file(FileBody file);
  asio::awaitable<void> linger();

  Core& core_;
  const Options& options_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kReadBufferBytes};
  bool first_ = true;
  bool busy_ = false;         // a request is under way: stop() lets it finish
  bool handed_over_ = false;  // the socket belongs to an event stream now
  const Route* route_ = nullptr;
  std::string_view version_ = "HTTP/1.1";
  OpenConnection open_;
};

asio::awaitable<void> Connection::run() {
  while (!core_.stopping) {
    const bool begun = co_await wait_for_request();
    if (!begun) break;
    busy_ = true;
    const After after = co_await serve_one();
    busy_ = false;
    if (after == After::close) break;
  }
  if (!handed_over_) stream_.close();
}

// The first bytes of the next request: an idle connection may wait for them longer than a begun head may take.
asio::awaitable<bool> Connection::wait_for_request() {
  if (buffer_.size() > 0) co_return true;
  stream_.expires_after(first_ ? options_.header_deadline : options_.idle_deadline);
  first_ = false;
  const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), kTuple);
  buffer_.commit(size);
  co_return !error;
}

asio::awaitable<After> Connection::serve_one() {
  const auto request = std::make_shared<Request>();
  request->request_id = format("{}-{}", options_.instance_id, ++core_.requests);
  route_ = nullptr;
  Parser parser;
  parser.header_limit(kMaxHeadBytes);
  parser.body_limit(boost::none);  // check_body and read_body know the route's limit
  stream_.expires_after(options_.header_deadline);
  const auto [error, size] = co_await bhttp::async_read_header(stream_, buffer_, parser, kTuple);
  if (error) {
    if (error.category() != make_error_code(bhttp::error::bad_method).category() ||
        error == bhttp::error::end_of_stream || error == bhttp::error::partial_message) {
      co_return After::close;
    }
    const bool too_long = error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow;
    const int status = too_long ? 431 : error == bhttp::error::bad_version ? 505 : 400;
    Error why = bad(too_long ? format("the request's head is longer than {} bytes", kMaxHeadBytes)
                             : "this is not HTTP/1.1: " + error.message());
    Response response = problem(status, why, request->request_id);
    co_return co_await write(*request, std::move(response), After::close);
  }
  version_ = parser.get().version() == 10 ? "HTTP/1.0" : "HTTP/1.1";
  const After after = parser.keep_alive() && !core_.stopping ? After::keep_open : After::close;
  const bool has_body = !parser.is_done();

  fill_head(*request, parser);
  Admission admission = admit(*request, body_head(parser), core_.context.policy);
  std::optional<Response> refusal = std::move(admission.refusal);
  route_ = admission.route;
  if (refusal) co_return co_await write(*request, std::move(*refusal), has_body ? After::close : after);
  if (has_body) {
    refusal = co_await read_body(parser, request);
    if (refusal) co_return co_await write(*request, std::move(*refusal), After::close);
  }
  if (route_->exchange != Exchange::answer) co_return co_await open_stream(request);
  Response response = co_await answer(request);
  co_return co_await write(*request, std::move(response), after);
}

asio::awaitable<std::optional<Response>> Connection::read_body(Parser& parser, const RequestPtr& request) {
  if (to_lower_ascii(request->header("expect")) == "100-continue") {
    const bool written = co_await write_bytes("HTTP/1.1 100 Continue\r\n\r\n", "");
    if (!written) co_return std::nullopt;
  }
  const std::size_t limit = body_limit(route_->body);
  std::string piece(std::min<std::uint64_t>(parser.content_length().value_or(kPieceBytes), kPieceBytes), '\0');
  std::uint64_t total = 0;
  stream_.expires_after(options_.body_deadline);
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    const auto [error, size] = co_await bhttp::async_read(stream_, buffer_, parser, kTuple);
    if (error && error != bhttp::error::need_buffer) {
      co_return problem(bad("the body could not be read: " + error.message()), request->request_id);
    }
    const std::size_t got = piece.size() - parser.get().body().size;
    total += got;
    if (total > limit) co_return refuse_body(*request, *route_);
    Result<> kept = co_await keep(request, std::string_view(piece).substr(0, got));
    if (!kept) co_return problem(kept.error(), request->request_id);
    // An upload may take as long as it needs while it moves; a JSON body may not.
    if (route_->body == BodyKind::upload) stream_.expires_after(options_.body_deadline);
  }
  co_return std::nullopt;
}

asio::awaitable<Result<>> Connection::keep(const RequestPtr& request, std::string_view piece) {
  if (route_->body == BodyKind::json) {
    request->body += piece;
    co_return Result<>();
  }
  auto append = [this, &request, piece]() -> Result<> {
    if (!request->file) {
      auto file = TemporaryFile::create(options_.data_directory / "uploads");
      if (!file) return fail(file.error());
      request->file = std::move(*file);
    }
    return request->file->append(piece);
  };
  co_return co_await on_pool(core_, append);
}

void run_handler(const Route& route, const Request& request, const Context& context, const Responder& respond) {
  try {
    route.handler(request, context, respond);
  } catch (const std::exception& exception) {
    log::error("http", "{} {} failed: {}", request.method_text, request.path, exception.what());
    const Error error{ErrorCode::internal, "the server failed on this request; its log tells more", {}};
    respond(problem(error, request.request_id));
  }
}

asio::awaitable<Response> Connection::answer(std::shared_ptr<const Request> request) {
  if (route_->body == BodyKind::upload && !request->file) {
    co_return problem(bad("the body is empty; send the bytes of a PNG or JPEG"), request->request_id);
  }
  const auto pending = std::make_shared<Pending>();
  const std::weak_ptr<Core> weak = core_.weak_from_this();
  // May be called on any thread, and after the server has gone.
  const Responder respond = [pending, weak](Response response) {
    const std::shared_ptr<Core> core = weak.lock();
    if (!core) return;
    asio::post(core->io, [pending, given = std::move(response)]() mutable {
      if (pending->response) return;
      pending->response = std::move(given);
      if (pending->waiting != nullptr) pending->waiting->cancel();
    });
  };
  const Route& route = *route_;
  if (route.place == Place::io) {
    run_handler(route, *request, core_.context, respond);
  } else {
    asio::post(core_.pool, [&route, request, respond, &context = core_.context] {
      run_handler(route, *request, context, respond);
    });
  }
  asio::steady_timer deadline(core_.io, options_.answer_deadline);
  pending->waiting = &deadline;
  co_await deadline.async_wait(kTuple);
  pending->waiting = nullptr;
  if (!pending->response) {
    const Error error{
        ErrorCode::unavailable, "the server did not answer in time; the request may still be carried out", {}};
    co_return problem(error, request->request_id);
  }
  co_return std::move(*pending->response);
}

asio::awaitable<After> Connection::open_stream(std::shared_ptr<const Request> request) {
  std::optional<Response> refusal;
  if (core_.event_clients >= options_.max_event_clients) {
    const Error error{ErrorCode::unavailable,
                      format("{} event streams are open already, the most this server allows", core_.event_clients),
                      {}};
    refusal = problem(error, request->request_id);
  } else if (request->method == Method::head) {
    refusal.emplace();
    refusal->headers.emplace_back("Content-Type", "text/event-stream");
  } else if (route_->exchange == Exchange::websocket && to_lower_ascii(request->header("upgrade")) != "websocket") {
    refusal =
        problem(426, bad("this address speaks WebSocket; for plain HTTP use /api/v1/events"), request->request_id);
    refusal->headers.emplace_back("Upgrade", "websocket");
  }
  if (refusal) co_return co_await write(*request, std::move(*refusal), After::close);
  log::debug("http", "{} {} opens a stream", request->method_text, request->path);
  handed_over_ = true;
  stream_.expires_never();
  tcp::socket socket = stream_.release_socket();
  // A coroutine of its own: an idle stream shall not keep this one's parser and buffer.
  asio::co_spawn(core_.io,
                 route_->exchange == Exchange::events ? serve_events(core_, std::move(socket), std::move(request))
                                                      : serve_websocket(core_, std::move(socket), std::move(request)),
                 asio::detached);
  co_return After::close;
}

asio::awaitable<After> Connection::write(const Request& request, Response response, After after) {
  log::debug("http", "{} {} {} {}", request.request_id, request.method_text, request.path, response.status);
  const std::string head = response_head(version_, response, request.request_id, after);
  const bool sends_body = may_have_body(response) && request.method != Method::head;
  bool written = co_await write_bytes(head, sends_body ? body_in_memory(response) : std::string_view());
  if (written && sends_body && response.file) written = co_await write_file(std::move(*response.file));
  if (!written) co_return After::close;
  if (after == After::close) co_await linger();
  co_return after;
}

asio::awaitable<bool> Connection::write_bytes(std::string_view first, std::string_view second) {
  std::vector<asio::const_buffer> buffers;
  buffers.push_back(asio::buffer(first));
  if (!second.empty()) buffers.push_back(asio::buffer(second));
  stream_.expires_after(kWriteDeadline);
  const auto [error, size] = co_await asio::async_write(stream_, buffers, kTuple);
  co_return !error;
}

asio::awaitable<bool> Connection::write_file(FileBody file) {
  std::string piece(static_cast<std::size_t>(std::min<std::int64_t>(file.bytes, kFilePieceBytes)), '\0');
  std::int64_t left = file.bytes;
  while (left > 0) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::int64_t>(left, kFilePieceBytes));
    auto read = [&] { return ::read(file.fd.get(), piece.data(), wanted); };
    const ssize_t got = co_await on_pool(core_, read);
    if (got <= 0) co_return false;  // the file shrank: the client sees a short body
    const bool written = co_await write_bytes(std::string_view(piece).substr(0, static_cast<std::size_t>(got)), "");
    if (!written) co_return false;
    left -= got;
  }
  co_return true;
}

// A close while unread bytes wait would reset the connection and could destroy our answer on its way.
asio::awaitable<void> Connection::linger() {
  boost::system::error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  if (!route_ || route_->body != BodyKind::none || buffer_.size() > 0) {
    std::string discarded(kPieceBytes, '\0');
    stream_.expires_after(kLingerDeadline);
    while (true) {
      const auto [error, size] = co_await stream_.async_read_some(asio::buffer(discarded), kTuple);
      if (error) break;
    }
  }
}

}  // namespace

asio::awaitable<void> serve_connection(Core& core, tcp::socket socket) {
  Connection connection(core, std::move(socket));
  co_await connection.run();
}

}  // namespace pixelfleet::http
