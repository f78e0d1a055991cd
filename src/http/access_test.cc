#include "http/access.h"

#include "gtest/gtest.h"

namespace pixelfleet::http {
namespace {

const Policy kDesk{Reach::loopback, {"studio.example"}, "", "5e55"};
const Policy kNetwork{Reach::network, {"studio.example"}, "70ke0", "5e55"};

struct Case {
  const char* what;
  const Policy& policy;
  Audience audience;
  Method method;
  Pairs headers;
  int status;  // 0: served
};

TEST(AccessTest, FollowsTheTable) {
  const Pairs ours = {
      {"host", "127.0.0.1:7865"}, {"origin", "http://127.0.0.1:7865"}, {"sec-fetch-site", "same-origin"}};
  const auto with = [](Pairs headers, Pairs more) {
    headers.insert(headers.end(), more.begin(), more.end());
    return headers;
  };
  const auto host = [](const char* name) { return Pairs{{"host", name}}; };
  const std::string cookie = "pixelfleet_session=5e55";
  using enum Audience;
  using enum Method;
  const Case cases[] = {
      {"a program on this machine", kDesk, api, post, host("127.0.0.1:7865"), 0},
      {"by the name localhost", kDesk, api, post, host("LocalHost:7865"), 0},
      {"by IPv6", kDesk, api, get, host("[::1]:7865"), 0},
      {"through a tunnel's port", kDesk, api, get, host("localhost:9000"), 0},
      {"by a configured name", kDesk, api, get, host("Studio.example"), 0},
      {"rebinding", kDesk, api, get, host("evil.example"), 421},
      {"a name that begins like ours", kDesk, api, get, host("127.0.0.1.evil.example"), 421},
      {"IPv6 zone", kDesk, api, get, host("[::1%25eth0]:7865"), 421},
      {"bare IPv6", kDesk, api, get, host("::1"), 421},
      {"a port that is none", kDesk, api, get, host("localhost:abc"), 421},
      {"an empty port", kDesk, api, get, host("localhost:"), 421},
      {"another address", kDesk, api, get, host("0.0.0.0:7865"), 421},
      {"no host", kDesk, api, get, {}, 400},
      {"two hosts", kDesk, api, get, {{"host", "localhost"}, {"host", "evil.example"}}, 400},
      {"health for a probe that knows no name", kNetwork, health, get, host("10.0.0.7:7865"), 0},
      {"the page from a link elsewhere",
       kDesk,
       page,
       get,
       {{"host", "localhost"}, {"sec-fetch-site", "cross-site"}},
       0},
      {"the page under a foreign name", kDesk, page, get, host("evil.example"), 421},

      {"our page reads", kDesk, api, get, ours, 0},
      {"our page changes something", kDesk, api, post,
       with(ours, {{"cookie", "a=b; " + cookie}, {"x-pixelfleet", "1"}}), 0},
      {"without the cookie", kDesk, api, post, with(ours, {{"x-pixelfleet", "1"}}), 403},
      {"without the header", kDesk, api, post, with(ours, {{"cookie", cookie}}), 403},
      {"with a wrong cookie", kDesk, api, post,
       with(ours, {{"cookie", "pixelfleet_session=5e56"}, {"x-pixelfleet", "1"}}), 403},
      {"with a longer cookie name", kDesk, api, post,
       with(ours, {{"cookie", "pixelfleet_session2=5e55"}, {"x-pixelfleet", "1"}}), 403},
      {"another page", kDesk, api, post, {{"host", "localhost:7865"}, {"origin", "http://evil.example"}}, 403},
      {"another page on this machine",
       kDesk,
       api,
       get,
       {{"host", "localhost:7865"}, {"origin", "http://localhost:3000"}},
       403},
      {"a sandboxed page", kDesk, api, get, {{"host", "localhost"}, {"origin", "null"}}, 403},
      {"an image tag elsewhere", kDesk, api, get, {{"host", "localhost"}, {"sec-fetch-site", "cross-site"}}, 403},
      {"a sibling site", kDesk, api, get, {{"host", "localhost"}, {"sec-fetch-site", "same-site"}}, 403},
      {"typed into the address bar", kDesk, api, get, {{"host", "localhost"}, {"sec-fetch-site", "none"}}, 0},
      {"two origins", kDesk, api, get, with(ours, {{"origin", "http://evil.example"}}), 403},

      {"no token", kNetwork, api, get, host("127.0.0.1"), 401},
      {"the token", kNetwork, api, post, with(host("127.0.0.1"), {{"authorization", "Bearer 70ke0"}}), 0},
      {"by address", kNetwork, api, get, with(host("192.168.1.5:7865"), {{"authorization", "bearer 70ke0"}}), 0},
      {"wrong by one byte", kNetwork, api, get, with(host("127.0.0.1"), {{"authorization", "Bearer 70ke1"}}), 401},
      {"a longer token", kNetwork, api, get, with(host("127.0.0.1"), {{"authorization", "Bearer 70ke00"}}), 401},
      {"another scheme", kNetwork, api, get, with(host("127.0.0.1"), {{"authorization", "Basic 70ke0"}}), 401},
      {"the session reads", kNetwork, api, get, with(host("127.0.0.1"), {{"cookie", cookie}}), 0},
      {"the session changes nothing without the header", kNetwork, api, post,
       with(host("127.0.0.1"), {{"cookie", cookie}}), 403},
      {"the session with the header", kNetwork, api, post, with(ours, {{"cookie", cookie}, {"x-pixelfleet", "1"}}), 0},
      {"the token does not excuse a foreign page",
       kNetwork,
       api,
       post,
       {{"host", "127.0.0.1"}, {"origin", "http://evil.example"}, {"authorization", "Bearer 70ke0"}},
       403},
      {"login needs no token", kNetwork, login, post, host("192.168.1.5:7865"), 0},
      {"login from a foreign page",
       kNetwork,
       login,
       post,
       {{"host", "127.0.0.1"}, {"origin", "http://evil.example"}},
       403},
      {"the page needs no token", kNetwork, page, get, host("192.168.1.5:7865"), 0},
  };
  for (const Case& each : cases) {
    Request request;
    request.method = each.method;
    request.headers = each.headers;
    const std::optional<Refusal> refusal = decide_access(request, each.audience, each.policy);
    EXPECT_EQ(refusal ? refusal->status : 0, each.status)
        << each.what << (refusal ? ": " + refusal->error.message : "");
  }
}

TEST(AccessTest, ComparesWholeStrings) {
  EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secre"));
  EXPECT_FALSE(equal_in_constant_time("secre", "secret"));
  EXPECT_FALSE(equal_in_constant_time("secret", ""));
  EXPECT_FALSE(equal_in_constant_time("abab", "ab"));
}

}  // namespace
}  // namespace pixelfleet::http
