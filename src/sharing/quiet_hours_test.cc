#include "sharing/quiet_hours.h"

#include <gtest/gtest.h>

namespace pixelfleet::sharing {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// 5 January 1970 was a Monday.
Duration at(int day, int hour, int minute = 0) { return hours{(4 + day) * 24 + hour} + minutes{minute}; }

TEST(QuietHours, TheFirstMinuteIsQuietAndTheLastIsNot) {
  const std::vector<QuietWindow> windows = {{9 * 60, 17 * 60}};
  EXPECT_FALSE(quiet_until(windows, at(0, 8, 59)));
  EXPECT_EQ(quiet_until(windows, at(0, 9)), at(0, 17));
  EXPECT_EQ(quiet_until(windows, at(0, 16, 59)), at(0, 17));
  EXPECT_FALSE(quiet_until(windows, at(0, 17)));
}

TEST(QuietHours, TheyCrossMidnight) {
  const std::vector<QuietWindow> windows = {{22 * 60, 7 * 60}};
  EXPECT_EQ(quiet_until(windows, at(0, 23)), at(1, 7));
  EXPECT_EQ(quiet_until(windows, at(1, 3)), at(1, 7));
  EXPECT_FALSE(quiet_until(windows, at(1, 12)));
}

TEST(QuietHours, TheWeekdayIsThatOfTheBeginning) {
  const std::vector<QuietWindow> friday_night = {{22 * 60, 7 * 60, 16}};
  EXPECT_FALSE(quiet_until(friday_night, at(3, 23))) << "Thursday";
  EXPECT_EQ(quiet_until(friday_night, at(4, 23)), at(5, 7));
  EXPECT_EQ(quiet_until(friday_night, at(5, 3)), at(5, 7));
  EXPECT_FALSE(quiet_until(friday_night, at(5, 23)));
}

TEST(QuietHours, WindowsThatTouchAreOne) {
  const std::vector<QuietWindow> windows = {{9 * 60, 12 * 60}, {12 * 60, 17 * 60}, {16 * 60, 18 * 60}};
  EXPECT_EQ(quiet_until(windows, at(0, 10)), at(0, 18));
}

TEST(QuietHours, WholeDaysMakeAWeekend) {
  const std::vector<QuietWindow> windows = {{0, 0, 32 | 64}};
  EXPECT_EQ(quiet_until(windows, at(5, 10)), at(7, 0));
  EXPECT_FALSE(quiet_until(windows, at(7, 0)));
  EXPECT_EQ(quiet_until({{0, 1440, 32}}, at(5, 10)), at(6, 0));
}

TEST(QuietHours, ForEverIsEightDays) {
  EXPECT_EQ(quiet_until({{0, 0}}, at(0, 10)), at(8, 10));
  EXPECT_FALSE(quiet_until({}, at(0, 10)));
  EXPECT_FALSE(quiet_until({{0, 0, 0}}, at(0, 10))) << "on no day";
}

TEST(QuietHours, TheNextOnesAreFoundInTheWeekAhead) {
  const std::vector<QuietWindow> windows = {{22 * 60, 7 * 60, 1}, {13 * 60, 14 * 60, 4}};
  EXPECT_EQ(next_quiet(windows, at(0, 10)), at(0, 22));
  EXPECT_EQ(next_quiet(windows, at(0, 22)), at(2, 13));
  EXPECT_EQ(next_quiet(windows, at(2, 13)), at(7, 22));
  EXPECT_FALSE(next_quiet({}, at(0, 10)));
}

TEST(QuietHours, AreReadAsPeopleWriteThem) {
  const auto read = [](std::string_view text) { return quiet_hours_from(text).value(); };
  using Windows = std::vector<QuietWindow>;
  EXPECT_EQ(read(""), Windows{});
  EXPECT_EQ(read(" 22:00-7:00 "), (Windows{{1320, 420, 127}}));
  EXPECT_EQ(read("22-7"), (Windows{{1320, 420, 127}}));
  EXPECT_EQ(read("Mon-Fri 8:00-18:30; sat,SUN 0:00-24:00;"), (Windows{{480, 1110, 31}, {0, 1440, 96}}));
  EXPECT_EQ(read("Fri-Mon 1:00 - 2:00"), (Windows{{60, 120, 16 + 32 + 64 + 1}}));
  EXPECT_EQ(read("Wednesday 12:00-13:00"), (Windows{{720, 780, 4}}));
}

TEST(QuietHours, WhatIsNoTimeOfTheWeekIsNamed) {
  for (const char* text :
       {"22:00", "25:00-7:00", "22:60-7:00", "24:00-7:00", "24:01-7:00", "-1:00-7:00", "Mo 1:00-2:00", "Mon- 1:00-2:00",
        "1:00-2:00 Mon", "1:00-2:00-3:00", "abc", "Mon", ":", "-", "1::0-2:00"}) {
    const auto result = quiet_hours_from(std::string("0:00-1:00; ") + text);
    ASSERT_FALSE(result) << text;
    EXPECT_NE(result.error().message.find(std::string("\"") + text + "\""), std::string::npos)
        << result.error().message;
    EXPECT_NE(result.error().message.find("allowed"), std::string::npos);
  }
}

TEST(QuietHours, TextAndBackIsTheSame) {
  for (const char* text : {"", "22:00-7:00", "Mon-Fri 8:00-18:30; Sat-Sun 0:00-24:00", "Mon,Wed-Thu,Sun 0:05-0:00"}) {
    EXPECT_EQ(to_text(quiet_hours_from(text).value()), text);
  }
}

}  // namespace
}  // namespace pixelfleet::sharing
