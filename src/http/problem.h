// The one table from ErrorCode to HTTP status, and problem+json answers (RFC 9457).
#pragma once

#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace pixelfleet::http {

int status_of(ErrorCode code);

// `status` differs from the table where the protocol has a closer word for it (405, 413, 415, 421 ...).
Response problem(int status, const Error& error, std::string_view request_id);
Response problem(const Error& error, std::string_view request_id);

}  // namespace pixelfleet::http
