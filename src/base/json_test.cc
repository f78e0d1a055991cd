// What parse_json lets in, and what it says about the rest.
#include <gmock/gmock.h>

#include <string>

#include "base/json_full.h"

namespace pixelfleet {
namespace {

using ::testing::HasSubstr;

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

TEST(Json, ParsesAnObject) {
  const auto json = parse_json(R"({"prompt":"a red fox","count":3})");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["prompt"], "a red fox");
  EXPECT_EQ((*json)["count"], 3);
}

TEST(Json, NamesTheByteWhereTextStopsBeingJson) {
  const auto json = parse_json(R"({"count":3,})");
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(json.error().message, HasSubstr("not valid JSON at byte 12"));
}

TEST(Json, RejectsAnythingAfterTheValue) { EXPECT_FALSE(parse_json("{} {}")); }

TEST(Json, RejectsAnEmptyText) { EXPECT_FALSE(parse_json("")); }

TEST(Json, NestsUpToTheLimitAndNoDeeper) {
  EXPECT_TRUE(parse_json(nested(32)));
  const auto deeper = parse_json(nested(33));
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().message, "JSON is nested deeper than 32");
}

TEST(Json, AHundredThousandBracketsDoNotExhaustTheStack) { EXPECT_FALSE(parse_json(std::string(100'000, '['))); }

TEST(Json, CountsKeysAndValuesUpToTheLimit) {
  const JsonLimits limits{.max_bytes = 1000, .max_depth = 4, .max_values = 4};
  EXPECT_TRUE(parse_json("[1,2,3]", limits));
  const auto more = parse_json("[1,2,3,4]", limits);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "JSON has more than 4 values");
  EXPECT_FALSE(parse_json(R"({"a":1,"b":2})", limits)) << "keys count too";
}

TEST(Json, RefusesATextThatIsTooLongBeforeLookingAtIt) {
  const JsonLimits limits{.max_bytes = 8, .max_depth = 4, .max_values = 4};
  EXPECT_TRUE(parse_json("[1,2, 3]", limits));
  const auto longer = parse_json("[1,2,  3]", limits);
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(longer.error().message, "JSON is 9 bytes long; at most 8 are allowed");
}

TEST(Json, NamesTheByteThatBreaksUtf8) {
  const auto json = parse_json("{\"a\":\"\xC3\x28\"}");
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().message, "JSON is not UTF-8: invalid byte at offset 6");
}

TEST(Json, RejectsNotANumber) { EXPECT_FALSE(parse_json(R"({"cfg_scale":NaN})")); }

TEST(Json, WritesTextFromOtherProgramsWithBrokenBytesReplaced) {
  Json line;
  line["line"] = std::string("log: \xFF.");
  EXPECT_EQ(to_text(line), "{\"line\":\"log: \xEF\xBF\xBD.\"}");
}

}  // namespace
}  // namespace pixelfleet
