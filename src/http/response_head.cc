#include "http/response_head.h"

#include <ctime>

#include "base/format.h"

namespace pixelfleet::http {
namespace {

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace

std::string response_head(std::string_view version, const Response& response, std::string_view request_id,
                          After after) {
  std::string head = format("{} {} {}\r\nDate: {}\r\nX-Request-Id: {}\r\n{}", version, response.status,
                            reason_phrase(response.status), http_date(), request_id, security_headers());
  bool has_cache_control = false;
  for (const auto& [name, value] : response.headers) {
    head += format("{}: {}\r\n", name, value);
    has_cache_control = has_cache_control || name == "Cache-Control";
  }
  if (!has_cache_control) head += "Cache-Control: no-store\r\n";
  if (may_have_body(response)) head += format("Content-Length: {}\r\n", body_bytes(response));
  head += after == After::close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n";
  return head;
}

std::string_view security_headers() {
  return "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
         "img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
         "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
         "X-Content-Type-Options: nosniff\r\n"
         "Referrer-Policy: no-referrer\r\n"
         "Cross-Origin-Opener-Policy: same-origin\r\n"
         "Cross-Origin-Resource-Policy: same-origin\r\n";
}

std::int64_t body_bytes(const Response& response) {
  return response.file ? response.file->bytes : static_cast<std::int64_t>(body_in_memory(response).size());
}

std::string_view body_in_memory(const Response& response) {
  if (response.file) return {};
  return response.body.empty() ? response.static_body : std::string_view(response.body);
}

}  // namespace pixelfleet::http
