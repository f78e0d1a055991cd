#include "base/clock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace pixelfleet {
namespace {

TEST(Clock, InstantsAreUnixMillisecondsAtTheEdge) {
  EXPECT_EQ(to_unix_ms(from_unix_ms(1'795'508'130'125)), 1'795'508'130'125);
  EXPECT_EQ(to_unix_ms(Instant{Duration{1'999}}), 1) << "microseconds are cut off";
  EXPECT_EQ(to_unix_ms(Instant{}), 0);
}

TEST(Clock, WritesUtcWithMilliseconds) {
  EXPECT_EQ(to_rfc3339_utc(Instant{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339_utc(from_unix_ms(1'795'508'130'125)), "2026-11-24T08:15:30.125Z");
  EXPECT_EQ(to_rfc3339_utc(from_unix_ms(1'709'164'800'007)), "2024-02-29T00:00:00.007Z") << "a leap day";
}

TEST(Clock, StampsAreInTheTimeZoneOfTheMachine) {
  const char* before = std::getenv("TZ");
  const std::string saved = before != nullptr ? before : "";
  ASSERT_EQ(setenv("TZ", "UTC-1", 1), 0);  // one hour east of Greenwich
  tzset();
  EXPECT_EQ(to_local_stamp(from_unix_ms(1'795'508'130'125)), "20261124_091530");
  if (before != nullptr) {
    setenv("TZ", saved.c_str(), 1);
  } else {
    unsetenv("TZ");
  }
  tzset();
}

TEST(Clock, TheSystemClockNeverGoesBack) {
  SystemClock clock;
  Instant last = clock.now();
  for (int i = 0; i < 1000; ++i) {
    const Instant now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GT(last, from_unix_ms(1'700'000'000'000)) << "it knows what year it is";
}

}  // namespace
}  // namespace pixelfleet
