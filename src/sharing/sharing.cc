#include "sharing/sharing.h"

#include <utility>

#include "sharing/turn_internal.h"

namespace pixelfleet::sharing {

Sharing::Sharing(Settings settings) { memory_.settings = sane(std::move(settings)); }

std::vector<Action> Sharing::step(const Event& event, Instant now) {
  std::vector<Action> actions;
  Turn(memory_, now, actions).run(event);
  memory_.now = now;
  return actions;
}

std::vector<Verdict> Sharing::gpus() const {
  std::vector<Verdict> verdicts;
  for (const auto& [uuid, gpu] : memory_.gpus) {
    if (gpu.presence == GpuMemory::Presence::gone) continue;
    Verdict verdict;
    verdict.gpu = uuid;
    verdict.share = share_of(memory_, gpu);
    verdict.reasons = reasons_for(memory_, gpu, memory_.now);
    verdict.since = gpu.since;
    constexpr auto kKeep = GpuMemory::Demand::finish_and_keep;
    const bool leaving = gpu.told.value_or(kKeep) != kKeep && memory_.holdings.any_on(uuid);
    if (verdict.reasons.empty()) {
      verdict.state = Verdict::State::open;
    } else if (leaving || memory_.holdings.works(uuid)) {
      verdict.state = Verdict::State::leaving;
    }
    if (overridden(gpu, memory_.now)) {
      verdict.overridden_since = gpu.override_->since;
      verdict.overridden_until = gpu.override_->until;
    }
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

std::string_view name(Verdict::State state) {
  switch (state) {
    case Verdict::State::open: return "open";
    case Verdict::State::leaving: return "leaving";
    case Verdict::State::closed: return "closed";
  }
  return "closed";
}

}  // namespace pixelfleet::sharing
