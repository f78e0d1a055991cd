#include "sharing/events.h"

#include <array>

namespace pixelfleet::sharing {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<Reason>> kReasons = {
    "others_compute", "busy_by_others", "others_left", "quiet_hours", "too_hot", "not_seen_yet"};

}  // namespace

std::string_view name(const Reason& reason) { return kReasons.at(reason.index()); }

std::string_view name(Share share) {
  switch (share) {
    case Share::polite: return "polite";
    case Share::idle_only: return "idle_only";
    case Share::always: return "always";
  }
  return "polite";
}

std::optional<Share> share_from(std::string_view text) {
  for (const Share share : {Share::polite, Share::idle_only, Share::always}) {
    if (text == name(share)) return share;
  }
  return text == "idle-only" ? std::optional(Share::idle_only) : std::nullopt;
}

}  // namespace pixelfleet::sharing
