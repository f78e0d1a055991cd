#include <cstdio>

#include "base/format.h"
#include "cli/hooks.h"

namespace pixelfleet::cli {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return kExitUsage;
    case ErrorCode::not_found: return kExitNotFound;
    case ErrorCode::conflict: return kExitConflict;
    case ErrorCode::unavailable:
    case ErrorCode::resource_exhausted: return kExitUnavailable;
    case ErrorCode::permission_denied:
    case ErrorCode::disk_full:
    case ErrorCode::corrupt: return kExitSystem;
    case ErrorCode::internal: return kExitInternal;
  }
  return kExitInternal;
}

int report(const Error& error) {
  std::string text = error.fields.size() == 1 ? "" : format("pixelfleet: {}\n", error.message);
  for (const FieldError& field : error.fields) {
    text += error.fields.size() == 1 ? "pixelfleet: " : "  ";
    text += format("{}: {}", field.field, field.message);
    if (!field.value.empty()) text += format(" (got {})", field.value);
    if (!field.allowed.empty()) text += format("; allowed: {}", field.allowed);
    text += '\n';
  }
  std::fputs(text.c_str(), stderr);
  return exit_code(error.code);
}

}  // namespace pixelfleet::cli
