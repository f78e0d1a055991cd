// For tests: an HTTP client over a plain socket, which can also send nonsense.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <map>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/json_full.h"
#include "base/unique_fd.h"
#include "domain/suggest.h"
#include "gtest/gtest.h"

namespace pixelfleet::http::testing {

struct Answer {
  int status = 0;
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  Json json() const {
    const Result<Json> parsed = parse_json(body);
    return parsed ? *parsed : Json();
  }
};

// One TCP connection. Reads give up after ten seconds, so a missing answer fails a test instead of hanging it.
class Client {
 public:
  enum class Buffers { normal, tiny };

  explicit Client(int port, Buffers buffers = Buffers::normal) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int few_bytes = 4096;
    if (buffers == Buffers::tiny) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &few_bytes, sizeof few_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }

  // Whether everything was taken.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }

  // More bytes into the buffer; false at the end of the stream.
  bool fill() {
    char piece[65536];
    const ssize_t got = ::recv(fd_.get(), piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
  // Up to and with `end`; empty when the stream ends before.
  std::string read_until(std::string_view end) {
    std::size_t found = std::string::npos;
    while ((found = buffer_.find(end)) == std::string::npos) {
      if (!fill()) return "";
    }
    return take(found + end.size());
  }
  std::string read_exactly(std::size_t bytes) {
    while (buffer_.size() < bytes) {
      if (!fill()) return "";
    }
    return take(bytes);
  }
  std::string read_to_end() {
    while (fill()) {
    }
    return take(buffer_.size());
  }

  Answer read_head() {
    Answer answer;
    const std::string head = read_until("\r\n\r\n");
    if (head.size() < 12) return answer;
    answer.status = std::stoi(head.substr(9, 3));
    std::size_t begin = head.find("\r\n") + 2;
    while (begin + 2 < head.size()) {
      const std::size_t end = head.find("\r\n", begin);
      const std::size_t colon = head.find(": ", begin);
      answer.headers.emplace(to_lower_ascii(head.substr(begin, colon - begin)),
                             head.substr(colon + 2, end - colon - 2));
      begin = end + 2;
    }
    return answer;
  }
  Answer read_answer() {
    Answer answer = read_head();
    const std::string length = answer.header("content-length");
    if (!length.empty() && length != "0") answer.body = read_exactly(std::stoul(length));
    return answer;
  }

  Answer request(const std::string& method, const std::string& target, const std::string& headers = "",
                 const std::string& body = "") {
    std::string text = format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}", method, target, headers);
    if (!body.empty()) text += format("Content-Length: {}\r\n", body.size());
    send(text + "\r\n" + body);
    return method == "HEAD" ? read_head() : read_answer();
  }
  Answer post_json(const std::string& target, const std::string& body, const std::string& headers = "",
                   const std::string& method = "POST") {
    return request(method, target, "Content-Type: application/json\r\n" + headers, body);
  }

 private:
  std::string take(std::size_t bytes) {
    std::string taken = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return taken;
  }

  UniqueFd fd_;
  std::string buffer_;
};

}  // namespace pixelfleet::http::testing
