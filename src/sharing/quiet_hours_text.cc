// Quiet hours as people write them: "Mon-Fri 8:00-18:00; 22:00-7:00".
#include <array>
#include <charconv>
#include <string>

#include "base/format.h"
#include "sharing/quiet_hours.h"

namespace pixelfleet::sharing {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr std::string_view kAllowed =
    "windows like 22:00-7:00, Mon-Fri 8:00-18:00 or Sat,Sun 0:00-24:00, with ; between";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Takes what stands before `mark` off the front, and the mark; all of it when there is none.
std::string_view take(std::string_view& text, char mark) {
  const auto end = text.find(mark);
  const std::string_view head = trimmed(text.substr(0, end));
  text = end == std::string_view::npos ? "" : text.substr(end + 1);
  return head;
}

std::optional<int> number(std::string_view text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size() && !text.empty();
  return whole && value >= 0 && value <= most ? std::optional(value) : std::nullopt;
}

// "7:00" or "7"; 24:00 is the end of the day.
std::optional<int> minute_of_day(std::string_view text) {
  const bool has_minutes = text.find(':') != std::string_view::npos;
  const auto hour = number(take(text, ':'), 24);
  const auto minute = has_minutes ? number(text, 59) : std::optional(0);
  if (!hour || !minute || *hour * 60 + *minute > 1440) return std::nullopt;
  return *hour * 60 + *minute;
}

std::optional<int> weekday(std::string_view text) {
  std::string lower(text.substr(0, 3));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (std::size_t i = 0; i < kDays.size(); ++i) {
    if (lower == kDays.at(i)) return static_cast<int>(i);
  }
  return std::nullopt;
}

// "Mon-Fri", "Sat,Sun", "Fri-Mon"
std::optional<std::uint8_t> weekdays(std::string_view text) {
  unsigned bits = 0;
  while (!text.empty()) {
    std::string_view part = take(text, ',');
    const bool spans = part.find('-') != std::string_view::npos;
    const auto first = weekday(take(part, '-'));
    const auto last = spans ? weekday(trimmed(part)) : first;
    if (!first || !last) return std::nullopt;
    for (int day = *first;; day = (day + 1) % 7) {
      bits |= 1u << day;
      if (day == *last) break;
    }
  }
  return static_cast<std::uint8_t>(bits);
}

std::optional<QuietWindow> window_from(std::string_view text) {
  QuietWindow window;
  if (const auto blank = text.find_last_of(" \t", text.find_first_of("0123456789")); blank != std::string_view::npos) {
    const auto days = weekdays(trimmed(text.substr(0, blank)));
    if (!days) return std::nullopt;
    window.weekdays = *days;
    text = trimmed(text.substr(blank));
  }
  if (text.find('-') == std::string_view::npos) return std::nullopt;
  const auto from = minute_of_day(take(text, '-'));
  const auto to = minute_of_day(trimmed(text));
  if (!from || !to || *from == 1440) return std::nullopt;
  window.from_minute = *from;
  window.to_minute = *to;
  return window;
}

std::string days_text(std::uint8_t weekdays) {
  constexpr std::array<std::string_view, 7> kNames = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  std::string text;
  for (std::size_t first = 0; first < 7; ++first) {
    if ((weekdays >> first & 1) == 0) continue;
    std::size_t last = first;
    while (last < 6 && (weekdays >> (last + 1) & 1) != 0) ++last;
    text += text.empty() ? "" : ",";
    text += kNames.at(first);
    if (last > first) text += format("-{}", kNames.at(last));
    first = last;
  }
  return text;
}

}  // namespace

Result<std::vector<QuietWindow>> quiet_hours_from(std::string_view text) {
  std::vector<QuietWindow> windows;
  std::string_view rest = trimmed(text);
  while (!rest.empty()) {
    const std::string_view part = take(rest, ';');
    if (part.empty()) continue;
    const auto window = window_from(part);
    if (!window) {
      return fail(ErrorCode::invalid_argument, format("\"{}\" is no time of the week; allowed are {}", part, kAllowed));
    }
    windows.push_back(*window);
  }
  return windows;
}

std::string to_text(const std::vector<QuietWindow>& windows) {
  std::string text;
  for (const QuietWindow& window : windows) {
    if (window.weekdays == 0) continue;  // on no day
    if (!text.empty()) text += "; ";
    if (window.weekdays != 127) text += days_text(window.weekdays) + " ";
    text += format("{}:{:02}-{}:{:02}", window.from_minute / 60, window.from_minute % 60, window.to_minute / 60,
                   window.to_minute % 60);
  }
  return text;
}

}  // namespace pixelfleet::sharing
