#include "http/admission.h"

#include "base/format.h"
#include "domain/suggest.h"
#include "http/problem.h"
#include "http/routes.h"

namespace pixelfleet::http {
namespace {

Error bad(std::string message) { return {ErrorCode::invalid_argument, std::move(message), {}}; }

std::optional<Response> check_access(const Request& request, const RouteMatch& match, const Policy& policy) {
  const Audience audience = match.route == nullptr ? Audience::api : match.route->audience;
  const std::optional<Refusal> refusal = decide_access(request, audience, policy);
  if (!refusal) return std::nullopt;
  Response response = problem(refusal->status, refusal->error, request.request_id);
  if (refusal->status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"pixelfleet\"");
  return response;
}

Response refuse_method(const Request& request, const std::vector<std::string>& methods) {
  std::string allowed;
  for (const std::string& each : methods) allowed += (allowed.empty() ? "" : ", ") + each;
  const Error error = bad(format("'{}' does not take {}; allowed: {}", request.path.substr(0, 200),
                                 request.method_text.substr(0, 40), allowed));
  Response response = problem(405, error, request.request_id);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

std::optional<Response> check_body(const Request& request, const Route& route, const BodyHead& body) {
  if (body.framing == Framing::none) return std::nullopt;
  if (route.body == BodyKind::none || body.bytes > body_limit(route.body)) return refuse_body(request, route);
  if (request.has_header("content-encoding") && request.header("content-encoding") != "identity") {
    return problem(415, bad("send the body without Content-Encoding"), request.request_id);
  }
  const std::string_view given = request.header("content-type");
  const std::string type = to_lower_ascii(given.substr(0, given.find_first_of("; ")));
  const bool json = route.body == BodyKind::json;
  if (json ? type == "application/json" : type == "image/png" || type == "image/jpeg") return std::nullopt;
  const Error error = invalid_fields({{"Content-Type", std::string(given.substr(0, 100)), "not what this address takes",
                                       json ? "application/json" : "image/png or image/jpeg"}});
  return problem(415, error, request.request_id);
}

}  // namespace

Admission admit(Request& request, const BodyHead& body, const Policy& policy) {
  if (request.target.size() > kMaxTargetBytes) {
    const Error error =
        bad(format("the address is {} bytes long; at most {} are allowed", request.target.size(), kMaxTargetBytes));
    return {nullptr, problem(414, error, request.request_id)};
  }
  const Result<> target = parse_target(request.target, request);
  if (!target) return {nullptr, problem(target.error(), request.request_id)};

  RouteMatch match = find_route(routes(), request.method, request.path);
  if (auto refusal = check_access(request, match, policy)) return {nullptr, std::move(refusal)};
  if (match.route == nullptr) {
    return {nullptr, match.allowed.empty() ? no_such_route(request) : refuse_method(request, match.allowed)};
  }
  if (!match.bad_param.empty()) {
    return {nullptr, problem(invalid_fields(std::move(match.bad_param)), request.request_id)};
  }
  request.id = match.id;
  request.named = match.named;
  if (auto refusal = check_body(request, *match.route, body)) return {nullptr, std::move(refusal)};
  return {match.route, std::nullopt};
}

Response refuse_body(const Request& request, const Route& route) {
  const std::size_t limit = body_limit(route.body);
  Error error{ErrorCode::resource_exhausted, format("{} {} takes no body", name(route.method), route.pattern), {}};
  if (limit > 0) {
    error.message =
        format("the body is too large: {} {} takes at most {} bytes", name(route.method), route.pattern, limit);
  }
  return problem(413, error, request.request_id);
}

}  // namespace pixelfleet::http
