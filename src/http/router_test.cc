#include "http/router.h"

#include <set>

#include "base/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/page.h"
#include "http/routes.h"

namespace pixelfleet::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RouteMatch find(Method method, std::string_view path) { return find_route(routes(), method, path); }

// "GET /api/v1/jobs" for each operation of the document: a scan of the two indentations that paths and methods have.
std::set<std::string> documented_operations() {
  std::set<std::string> operations;
  std::string_view rest = openapi_document();
  std::string path;
  bool in_paths = false;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty() && line.front() != ' ') in_paths = line == "paths:";
    if (!in_paths || !line.ends_with(':')) continue;
    const std::size_t indentation = line.find_first_not_of(' ');
    const std::string word(line.substr(indentation, line.size() - indentation - 1));
    if (indentation == 2) path = word;
    for (const Method method : {Method::get, Method::post, Method::put, Method::patch}) {
      std::string lower(name(method));
      std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return static_cast<char>(c | 0x20); });
      if (indentation == 4 && word == lower) operations.insert(format("{} {}", name(method), path));
    }
  }
  return operations;
}

TEST(RouterTest, RoutesAndDocumentAreTheSame) {
  std::set<std::string> served;
  for (const Route& route : routes()) {
    if (route.audience != Audience::page) served.insert(format("{} {}", name(route.method), route.pattern));
  }
  EXPECT_EQ(served, documented_operations());
  EXPECT_GE(served.size(), 20u);
}

TEST(RouterTest, TakesTheIdFromThePath) {
  const RouteMatch match = find(Method::get, "/api/v1/jobs/42");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->pattern, "/api/v1/jobs/{id}");
  EXPECT_EQ(match.id, 42);
  EXPECT_THAT(match.bad_param, IsEmpty());
}

TEST(RouterTest, RefusesIdsThatAreNone) {
  for (const char* id : {"abc", "0", "-1", "1.5", "9223372036854775808", "1x", "+1", " 1"}) {
    const RouteMatch match = find(Method::get, format("/api/v1/jobs/{}", id));
    ASSERT_EQ(match.bad_param.size(), 1u) << id;
    EXPECT_EQ(match.bad_param[0].value, id);
    EXPECT_EQ(match.bad_param[0].allowed, "a positive integer");
  }
}

TEST(RouterTest, HeadFindsTheRouteOfGet) {
  ASSERT_NE(find(Method::head, "/api/v1/gpus").route, nullptr);
  EXPECT_EQ(find(Method::head, "/api/v1/gpus").route->method, Method::get);
}

TEST(RouterTest, TellsAWrongMethodFromAWrongPath) {
  EXPECT_THAT(find(Method::put, "/api/v1/jobs").allowed, ElementsAre("GET", "HEAD", "POST"));
  EXPECT_EQ(find(Method::put, "/api/v1/jobs").route, nullptr);
  EXPECT_THAT(find(Method::get, "/api/v1/nothing").allowed, IsEmpty());
}

TEST(RouterTest, DoesNotTakeEmptySegmentsOrMoreOfThem) {
  for (const char* path : {"/api/v1/jobs/", "/api/v1/jobs//cancel", "//api/v1/jobs", "/api/v1/jobs/1/images/2", ""}) {
    EXPECT_EQ(find(Method::get, path).route, nullptr) << path;
  }
}

TEST(RouterTest, NamesSimilarRoutes) {
  EXPECT_THAT(similar_routes(routes(), "/api/v1/job"), ::testing::Contains("/api/v1/jobs"));
}

}  // namespace
}  // namespace pixelfleet::http
