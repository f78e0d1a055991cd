#include "workers/log_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "base/utf8.h"

namespace pixelfleet::workers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const auto kIgnore = [](const std::string&) {};

TEST(LogTail, PutsLinesTogetherFromPieces) {
  LogTail tail;
  std::vector<std::string> lines;
  const auto collect = [&](const std::string& line) { lines.push_back(line); };
  tail.add("load", collect);
  tail.add("ing\nready\r\n\nunfin", collect);
  EXPECT_THAT(lines, ElementsAre("loading", "ready"));
}

TEST(LogTail, PrefersTheLinesThatSoundLikeErrors) {
  LogTail tail;
  tail.add("loading\nggml: GGML_ASSERT(x) failed\nstep 1\nCUDA error: illegal access\nbye", kIgnore);
  EXPECT_THAT(tail.evidence(), ElementsAre("ggml: GGML_ASSERT(x) failed", "CUDA error: illegal access"));
}

TEST(LogTail, ShowsTheLastLinesWhereNoneSoundsLikeAnError) {
  LogTail tail;
  for (int i = 0; i < 10; ++i) tail.add(format("step {}\n", i), kIgnore);
  EXPECT_THAT(tail.evidence(), ElementsAre("step 5", "step 6", "step 7", "step 8", "step 9"));
  EXPECT_THAT(LogTail().evidence(), IsEmpty());
}

TEST(LogTail, StaysBoundedAndKeepsTheNewest) {
  LogTail tail;
  for (int i = 0; i < 100'000; ++i) tail.add(format("error number {}\n", i), kIgnore);
  tail.add(std::string(1 << 20, 'x'), kIgnore);
  const auto evidence = tail.evidence();
  EXPECT_EQ(evidence.size(), kMaxEvidenceLines);
  EXPECT_EQ(evidence.back(), "error number 99999");
}

TEST(LogTail, KeepsTheBeginningOfAnEndlessLine) {
  LogTail tail;
  tail.add("error: ", kIgnore);
  for (int i = 0; i < 100; ++i) tail.add(std::string(1000, 'x'), kIgnore);
  ASSERT_EQ(tail.evidence().size(), 1u);
  EXPECT_EQ(tail.evidence()[0].size(), 500u);
}

TEST(CleanLine, RemovesTerminalCodesAndBrokenUtf8) {
  EXPECT_EQ(clean_line("\x1B[31merror\x1B[0m\t!\x7F"), " [31merror [0m !");
  EXPECT_EQ(clean_line("caf\xE9 \xF0\x9F\xA6\x8A"), "caf? \xF0\x9F\xA6\x8A");
  const std::string cut = clean_line(std::string(499, 'x') + "\xF0\x9F\xA6\x8A");
  EXPECT_FALSE(find_invalid_utf8(cut));
}

}  // namespace
}  // namespace pixelfleet::workers
