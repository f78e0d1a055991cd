#include "http/problem.h"

#include "base/json_full.h"

namespace pixelfleet::http {

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 400;
    case ErrorCode::not_found: return 404;
    case ErrorCode::conflict: return 409;
    case ErrorCode::permission_denied: return 403;
    case ErrorCode::resource_exhausted: return 429;
    case ErrorCode::disk_full: return 507;
    case ErrorCode::unavailable: return 503;
    case ErrorCode::corrupt: return 422;
    case ErrorCode::internal: return 500;
  }
  return 500;
}

Response problem(int status, const Error& error, std::string_view request_id) {
  Json fields = Json::array();
  for (const FieldError& field : error.fields) {
    fields.push_back(
        {{"field", field.field}, {"value", field.value}, {"message", field.message}, {"allowed", field.allowed}});
  }
  Response response = json_response(status, {{"type", "about:blank"},
                                             {"title", reason_phrase(status)},
                                             {"status", status},
                                             {"detail", error.message},
                                             {"code", name(error.code)},
                                             {"errors", std::move(fields)},
                                             {"request_id", request_id}});
  response.headers.front().second = "application/problem+json";
  if (status == 503 || status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response problem(const Error& error, std::string_view request_id) {
  return problem(status_of(error.code), error, request_id);
}

}  // namespace pixelfleet::http
