// Decides from a request's head alone whether its body is worth reading: target, access, route, method, body headers.
#pragma once

#include <cstdint>
#include <optional>

#include "http/access.h"
#include "http/message.h"
#include "http/router.h"

namespace pixelfleet::http {

inline constexpr std::size_t kMaxTargetBytes = 4u << 10;

// How the head announces a body; chunked ones do not tell their length.
enum class Framing { none, length, chunked };
struct BodyHead {
  Framing framing = Framing::none;
  std::uint64_t bytes = 0;
};

struct Admission {
  const Route* route = nullptr;     // set when admitted
  std::optional<Response> refusal;  // set otherwise
};

// Fills path, query and id of `request`, whose method, target and headers are set.
Admission admit(Request& request, const BodyHead& body, const Policy& policy);

// 413, with what the route takes.
Response refuse_body(const Request& request, const Route& route);

}  // namespace pixelfleet::http
