// The status line and headers of a response as text, with those that every response carries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace pixelfleet::http {

enum class After { keep_open, close };

// `version`: "HTTP/1.0" or "HTTP/1.1". Content-Length is the body's, also for HEAD; 204 and 304 have none.
std::string response_head(std::string_view version, const Response& response, std::string_view request_id, After after);

// Each line ended: what keeps other pages and other types out.
std::string_view security_headers();

std::int64_t body_bytes(const Response& response);
std::string_view body_in_memory(const Response& response);
inline bool may_have_body(const Response& response) { return response.status != 204 && response.status != 304; }

}  // namespace pixelfleet::http
