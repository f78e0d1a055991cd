// Finds the route of a request in a table: which handler, which body, who may use it.
//
// Patterns are paths; a segment {id} takes a positive integer, {name} any one segment. A path that exists with another
// method is told apart from one that does not exist.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/access.h"
#include "http/message.h"

namespace pixelfleet::http {

struct Context;

using Handler = void (*)(const Request&, const Context&, Responder);

// What the connection does with the request's body before the handler runs.
enum class BodyKind { none, json, upload };
// Which thread runs the handler. io: it computes little and never blocks. pool: it asks the store or reads files.
enum class Place { io, pool };
// answer: one response. events, websocket: the connection becomes an event stream and no handler runs.
enum class Exchange { answer, events, websocket };

struct Route {
  Method method = Method::get;
  std::string_view pattern;
  Handler handler = nullptr;
  Place place = Place::io;
  BodyKind body = BodyKind::none;
  Audience audience = Audience::api;
  Exchange exchange = Exchange::answer;
};

struct RouteMatch {
  const Route* route = nullptr;       // null: nothing there, or `allowed` says what is
  std::string named;                  // the value of {name}
  std::int64_t id = 0;                // the value of {id}
  std::vector<std::string> allowed;   // methods of this path, when none of them was asked for
  std::vector<FieldError> bad_param;  // {id} was no positive integer
};

// HEAD finds GET's route.
RouteMatch find_route(std::span<const Route> routes, Method method, std::string_view path);

// Up to three patterns that look like `path`, for a 404's message.
std::vector<std::string> similar_routes(std::span<const Route> routes, std::string_view path);

std::string_view name(Method method);

std::size_t body_limit(BodyKind kind);

}  // namespace pixelfleet::http
