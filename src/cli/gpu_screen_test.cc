#include "cli/gpu_screen.h"

#include <gmock/gmock.h>

#include "base/json_full.h"

namespace pixelfleet::cli {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

Json gpu(int index, Json changes = Json::object()) {
  Json gpu = {{"uuid", "GPU-" + std::to_string(index)},
              {"index", index},
              {"name", "NVIDIA RTX 4090"},
              {"kind", "nvidia"},
              {"state", "idle"},
              {"memory_total_bytes", std::int64_t{24} << 30},
              {"memory_used_bytes", std::int64_t{6} << 30},
              {"utilization_ratio", 0.0},
              {"temperature_celsius", 61.0},
              {"power_watts", 80.4},
              {"resident_models", Json::array()},
              {"loading_model", nullptr},
              {"job", nullptr}};
  gpu.update(changes);
  return gpu;
}

std::vector<std::string> lines_of(const Json& gpus, std::size_t width = 120) {
  GpuScreen screen;
  screen.add(gpus);
  return screen.lines(width, Colour::none, "q: leave");
}

std::size_t characters(const std::string& text) {
  std::size_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

TEST(GpuScreen, ShowsTwoLinesOfEachGpuBelowAHeading) {
  const auto lines = lines_of(Json::array({gpu(0, {{"state", "busy"},
                                                   {"job", 172},
                                                   {"utilization_ratio", 0.97},
                                                   {"resident_models", {"demo-city", "demo-forest"}},
                                                   {"loading_model", "demo-space"}})}));
  ASSERT_THAT(lines, SizeIs(4));
  EXPECT_EQ(lines[0], "PixelFleet  1 gpu, 1 busy   q: leave");
  EXPECT_EQ(lines[2],
            " 0  NVIDIA RTX 4090           busy      █████░░░░░░░░░░░░░░░   6.0 /  24.0 GiB  97 %  61 °C   80 W");
  EXPECT_EQ(lines[3], "    █                         job 172, loads demo-space · holds demo-city, demo-forest");
}

TEST(GpuScreen, NamesItsColumnsAboveThem) {
  const auto lines = lines_of(Json::array({gpu(0)}));
  EXPECT_EQ(lines[1],
            "    name, busy lately         state     memory in use                           busy   temp  power");
  EXPECT_EQ(lines[2],
            " 0  NVIDIA RTX 4090           idle      █████░░░░░░░░░░░░░░░   6.0 /  24.0 GiB   0 %  61 °C   80 W");
}

TEST(GpuScreen, ALongNameHasRoomOrIsCutAndNeverRunsIntoTheState) {
  const Json gpus = Json::array({gpu(0, {{"name", "NVIDIA RTX 6000 Ada Generation"}}), gpu(1)});
  EXPECT_THAT(lines_of(gpus, 120)[2], HasSubstr("NVIDIA RTX 6000 Ada Generation idle      █"));
  EXPECT_THAT(lines_of(gpus, 120)[4], HasSubstr("NVIDIA RTX 4090                idle      █"));
  EXPECT_THAT(lines_of(gpus, 98)[2], HasSubstr("NVIDIA RTX 6000 Ada Gene… idle      █"));
}

TEST(GpuScreen, SaysWhyAGpuIsClosedOrNotWell) {
  const Json others = {
      {"kind", "others_compute"}, {"pid", 4711}, {"name", "train.py"}, {"bytes", std::int64_t{20} << 30}};
  const Json heat = {{"kind", "too_hot"}, {"celsius", 94.0}, {"ceiling_celsius", 88.0}};
  const auto closed = [](const Json& reason) {
    return Json{{"state", "closed"}, {"sharing", {{"verdict", "closed"}, {"reasons", Json::array({reason})}}}};
  };
  const auto lines = lines_of(
      Json::array({gpu(0, closed(others)), gpu(1, closed(heat)),
                   gpu(2, {{"state", "closed"}, {"health", {{"state", "failed"}, {"reason", "reset_needed"}}}}),
                   gpu(3, {{"sharing", {{"verdict", "open"}, {"overridden", true}}},
                           {"health", {{"state", "healthy"}, {"reason", nullptr}}}}),
                   gpu(4, closed({{"kind", "others_compute"}, {"pid", nullptr}, {"name", nullptr}})),
                   gpu(5, closed({{"kind", "quiet_hours"}})),
                   gpu(6, {{"health", {{"state", "draining"}, {"reason", "operator_drained"}}}})}));
  EXPECT_THAT(lines[3], HasSubstr("train.py (pid 4711) uses 20.0 GiB"));
  EXPECT_THAT(lines[5], HasSubstr("cools down from 94 °C, ceiling 88 °C"));
  EXPECT_THAT(lines[7], HasSubstr("failed: reset needed"));
  EXPECT_THAT(lines[9], HasSubstr("used although others may be here"));
  EXPECT_THAT(lines[9], Not(HasSubstr("healthy")));
  EXPECT_THAT(lines[11], HasSubstr("another program uses -"));
  EXPECT_THAT(lines[13], HasSubstr("quiet hours"));
  EXPECT_THAT(lines[15], HasSubstr("drained by the operator"));
}

TEST(GpuScreen, AGpuThatNobodyPickedHasNoSayInSharing) {
  const Json reason = {{"kind", "not_seen_yet"}};
  const Json sharing = {{"verdict", "closed"}, {"reasons", Json::array({reason})}};
  EXPECT_THAT(lines_of(Json::array({gpu(0, {{"state", "unused"}, {"sharing", sharing}})}))[3], Not(HasSubstr("seen")));
}

TEST(GpuScreen, WhatIsUnknownIsADash) {
  const auto lines = lines_of(Json::array({gpu(3, {{"memory_used_bytes", nullptr},
                                                   {"utilization_ratio", nullptr},
                                                   {"temperature_celsius", nullptr},
                                                   {"power_watts", nullptr}})}));
  EXPECT_THAT(lines[2], HasSubstr("░░░     - /  24.0 GiB     -      -      -"));
}

TEST(GpuScreen, RemembersUtilisationWithTheNewestLast) {
  GpuScreen screen;
  for (const double ratio : {0.0, 0.5, 1.0}) screen.add(Json::array({gpu(0, {{"utilization_ratio", ratio}})}));
  EXPECT_EQ(screen.lines(120, Colour::none, "")[3], "    ▁▅█");
  for (int i = 0; i < 100; ++i) screen.add(Json::array({gpu(0)}));
  EXPECT_THAT(screen.lines(120, Colour::none, "")[3], Not(HasSubstr("█")));
}

TEST(GpuScreen, NoLineIsWiderThanTheTerminal) {
  const Json long_name = gpu(0, {{"name", std::string(300, 'x')}, {"resident_models", {"名前の長いモデル", "b", "c"}}});
  for (const std::size_t width : {1UL, 20UL, 37UL, 200UL}) {
    for (const std::string& line : lines_of(Json::array({long_name}), width))
      EXPECT_LE(characters(line), width) << line;
  }
}

TEST(GpuScreen, ControlCharactersOfANameDoNotReachTheTerminal) {
  const auto lines = lines_of(Json::array({gpu(0, {{"name", "a\x1b[2Jb\nc"}})}));
  EXPECT_THAT(lines, Each(Not(HasSubstr("\x1b"))));
  EXPECT_THAT(lines[2], HasSubstr("a?[2Jb?c"));
}

TEST(GpuScreen, ColoursEndWhereTheyBegan) {
  GpuScreen screen;
  screen.add(Json::array({gpu(0, {{"state", "offline"}, {"temperature_celsius", 95.0}})}));
  const std::string line = screen.lines(120, Colour::ansi, "")[2];
  EXPECT_THAT(line, HasSubstr("\x1b[31moffline\x1b[0m"));
  EXPECT_THAT(line, HasSubstr("\x1b[31m 95 °C \x1b[0m"));
}

}  // namespace
}  // namespace pixelfleet::cli
