// If-None-Match: whether the client already has what it asks for.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace pixelfleet::http {

// `etag` with its quotes; weak comparison, lists and * included.
bool etag_matches(const Request& request, std::string_view etag);

Response not_modified(const std::string& etag, std::string_view cache_control);

}  // namespace pixelfleet::http
