// Quiet hours: the times of the week at which a gpu makes no noise and no heat.
//
// Everything here is local time, as microseconds on the wall clock since Thursday, 1 January 1970, 0:00.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace pixelfleet::sharing {

// From one minute of the day to another, which is no longer part of it. An end that is not behind the beginning is on
// the next day: 22:00-7:00; the same minute twice is a whole day.
struct QuietWindow {
  int from_minute = 0;          // 0-1439
  int to_minute = 0;            // 0-1440
  std::uint8_t weekdays = 127;  // that it begins on: 1 Monday, 2 Tuesday, 4 Wednesday ... 64 Sunday

  friend bool operator==(const QuietWindow&, const QuietWindow&) = default;
};

// "22:00-7:00", "Mon-Fri 8:00-18:00; Sat,Sun 0:00-24:00"; empty for none. An error names the window that is wrong and
// what is allowed.
Result<std::vector<QuietWindow>> quiet_hours_from(std::string_view text);
std::string to_text(const std::vector<QuietWindow>& windows);

// The end of the quiet hours that `local` lies in; absent when it lies in none. Windows that touch are one. Never more
// than eight days ahead, so that quiet for ever is a long time again and again.
std::optional<Duration> quiet_until(const std::vector<QuietWindow>& windows, Duration local);

// When quiet hours begin after `local`; absent when they never do.
std::optional<Duration> next_quiet(const std::vector<QuietWindow>& windows, Duration local);

}  // namespace pixelfleet::sharing
