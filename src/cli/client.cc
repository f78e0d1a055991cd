#include "cli/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr std::uint64_t kMaxAnswerBytes = 256u << 20;

// One connection for one exchange. The server is on this machine: a connection costs less than keeping one alive.
class Connection {
 public:
  explicit Connection(const Endpoint& endpoint) : socket_(context_) {
    asio::ip::tcp::resolver resolver(context_);
    asio::connect(socket_, resolver.resolve(endpoint.host, format("{}", endpoint.port)));
  }

  void send(http::verb verb, const std::string& path, const Endpoint& endpoint, const std::string& body,
            const char* content_type = "application/json") {
    http::request<http::string_body> request{verb, path, 11};
    request.set(http::field::host, format("{}:{}", endpoint.host, endpoint.port));
    request.set(http::field::user_agent, "pixelfleet-cli");
    if (!endpoint.token.empty()) request.set(http::field::authorization, "Bearer " + endpoint.token);
    if (!body.empty()) request.set(http::field::content_type, content_type);
    request.body() = body;
    request.prepare_payload();
    http::write(socket_, request);
  }

  asio::ip::tcp::socket& socket() { return socket_; }

 private:
  asio::io_context context_;
  asio::ip::tcp::socket socket_;
};

ErrorCode code_from(const std::string& text, unsigned status) {
  for (const ErrorCode code :
       {ErrorCode::invalid_argument, ErrorCode::not_found, ErrorCode::conflict, ErrorCode::permission_denied,
        ErrorCode::resource_exhausted, ErrorCode::disk_full, ErrorCode::unavailable, ErrorCode::corrupt}) {
    if (text == name(code)) return code;
  }
  return status == 401 || status == 403 ? ErrorCode::permission_denied : ErrorCode::internal;
}

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : to_text(*found);
}

Error problem(unsigned status, const std::string& body) {
  const auto json = parse_json(body);
  if (!json || !json->is_object()) return {ErrorCode::internal, format("the server answered {}", status)};
  Error error{code_from(text_of(*json, "code"), status), text_of(*json, "detail")};
  if (error.message.empty()) error.message = text_of(*json, "title");
  if (const auto fields = json->find("errors"); fields != json->end() && fields->is_array()) {
    for (const Json& field : *fields) {
      error.fields.push_back(
          {text_of(field, "field"), text_of(field, "value"), text_of(field, "message"), text_of(field, "allowed")});
    }
  }
  return error;
}

Result<Json> exchange(const Endpoint& endpoint, http::verb verb, const std::string& path, const std::string& body,
                      const char* content_type = "application/json") {
  try {
    Connection connection(endpoint);
    connection.send(verb, path, endpoint, body, content_type);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswerBytes);
    http::read(connection.socket(), buffer, parser);
    const auto& answer = parser.get();
    if (answer.result_int() / 100 != 2) return fail(problem(answer.result_int(), answer.body()));
    return parse_json(answer.body(), {kMaxAnswerBytes, 32, 50'000'000});
  } catch (const boost::system::system_error& e) {
    return fail(ErrorCode::unavailable,
                format("no answer from the server at {}:{}: {}", endpoint.host, endpoint.port, e.code().message()));
  }
}

// Cuts the event stream into (event, data) pairs; see the EventSource specification.
class EventParser {
 public:
  template <class OnEvent>
  bool feed(std::string_view bytes, const OnEvent& on_event) {
    pending_.append(bytes);
    std::size_t start = 0;
    for (std::size_t end = 0; (end = pending_.find('\n', start)) != std::string::npos; start = end + 1) {
      std::string_view line(pending_.data() + start, end - start);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) {
        if (!data_.empty() && !on_event(data_)) return false;
        data_.clear();
      } else if (line.starts_with("data:")) {
        line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
        if (!data_.empty()) data_ += '\n';
        data_ += line;
      }
    }
    pending_.erase(0, start);
    return true;
  }

 private:
  std::string pending_;
  std::string data_;
};

}  // namespace

Result<Json> Client::get(const std::string& path) const { return exchange(endpoint_, http::verb::get, path, {}); }

Result<Json> Client::post(const std::string& path, const Json& body) const {
  return exchange(endpoint_, http::verb::post, path, to_text(body));
}

Result<Json> Client::post_picture(const std::string& path, const std::string& bytes) const {
  return exchange(endpoint_, http::verb::post, path, bytes, bytes.starts_with("\xFF\xD8") ? "image/jpeg" : "image/png");
}

Result<Json> Client::patch(const std::string& path, const Json& body) const {
  return exchange(endpoint_, http::verb::patch, path, to_text(body));
}

Result<> Client::follow(const std::function<Follow(const std::string&, const Json&)>& on_event) const {
  try {
    Connection connection(endpoint_);
    connection.send(http::verb::get, "/api/v1/events", endpoint_, {});
    boost::beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    http::read_header(connection.socket(), buffer, parser);
    if (parser.get().result_int() != 200) return fail(problem(parser.get().result_int(), {}));
    EventParser events;
    const auto on_data = [&](const std::string& data) {
      const auto json = parse_json(data, {kMaxAnswerBytes, 32, 50'000'000});
      if (!json || !json->is_object() || !json->contains("data")) return true;
      return on_event(text_of(*json, "type"), (*json)["data"]) == Follow::go_on;
    };
    while (!parser.is_done()) {
      char chunk[16384];
      parser.get().body().data = chunk;
      parser.get().body().size = sizeof chunk;
      boost::system::error_code error;
      http::read_some(connection.socket(), buffer, parser, error);
      if (error && error != http::error::need_buffer && error != http::error::end_of_stream) {
        return fail(ErrorCode::unavailable, format("the event stream ended: {}", error.message()));
      }
      const std::size_t length = sizeof chunk - parser.get().body().size;
      if (!events.feed({chunk, length}, on_data)) return {};
    }
    return fail(ErrorCode::unavailable, "the server ended the event stream");
  } catch (const boost::system::system_error& e) {
    return fail(ErrorCode::unavailable,
                format("no answer from the server at {}:{}: {}", endpoint_.host, endpoint_.port, e.code().message()));
  }
}

}  // namespace pixelfleet::cli
