// Time as the program sees it: one kind of instant, handed in from the edge, never read inside pure folders.
#pragma once

#include <chrono>
#include <string>

namespace pixelfleet {

using Duration = std::chrono::microseconds;
// Microseconds since the Unix epoch. Comparable across restarts; within a process it never goes back.
using Instant = std::chrono::time_point<std::chrono::system_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() = 0;
};

// The wall clock at construction plus the steady time since: a step of the system's clock cannot turn it back.
class SystemClock final : public Clock {
 public:
  SystemClock();
  Instant now() override;

 private:
  const std::chrono::system_clock::time_point wall_start_;
  const std::chrono::steady_clock::time_point steady_start_;
};

// Unix milliseconds, the unit of every time column and JSON time.
std::int64_t to_unix_ms(Instant instant);
Instant from_unix_ms(std::int64_t unix_ms);

// "2026-11-24T08:15:30.125Z".
std::string to_rfc3339_utc(Instant instant);

// "20261124_091530" in the machine's time zone: the stamp in the names of run directories and pictures.
std::string to_local_stamp(Instant instant);

}  // namespace pixelfleet
