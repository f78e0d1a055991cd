#include "base/clock.h"

#include <ctime>

#include "base/format.h"

namespace pixelfleet {

SystemClock::SystemClock()
    : wall_start_(std::chrono::system_clock::now()), steady_start_(std::chrono::steady_clock::now()) {}

Instant SystemClock::now() {
  const auto elapsed = std::chrono::steady_clock::now() - steady_start_;
  return std::chrono::time_point_cast<Duration>(wall_start_) + std::chrono::duration_cast<Duration>(elapsed);
}

std::int64_t to_unix_ms(Instant instant) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(instant.time_since_epoch()).count();
}

Instant from_unix_ms(std::int64_t unix_ms) { return Instant{std::chrono::milliseconds{unix_ms}}; }

std::string to_rfc3339_utc(Instant instant) {
  const std::int64_t ms = to_unix_ms(instant);
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

std::string to_local_stamp(Instant instant) {
  const std::time_t seconds = static_cast<std::time_t>(to_unix_ms(instant) / 1000);
  std::tm local{};
  localtime_r(&seconds, &local);
  return format("{:04}{:02}{:02}_{:02}{:02}{:02}", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour,
                local.tm_min, local.tm_sec);
}

}  // namespace pixelfleet
