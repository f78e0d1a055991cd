#include "base/result.h"

#include <cerrno>
#include <cstring>

#include "base/format.h"

namespace pixelfleet {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::resource_exhausted: return "resource_exhausted";
    case ErrorCode::disk_full: return "disk_full";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::corrupt: return "corrupt";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

Error invalid_fields(std::vector<FieldError> fields) {
  Error error{ErrorCode::invalid_argument, "the request is not valid", std::move(fields)};
  if (!error.fields.empty()) {
    const FieldError& first = error.fields.front();
    error.message = format("{}: {}", first.field, first.message);
    if (!first.allowed.empty()) error.message += format(" (allowed: {})", first.allowed);
  }
  return error;
}

Error system_error(std::string_view what, int errno_value) {
  ErrorCode code = ErrorCode::internal;
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT: code = ErrorCode::disk_full; break;
    case EACCES:
    case EPERM:
    case EROFS: code = ErrorCode::permission_denied; break;
    case ENOENT: code = ErrorCode::not_found; break;
    case EMFILE:
    case ENFILE:
    case ENOMEM: code = ErrorCode::resource_exhausted; break;
    default: break;
  }
  return Error{code, format("{}: {}", what, std::strerror(errno_value))};
}

}  // namespace pixelfleet
