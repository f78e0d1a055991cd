// The route table: the same list as api/openapi.yaml (a test compares them, both ways).
#pragma once

#include <span>

#include "http/router.h"

namespace pixelfleet::http {

std::span<const Route> routes();

// 404 that names the routes that look like the one asked for.
Response no_such_route(const Request& request);

}  // namespace pixelfleet::http
