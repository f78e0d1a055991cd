#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace pixelfleet {
namespace {

TEST(Utf8, AcceptsEveryLengthOfSequence) {
  EXPECT_FALSE(find_invalid_utf8(""));
  EXPECT_FALSE(find_invalid_utf8("fox"));
  EXPECT_FALSE(find_invalid_utf8("f\xC3\xBC\x63hs"));
  EXPECT_FALSE(find_invalid_utf8("\xE7\x8B\x90"));
  EXPECT_FALSE(find_invalid_utf8("\xF0\x9F\xA6\x8A"));
  EXPECT_FALSE(find_invalid_utf8("\xF4\x8F\xBF\xBF")) << "the last code point";
}

TEST(Utf8, FindsTheFirstByteOfWhatIsBroken) {
  EXPECT_EQ(find_invalid_utf8("ab\x80"), 2u) << "a tail without a lead";
  EXPECT_EQ(find_invalid_utf8("ab\xC3"), 2u) << "cut off";
  EXPECT_EQ(find_invalid_utf8("\xC3\x28"), 0u) << "a lead without a tail";
  EXPECT_EQ(find_invalid_utf8("\xE7\x8B"), 0u);
  EXPECT_EQ(find_invalid_utf8("\xFF"), 0u);
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndWhatLiesBeyondTheLastCodePoint) {
  EXPECT_EQ(find_invalid_utf8("\xC0\xAF"), 0u);
  EXPECT_EQ(find_invalid_utf8("\xE0\x80\xAF"), 0u);
  EXPECT_EQ(find_invalid_utf8("\xF0\x80\x80\xAF"), 0u);
  EXPECT_EQ(find_invalid_utf8("\xED\xA0\x80"), 0u);
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u);
  EXPECT_FALSE(find_invalid_utf8("\xED\x9F\xBF")) << "just before the surrogates";
}

TEST(Utf8, APrefixNeverCutsACharacter) {
  const std::string text = "a\xC3\xBC\xF0\x9F\xA6\x8A";  // 1 + 2 + 4 bytes
  EXPECT_EQ(utf8_prefix(text, 100), text);
  EXPECT_EQ(utf8_prefix(text, 7), text);
  EXPECT_EQ(utf8_prefix(text, 6), "a\xC3\xBC");
  EXPECT_EQ(utf8_prefix(text, 3), "a\xC3\xBC");
  EXPECT_EQ(utf8_prefix(text, 2), "a");
  EXPECT_EQ(utf8_prefix(text, 0), "");
}

}  // namespace
}  // namespace pixelfleet
