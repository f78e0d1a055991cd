#include "http/replay.h"

#include <charconv>

#include "base/json_full.h"
#include "http/snapshot.h"

namespace pixelfleet::http {

std::optional<std::int64_t> parse_last_event_id(std::string_view text) {
  std::int64_t seq = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seq);
  if (error != std::errc() || end != text.data() + text.size() || seq < 0) return std::nullopt;
  return seq;
}

Result<FramePtr> snapshot_frame(const Context& context) {
  const Result<Json> snapshot = build_snapshot(context);
  if (!snapshot) return fail(snapshot.error());
  return std::make_shared<const Frame>((*snapshot)["seq"].get<std::int64_t>(), context.clock.now(), to_text(*snapshot));
}

Result<ReplayPage> replay_page(const Context& context, std::int64_t after) {
  const std::int64_t known = context.service.live()->seq;
  const Result<std::vector<EventPtr>> events = context.reader.events(after, kReplayPage);
  if (!events) return fail(events.error());
  ReplayPage page;
  page.gap = events->empty() ? after < known : events->front()->seq != after + 1;
  for (const EventPtr& event : *events) page.frames.push_back(std::make_shared<const Frame>(*event));
  return page;
}

// A seq of the future is of another store (or a typing slip): nothing would ever follow it.
bool may_replay(std::int64_t after, std::int64_t current) { return after <= current && current - after <= kMaxReplay; }

}  // namespace pixelfleet::http
