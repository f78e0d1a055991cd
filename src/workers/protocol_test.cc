#include "workers/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "base/rng.h"

namespace pixelfleet::workers::protocol {
namespace {

using ::testing::HasSubstr;

std::vector<ToWorker> every_order() {
  return {Load{.model = "m",
               .engine = "synthetic",
               .parts = {{"checkpoint", "/models/a.gguf"}},
               .demo = DemoTraits{4, 0.05, "city", "crash"},
               .plugin = "/p.so",
               .engine_library = "",
               .time_scale = 20,
               .gpu = "virtual-0",
               .gpu_kind = "virtual",
               .gpu_index = 3},
          Input{7, "mask_image"},
          Run{.chunk_id = 7,
              .attempt = 7,
              .prompt = "a \"red\" fox \xF0\x9F\xA6\x8A\n",
              .negative_prompt = "",
              .width = 512,
              .height = 768,
              .published_width = 500,
              .published_height = 760,
              .steps = 20,
              .cfg_scale = 7.5,
              .sampler = "euler",
              .scheduler = "karras",
              .mode = "inpaint",
              .strength = 0.625,
              .mask_feather = 4,
              .images = {{0, 1}, {999, 4294967295}},
              .preview_every_ms = 500},
          Cancel{7},
          Ack{7, 999},
          Shutdown{}};
}

std::vector<FromWorker> every_report() {
  return {Hello{kVersion, 42, "0.1.0", "full"},
          LoadProgress{0.5},
          Ready{"sdcpp", "master-827", "b", "step", true, true, false, true, 1 << 30, 5, 3.5},
          LoadFailed{{"model_unreadable", "truncated", {"line 1", "line 2"}}},
          Progress{7, 0, Phase::sample, 3, 20},
          Preview{7, 0, 3, 20, 64, 96},
          Image{7, 7, 0, 1, 512, 768, 2.5},
          ChunkDone{7, "done", {}},
          ChunkDone{7, "failed", {"out_of_memory", "no memory", {}}}};
}

TEST(Protocol, EveryMessageSurvivesTheWay) {
  for (const ToWorker& order : every_order()) {
    const auto decoded = decode_to_worker(encode(order));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, order) << encode(order);
  }
  for (const FromWorker& report : every_report()) {
    const auto decoded = decode_from_worker(encode(report));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, report) << encode(report);
  }
}

TEST(Protocol, TheLargestRunFitsIntoOneMessage) {
  protocol::Run run = std::get<protocol::Run>(every_order()[2]);
  run.prompt = std::string(8192, '\x01');  // six bytes each in JSON
  run.negative_prompt = run.prompt;
  run.images.clear();
  for (int i = 0; i < 1000; ++i) run.images.push_back({i, 4294967295 + i});
  const auto decoded = decode_to_worker(encode(run));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<protocol::Run>(*decoded), run);
}

TEST(Protocol, EveryMissingMemberIsNamed) {
  for (const FromWorker& report : every_report()) {
    const Json whole = *parse_json(encode(report));
    for (const auto& [key, value] : whole.items()) {
      Json less = whole;
      less.erase(key);
      const auto decoded = decode_from_worker(to_text(less));
      ASSERT_FALSE(decoded) << to_text(less);
      EXPECT_THAT(decoded.error().message, HasSubstr(key));
    }
  }
}

TEST(Protocol, EveryMemberOfAnotherKindIsRefused) {
  for (const FromWorker& report : every_report()) {
    const Json whole = *parse_json(encode(report));
    for (const auto& [key, value] : whole.items()) {
      Json changed = whole;
      changed[key] = nullptr;
      EXPECT_FALSE(decode_from_worker(to_text(changed))) << to_text(changed);
    }
  }
  for (const ToWorker& order : every_order()) {
    const Json whole = *parse_json(encode(order));
    for (const auto& [key, value] : whole.items()) {
      Json changed = whole;
      changed[key] = nullptr;
      EXPECT_FALSE(decode_to_worker(to_text(changed))) << to_text(changed);
    }
  }
}

TEST(Protocol, NumbersOutsideTheirRangeAreRefused) {
  const auto with = [](const char* key, const Json& value) {
    Json json = *parse_json(encode(FromWorker(Image{7, 7, 0, 1, 512, 768, 2.5})));
    json[key] = value;
    return decode_from_worker(to_text(json));
  };
  EXPECT_TRUE(with("width", 4096));
  for (const Json& value : {Json(0), Json(-1), Json(4161), Json(1e9), Json(512.5), Json(UINT64_MAX), Json("512")}) {
    EXPECT_FALSE(with("width", value)) << to_text(value);
  }
  EXPECT_FALSE(with("chunk_id", 0));
  EXPECT_FALSE(with("chunk_id", UINT64_MAX));
  EXPECT_FALSE(with("index", 1000));
  EXPECT_FALSE(with("seed", -1));
  EXPECT_FALSE(with("seconds", -0.5));
}

TEST(Protocol, ARunAndItsPicturesStayWithinTheirWords) {
  const auto with = [](const char* key, const Json& value) {
    Json json = *parse_json(encode(every_order()[2]));
    json["settings"][key] = value;
    return decode_to_worker(to_text(json));
  };
  EXPECT_TRUE(with("mode", "img2img"));
  EXPECT_FALSE(with("mode", "img3img"));
  EXPECT_TRUE(with("strength", 1));
  EXPECT_FALSE(with("strength", 1.01));
  EXPECT_FALSE(with("strength", -0.1));
  EXPECT_TRUE(with("mask_feather", 256));
  EXPECT_FALSE(with("mask_feather", 257));
  EXPECT_FALSE(with("published_width", 0));
  EXPECT_FALSE(with("published_height", 1 << 20));
  EXPECT_TRUE(decode_to_worker(R"({"type":"input","chunk_id":7,"role":"init_image"})"));
  EXPECT_FALSE(decode_to_worker(R"({"type":"input","chunk_id":7,"role":"control_image"})"));
  EXPECT_FALSE(decode_to_worker(R"({"type":"input","chunk_id":0,"role":"init_image"})"));
}

TEST(Protocol, AHelloOfAnotherVersionIsReadAsFarAsItsVersion) {
  const auto decoded = decode_from_worker(R"({"type":"hello","protocol":9,"greeting":[]})");
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<Hello>(*decoded).protocol, 9);
}

TEST(Protocol, LongWordsOfAnEngineAreCutNotRefused) {
  const LoadFailed failed{{"engine_error", std::string(1 << 18, 'm'), std::vector<std::string>(500, "line")}};
  const auto decoded = decode_from_worker(encode(FromWorker(failed)));
  ASSERT_TRUE(decoded) << decoded.error().message;
  const Failure& failure = std::get<LoadFailed>(*decoded).failure;
  EXPECT_EQ(failure.message.size(), 4096u);
  EXPECT_EQ(failure.lines.size(), 20u);
}

TEST(Protocol, BrokenUtf8OfAnEngineIsReplacedOnTheWayOut) {
  const auto decoded = decode_from_worker(encode(FromWorker(LoadFailed{{"engine_error", "bad \xFF byte", {}}})));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<LoadFailed>(*decoded).failure.message, "bad \xEF\xBF\xBD byte");
}

TEST(Protocol, GarbageIsRefusedWhateverItIs) {
  for (const char* text :
       {"", "{", "[]", "null", "7", "\"hello\"", "{}", R"({"type":7})", R"({"type":"dance"})", R"({"type":"run"})",
        R"({"type":"image","chunk_id":"7"})", "\xFF\xFE", "{\"type\":\"\xC0\"}"}) {
    EXPECT_FALSE(decode_from_worker(text)) << text;
    EXPECT_FALSE(decode_to_worker(text)) << text;
  }
}

TEST(Protocol, NoDamagedMessageEscapesItsRanges) {
  Rng rng(7);
  for (int round = 0; round < 20'000; ++round) {
    const auto reports = every_report();
    std::string text = encode(reports[rng.below(reports.size())]);
    for (std::uint64_t i = 0, n = 1 + rng.below(4); i < n; ++i) {
      const std::size_t at = rng.below(text.size());
      if (rng.chance(0.5))
        text[at] = static_cast<char>(rng.below(256));
      else
        text.erase(at, 1 + rng.below(3));
      if (text.empty()) break;
    }
    const auto decoded = decode_from_worker(text);
    if (!decoded) continue;
    if (const auto* image = std::get_if<Image>(&*decoded)) {
      ASSERT_TRUE(image->width > 0 && image->width <= 4160 && image->height > 0 && image->height <= 4160) << text;
      ASSERT_TRUE(image->index >= 0 && image->index < 1000 && image->chunk_id > 0) << text;
    }
  }
}

}  // namespace
}  // namespace pixelfleet::workers::protocol
