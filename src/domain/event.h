// Event: what subscribers are told. The envelope {seq, type, at, data} is the same on SSE, WebSocket and disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"

namespace pixelfleet {

// seq > 0: durable, numbered without gaps across restarts. seq == 0: lossy (progress, previews, samples).
struct Event {
  std::int64_t seq = 0;
  std::string type;  // "job.updated", "image.published", "job.progress" ...
  Instant at;
  std::string data;  // a JSON object, as text: serialised once, shared by every subscriber

  bool durable() const { return seq > 0; }
};

using EventPtr = std::shared_ptr<const Event>;

}  // namespace pixelfleet
