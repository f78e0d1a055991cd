#include "sharing/quiet_hours.h"

#include <algorithm>

namespace pixelfleet::sharing {
namespace {

using std::chrono::minutes;
using Days = std::chrono::duration<std::int64_t, std::ratio<86'400>>;

constexpr Days kMostAhead{8};

std::uint8_t weekday_bit(Days day) {
  constexpr std::int64_t kThursday = 3;  // Monday is 0
  const std::int64_t weekday = ((day.count() + kThursday) % 7 + 7) % 7;
  return static_cast<std::uint8_t>(1u << weekday);
}

struct Stretch {
  Duration from, to;
};

// Calls `visit` with each stretch of a window that begins on one of `first`..`last`.
template <class Visit>
void for_each_stretch(const std::vector<QuietWindow>& windows, Days first, Days last, Visit visit) {
  for (Days day = first; day <= last; ++day) {
    for (const QuietWindow& window : windows) {
      if ((window.weekdays & weekday_bit(day)) == 0) continue;
      const Days end_day = window.to_minute > window.from_minute ? day : day + Days{1};
      visit(Stretch{day + minutes{window.from_minute}, end_day + minutes{window.to_minute}});
    }
  }
}

}  // namespace

std::optional<Duration> quiet_until(const std::vector<QuietWindow>& windows, Duration local) {
  std::optional<Duration> until;
  Duration reached = local;
  for (bool grows = true; grows && reached < local + kMostAhead;) {
    grows = false;
    const Days day = std::chrono::floor<Days>(reached);
    for_each_stretch(windows, day - Days{1}, day, [&](const Stretch& stretch) {
      if (stretch.from > reached || stretch.to <= reached) return;
      until = reached = stretch.to;
      grows = true;
    });
  }
  return until ? std::optional<Duration>(std::min<Duration>(*until, local + kMostAhead)) : std::nullopt;
}

std::optional<Duration> next_quiet(const std::vector<QuietWindow>& windows, Duration local) {
  std::optional<Duration> next;
  const Days day = std::chrono::floor<Days>(local);
  for_each_stretch(windows, day, day + Days{7}, [&](const Stretch& stretch) {
    if (stretch.from > local && (!next || stretch.from < *next)) next = stretch.from;
  });
  return next;
}

}  // namespace pixelfleet::sharing
