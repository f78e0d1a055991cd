// How a stream begins: from the client's last seq if the store still has what follows, else with a snapshot.
//
// Durable events are committed before they are announced. So a client that joined the hub first, then reads a snapshot
// or the events after its seq, and then drops queued frames up to what it sent, sees every event once.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "http/context.h"
#include "http/event_hub.h"

namespace pixelfleet::http {

inline constexpr std::int64_t kMaxReplay = 10'000;  // further behind, a snapshot is cheaper
inline constexpr std::size_t kReplayPage = 500;

// "17" -> 17; nothing when it is no seq at all.
std::optional<std::int64_t> parse_last_event_id(std::string_view text);

// Blocks on the store: call on the pool.
Result<FramePtr> snapshot_frame(const Context& context);

struct ReplayPage {
  std::vector<FramePtr> frames;
  bool gap = false;  // the events right after `after` are gone: a snapshot is needed
};
Result<ReplayPage> replay_page(const Context& context, std::int64_t after);

// Whether a replay from `after` is possible at all; `current` is the live state's seq.
bool may_replay(std::int64_t after, std::int64_t current);

}  // namespace pixelfleet::http
