#include "http/access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/format.h"
#include "domain/suggest.h"

namespace pixelfleet::http {
namespace {

constexpr std::array<std::string_view, 3> kLoopbackNames = {"127.0.0.1", "localhost", "[::1]"};

std::optional<Refusal> refuse(int status, std::string message) {
  return Refusal{status, Error{ErrorCode::permission_denied, std::move(message)}};
}

// The name of a Host header without its port; nothing when it is not NAME, NAME:PORT, [V6] or [V6]:PORT.
std::optional<std::string> host_name(std::string_view host) {
  std::string_view port;
  std::string_view name = host;
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon + 1);
    if (port.empty() || port.size() > 5) return std::nullopt;
  }
  if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  if (name.empty() || (name.front() == '[') != (name.back() == ']')) return std::nullopt;
  return to_lower_ascii(name);
}

bool is_ip_literal(const std::string& name) {
  std::array<unsigned char, 16> address{};
  if (name.front() == '[') return ::inet_pton(AF_INET6, name.substr(1, name.size() - 2).c_str(), address.data()) == 1;
  return ::inet_pton(AF_INET, name.c_str(), address.data()) == 1;
}

// The allow-list is against names of an attacker that resolve to us. The port is not compared: a tunnel or a container
// may show us under another one. An address cannot be made to resolve elsewhere, so other machines may use ours.
bool host_allowed(const std::string& name, const Policy& policy) {
  if (std::find(kLoopbackNames.begin(), kLoopbackNames.end(), name) != kLoopbackNames.end()) return true;
  if (std::find(policy.hosts.begin(), policy.hosts.end(), name) != policy.hosts.end()) return true;
  return policy.reach == Reach::network && is_ip_literal(name);
}

std::optional<Refusal> check_host(const Request& request, const Policy& policy) {
  if (request.count_headers("host") != 1) {
    return Refusal{400, Error{ErrorCode::invalid_argument, "a request needs exactly one Host header"}};
  }
  const std::string_view host = request.header("host");
  const std::optional<std::string> name = host_name(host);
  if (name && host_allowed(*name, policy)) return std::nullopt;
  return refuse(421, format("this server does not answer to the name '{}'; open it as http://127.0.0.1:PORT or add the "
                            "name to http.allowed_hosts",
                            host.substr(0, 200)));
}

// Our own page's requests carry Origin: http(s)://HOST, the same HOST they are sent to.
bool same_origin(const Request& request) {
  if (request.count_headers("origin") > 1) return false;
  std::string_view origin = request.header("origin");
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) {
      origin.remove_prefix(scheme.size());
      return to_lower_ascii(origin) == to_lower_ascii(request.header("host"));
    }
  }
  return false;
}

std::optional<Refusal> check_origin(const Request& request) {
  if (request.has_header("origin") && !same_origin(request)) {
    return refuse(403, format("requests from pages of '{}' are refused; only the server's own page may send them",
                              request.header("origin").substr(0, 200)));
  }
  const std::string_view site = request.header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") {
    return refuse(403, "requests from other sites' pages are refused; only the server's own page may send them");
  }
  return std::nullopt;
}

bool has_session(const Request& request, const Policy& policy) {
  for (const auto& [name, value] : request.headers) {
    if (name != "cookie") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
      pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
      if (!pair.starts_with(kSessionCookie)) continue;
      pair.remove_prefix(kSessionCookie.size());
      if (pair.starts_with('=') && equal_in_constant_time(pair.substr(1), policy.session)) return true;
    }
  }
  return false;
}

bool has_token(const Request& request, const Policy& policy) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view value = request.header("authorization");
  if (value.size() <= kBearer.size() || to_lower_ascii(value.substr(0, kBearer.size())) != kBearer) return false;
  return policy.wants_token() && equal_in_constant_time(value.substr(kBearer.size()), policy.token);
}

bool changes_something(const Request& request) {
  return request.method != Method::get && request.method != Method::head;
}

}  // namespace

std::optional<Refusal> decide_access(const Request& request, Audience audience, const Policy& policy) {
  if (audience == Audience::health) return std::nullopt;
  if (auto refusal = check_host(request, policy)) return refusal;
  if (audience == Audience::page && !changes_something(request)) return std::nullopt;
  if (auto refusal = check_origin(request)) return refusal;
  if (audience == Audience::login) return std::nullopt;

  if (has_token(request, policy)) return std::nullopt;
  const bool session = has_session(request, policy);
  const bool from_browser = request.has_header("origin") || request.has_header("sec-fetch-site");
  if (policy.wants_token() && !session) {
    return refuse(401,
                  "this server needs its token: send 'Authorization: Bearer TOKEN' or open the address with "
                  "#token=... that the server printed when it started");
  }
  if (!changes_something(request)) return std::nullopt;
  if (!from_browser && !policy.wants_token()) return std::nullopt;
  if (!session) return refuse(403, "the session cookie is missing or of an earlier start: reload the page");
  if (request.header(kCustomHeader) != "1") return refuse(403, "the header 'X-PixelFleet: 1' is missing");
  return std::nullopt;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

std::string session_cookie(const Policy& policy) {
  return format("{}={}; Path=/; HttpOnly; SameSite=Strict", kSessionCookie, policy.session);
}

}  // namespace pixelfleet::http
