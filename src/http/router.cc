#include "http/router.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"
#include "domain/suggest.h"

namespace pixelfleet::http {
namespace {

constexpr std::string_view kId = "{id}";
constexpr std::string_view kName = "{name}";

std::string_view take_segment(std::string_view& path) {
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(std::min(path.size(), segment.size() + 1));
  return segment;
}

struct PathMatch {
  bool matches = false;
  std::string_view id;    // the text in {id}'s place
  std::string_view name;  // likewise
};

PathMatch match_path(std::string_view pattern, std::string_view path) {
  PathMatch match;
  if (std::count(pattern.begin(), pattern.end(), '/') != std::count(path.begin(), path.end(), '/')) return match;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view wanted = take_segment(pattern);
    const std::string_view given = take_segment(path);
    const bool is_parameter = wanted.starts_with('{');
    if (is_parameter ? given.empty() : wanted != given) return match;
    if (wanted == kId) match.id = given;
    if (wanted == kName) match.name = given;
  }
  match.matches = true;
  return match;
}

std::int64_t parse_id(std::string_view text) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() ? id : 0;
}

}  // namespace

RouteMatch find_route(std::span<const Route> routes, Method method, std::string_view path) {
  RouteMatch found;
  const Method wanted = method == Method::head ? Method::get : method;
  for (const Route& route : routes) {
    const PathMatch match = match_path(route.pattern, path);
    if (!match.matches) continue;
    if (route.method != wanted) {
      found.allowed.emplace_back(name(route.method));
      if (route.method == Method::get) found.allowed.emplace_back(name(Method::head));
      continue;
    }
    found.route = &route;
    found.allowed.clear();
    found.named = match.name;
    if (!match.id.empty()) {
      found.id = parse_id(match.id);
      if (found.id <= 0) {
        found.bad_param.push_back({"id", std::string(match.id.substr(0, 100)), "not an id", "a positive integer"});
      }
    }
    return found;
  }
  return found;
}

std::vector<std::string> similar_routes(std::span<const Route> routes, std::string_view path) {
  std::vector<std::string> candidates;
  for (const Route& route : routes) {
    const std::string pattern(route.pattern);
    if (std::find(candidates.begin(), candidates.end(), pattern) == candidates.end()) candidates.push_back(pattern);
  }
  std::vector<std::string> similar;
  while (similar.size() < 3) {
    const auto nearest = nearest_name(path, candidates);
    if (!nearest) break;
    std::erase(candidates, *nearest);
    similar.push_back(*nearest);
  }
  return similar;
}

std::string_view name(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::patch: return "PATCH";
    case Method::other: return "OTHER";
  }
  return "OTHER";
}

std::size_t body_limit(BodyKind kind) {
  switch (kind) {
    case BodyKind::none: return 0;
    case BodyKind::json: return 1u << 20;
    case BodyKind::upload: return 32u << 20;
  }
  return 0;
}

}  // namespace pixelfleet::http
