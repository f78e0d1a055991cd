// Decides whether a request may be served: the Host allow-list, the origin rules for browsers, the token.
//
// A pure function of the request and the policy. A program on this machine (no Origin, no Sec-Fetch-Site) needs nothing
// on a loopback server; a browser acts for whatever page it shows, so its requests must come from our own page. A
// server with a token wants it, or the session cookie that was given for it, from everyone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace pixelfleet::http {

inline constexpr std::string_view kSessionCookie = "pixelfleet_session";
inline constexpr std::string_view kCustomHeader = "x-pixelfleet";

// What is behind a route. page: the static files, which hold no secrets. health: probes that know no Host name.
// login: gives the cookie, so it cannot ask for one.
enum class Audience { api, login, page, health };

// Who can connect: this machine only, or others too.
enum class Reach { loopback, network };

struct Policy {
  Reach reach = Reach::loopback;
  std::vector<std::string> hosts;  // names without port, lower case, besides the loopback names
  std::string token;               // empty: none is asked for
  std::string session;             // the cookie's value

  bool wants_token() const { return !token.empty(); }
};

struct Refusal {
  int status = 403;
  Error error;
};

// Nothing when the request may be served.
std::optional<Refusal> decide_access(const Request& request, Audience audience, const Policy& policy);

// Takes the same time wherever the two differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

std::string session_cookie(const Policy& policy);  // the value of Set-Cookie

}  // namespace pixelfleet::http
