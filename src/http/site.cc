// The page, the API document, login and the health probes.
#include "base/format.h"
#include "base/json_full.h"
#include "http/etag.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "http/routes.h"

namespace pixelfleet::http {
namespace {

Response static_response(const Request& request, std::string_view bytes, std::string_view media_type,
                         std::string_view etag, std::string_view cache_control) {
  if (etag_matches(request, etag)) return not_modified(std::string(etag), cache_control);
  Response response;
  response.headers = {{"Content-Type", std::string(media_type)},
                      {"Cache-Control", std::string(cache_control)},
                      {"ETag", std::string(etag)}};
  response.static_body = bytes;
  return response;
}

}  // namespace

void get_index(const Request& request, const Context& context, Responder respond) {
  const PageFile* built = find_page_file(context.options.page, "/index.html");
  const PageFile index = built == nullptr ? unbuilt_page() : *built;
  Response response = static_response(request, index.bytes, index.media_type, index.etag, "no-cache");
  // With a token, only login gives the cookie.
  if (!context.policy.wants_token()) response.headers.emplace_back("Set-Cookie", session_cookie(context.policy));
  respond(std::move(response));
}

void get_page_file(const Request& request, const Context& context, Responder respond) {
  const PageFile* file = find_page_file(context.options.page, request.path);
  if (file == nullptr) return respond(no_such_route(request));
  // The build puts a hash of the content into the names below /assets/.
  const bool hashed_name = request.path.starts_with("/assets/");
  respond(static_response(request, file->bytes, file->media_type, file->etag,
                          hashed_name ? "public, max-age=31536000, immutable" : "no-cache"));
}

void get_openapi(const Request&, const Context& context, Responder respond) {
  Response response;
  response.headers.emplace_back("Content-Type", "application/yaml");
  response.static_body = context.options.openapi;
  respond(std::move(response));
}

void login(const Request& request, const Context& context, Responder respond) {
  const Result<Json> body = parse_json(request.body);
  if (!body) return respond(problem(body.error(), request.request_id));
  if (!body->is_object() || body->size() != 1 || !body->contains("token") || !(*body)["token"].is_string()) {
    const Error error =
        invalid_fields({{"token", "", "the body must hold the token and nothing else", "{\"token\": \"...\"}"}});
    return respond(problem(error, request.request_id));
  }
  if (context.policy.wants_token() &&
      !equal_in_constant_time((*body)["token"].get_ref<const std::string&>(), context.policy.token)) {
    const Error error{ErrorCode::permission_denied,
                      "this is not the server's token; it was printed when the server started and lies in the data "
                      "directory in the file 'token'"};
    return respond(problem(401, error, request.request_id));
  }
  Response response;
  response.status = 204;
  response.headers = {{"Set-Cookie", session_cookie(context.policy)}, {"Cache-Control", "no-store"}};
  respond(std::move(response));
}

void get_livez(const Request&, const Context&, Responder respond) { respond(json_response(200, {{"status", "ok"}})); }

void get_readyz(const Request& request, const Context& context, Responder respond) {
  const Result<std::vector<Job>> answer = context.reader.jobs({{}, 1, std::nullopt});
  if (!answer) {
    const Error error{ErrorCode::unavailable, "the store does not answer: " + answer.error().message};
    return respond(problem(error, request.request_id));
  }
  respond(json_response(200, {{"status", "ok"}}));
}

}  // namespace pixelfleet::http
