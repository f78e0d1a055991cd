// The synthetic engine, through the plug-in interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <set>
#include <thread>

#include "engine/plugin.h"
#include "engine/testing/recording_sink.h"

namespace pixelfleet::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Outcome = std::variant<Picture, Cancelled, Failure>;

constexpr const char* kFast = R"({"load_seconds": 0, "step_seconds": 0, "memory_bytes": 123, "host_bytes": 45})";

class Synthetic : public ::testing::Test {
 protected:
  Engine engine(const std::string& key = "demo-landscape", const std::string& demo = kFast) {
    Engine engine = started(Options{});
    std::variant<Loaded, Failure> loaded = engine.load({key, {}, demo}, sink_);
    if (const Failure* failure = std::get_if<Failure>(&loaded)) ADD_FAILURE() << failure->message;
    return engine;
  }

  static Engine started(const Options& options) {
    Result<Plugin> plugin = Plugin::open(PIXELFLEET_SYNTHETIC_PLUGIN);
    return std::get<Engine>(plugin.value().start(options));
  }

  static Request request() {
    Request request;
    request.prompt = "a red fox in the snow";
    request.width = 128;
    request.height = 96;
    request.steps = 4;
    request.seed = 7;
    return request;
  }

  std::vector<std::uint8_t> pixels(const Request& request, const std::string& key = "demo-landscape") {
    Engine made_by = engine(key);
    Outcome outcome = made_by.generate(request, sink_);
    if (!std::holds_alternative<Picture>(outcome)) return {};
    return pixels_of(std::get<Picture>(outcome));
  }

  RecordingSink sink_;
};

double variance(const std::vector<std::uint8_t>& pixels) {
  double sum = 0, squares = 0;
  for (const std::uint8_t value : pixels) {
    sum += value;
    squares += double{1} * value * value;
  }
  const double n = static_cast<double>(pixels.size());
  return squares / n - (sum / n) * (sum / n);
}

// How far colours are from grey on average.
double colourfulness(const std::vector<std::uint8_t>& pixels) {
  double sum = 0;
  for (std::size_t i = 0; i + 2 < pixels.size(); i += 3) {
    const int r = pixels[i], g = pixels[i + 1], b = pixels[i + 2];
    sum += std::max({r, g, b}) - std::min({r, g, b});
  }
  return sum / (static_cast<double>(pixels.size()) / 3);
}

TEST_F(Synthetic, TheSameRequestGivesTheSameBytesInEveryEngine) { EXPECT_EQ(pixels(request()), pixels(request())); }

TEST_F(Synthetic, SeedPromptModelStepsAndGuidanceChangeThePicture) {
  std::set<std::vector<std::uint8_t>> pictures{pixels(request()), pixels(request(), "demo-city")};
  Request other = request();
  other.seed = 8;
  pictures.insert(pixels(other));
  other = request();
  other.prompt = "a blue lake at night";
  pictures.insert(pixels(other));
  other = request();
  other.negative_prompt = "snow";
  pictures.insert(pixels(other));
  other = request();
  other.steps = 5;
  pictures.insert(pixels(other));
  other = request();
  other.cfg_scale = 12;
  pictures.insert(pixels(other));
  EXPECT_EQ(pictures.size(), 7u);
}

TEST_F(Synthetic, EverySceneIsAPicture) {
  std::set<std::vector<std::uint8_t>> pictures;
  for (const char* key :
       {"demo-landscape", "demo-portrait", "demo-city", "demo-abstract", "demo-seascape", "demo-forest", "demo-space",
        "demo-desert", "demo-botanical", "demo-geometry", "demo-underwater", "demo-aurora"}) {
    const std::vector<std::uint8_t> picture = pixels(request(), key);
    EXPECT_EQ(picture.size(), 128u * 96u * 3u) << key;
    EXPECT_GT(variance(picture), 100) << key;
    pictures.insert(picture);
  }
  EXPECT_EQ(pictures.size(), 12u);
}

TEST_F(Synthetic, MakesTheSizeThatWasAskedFor) {
  Engine made_by = engine();
  for (const auto& [width, height] : {std::pair{1, 1}, {64, 64}, {100, 60}, {37, 211}, {640, 64}}) {
    Request odd = request();
    odd.width = width;
    odd.height = height;
    Outcome outcome = made_by.generate(odd, sink_);
    ASSERT_TRUE(std::holds_alternative<Picture>(outcome)) << width << "x" << height;
    EXPECT_EQ(std::get<Picture>(outcome).width(), static_cast<std::uint32_t>(width));
    EXPECT_EQ(std::get<Picture>(outcome).height(), static_cast<std::uint32_t>(height));
  }
}

TEST_F(Synthetic, GuidanceMakesColoursStronger) {
  Request weak = request(), strong = request();
  weak.cfg_scale = 1;
  strong.cfg_scale = 15;
  EXPECT_LT(colourfulness(pixels(weak)) * 1.3, colourfulness(pixels(strong)));
}

TEST_F(Synthetic, ReportsEveryStepInOrder) {
  Engine made_by = engine();
  sink_.seen.clear();
  ASSERT_TRUE(std::holds_alternative<Picture>(made_by.generate(request(), sink_)));
  EXPECT_THAT(sink_.seen, ElementsAre(SeenProgress{Phase::text, 0, 0}, SeenProgress{Phase::sample, 0, 4},
                                      SeenProgress{Phase::sample, 1, 4}, SeenProgress{Phase::sample, 2, 4},
                                      SeenProgress{Phase::sample, 3, 4}, SeenProgress{Phase::sample, 4, 4},
                                      SeenProgress{Phase::decode, 0, 1}, SeenProgress{Phase::decode, 1, 1}));
}

TEST_F(Synthetic, ShowsPreviewsOfTheAskedRate) {
  Engine made_by = engine();
  Request watched = request();
  watched.preview_every_ms = 1'000'000;
  ASSERT_TRUE(std::holds_alternative<Picture>(made_by.generate(watched, sink_)));
  ASSERT_EQ(sink_.previews.size(), 1u);  // the first at once, the next in a quarter of an hour
  EXPECT_EQ(sink_.previews[0].step, 1);
  EXPECT_EQ(sink_.previews[0].width, 128u);
}

TEST_F(Synthetic, MakesNoPreviewUnlessAsked) {
  Engine made_by = engine();
  ASSERT_TRUE(std::holds_alternative<Picture>(made_by.generate(request(), sink_)));
  EXPECT_THAT(sink_.previews, IsEmpty());
}

TEST_F(Synthetic, AnInputShinesThroughByWhatStrengthLeavesOfIt) {
  Request asked = request();
  asked.steps = 8;
  const std::vector<std::uint8_t> init(128 * 96 * 3, 40);
  asked.init_rgb = init;
  asked.strength = 0.5;
  const std::vector<std::uint8_t> half = pixels(asked);
  asked.strength = 1;  // all of the 8 steps
  const std::vector<std::uint8_t> whole = pixels(asked);
  Request shorter = request();
  shorter.steps = 5;  // what strength 0.5 leaves of 8
  const std::vector<std::uint8_t> painted = pixels(shorter);
  ASSERT_EQ(half.size(), init.size());
  for (std::size_t i = 0; i < half.size(); ++i) ASSERT_EQ(half[i], (painted[i] + 40 + 1) / 2) << i;
  shorter.steps = 8;
  EXPECT_EQ(whole, pixels(shorter));
}

TEST_F(Synthetic, WhatTheMaskKeepsStays) {
  Request asked = request();
  std::vector<std::uint8_t> init, mask;
  for (int i = 0; i < 128 * 96; ++i) {
    init.insert(init.end(), 3, static_cast<std::uint8_t>(i));
    mask.push_back(i % 128 < 64 ? 0 : 255);
  }
  asked.init_rgb = init;
  asked.mask = mask;
  asked.strength = 1;
  const std::vector<std::uint8_t> made = pixels(asked), painted = pixels(request());
  ASSERT_EQ(made.size(), init.size());
  for (std::size_t i = 0; i < made.size(); ++i) ASSERT_EQ(made[i], mask[i / 3] == 0 ? init[i] : painted[i]) << i;
}

TEST_F(Synthetic, ReportsTheStepsThatAnInputLeaves) {
  Request asked = request();
  const std::vector<std::uint8_t> init(128 * 96 * 3, 40);
  asked.steps = 10;
  asked.init_rgb = init;
  asked.strength = 0.6;
  ASSERT_FALSE(pixels(asked).empty());
  EXPECT_EQ(sink_.of(Phase::sample).front(), (SeenProgress{Phase::sample, 0, 7}));
  EXPECT_EQ(sink_.of(Phase::sample).back(), (SeenProgress{Phase::sample, 7, 7}));
}

TEST_F(Synthetic, RefusesWhatCannotBePainted) {
  Engine made_by = engine();
  Request bad = request();
  bad.steps = 0;
  Request flat = request();
  flat.width = 0;
  Request odd = request();
  odd.cfg_scale = std::nan("");
  const std::vector<std::uint8_t> init(128 * 96 * 3, 40);
  Request weak = request();
  weak.init_rgb = init;
  weak.strength = 0;
  for (const Request& refused : {bad, flat, odd, weak}) {
    Outcome outcome = made_by.generate(refused, sink_);
    ASSERT_TRUE(std::holds_alternative<Failure>(outcome));
    EXPECT_EQ(std::get<Failure>(outcome).failure_class, FailureClass::bad_request);
  }
  EXPECT_TRUE(std::holds_alternative<Picture>(made_by.generate(request(), sink_)));
}

TEST_F(Synthetic, ACancelEndsTheImageWithinAStep) {
  // An hour a step: only a wait that is interrupted ends this test.
  Engine made_by = engine("demo-landscape", R"({"load_seconds": 0, "step_seconds": 3600})");
  std::thread canceller;
  sink_.on_progress = [&](const SeenProgress& progress) {
    if (progress.phase == Phase::sample && progress.step == 0) canceller = std::thread([&] { made_by.cancel(5); });
  };
  Request long_one = request();
  long_one.ticket = 5;
  Outcome outcome = made_by.generate(long_one, sink_);
  canceller.join();
  EXPECT_TRUE(std::holds_alternative<Cancelled>(outcome));
}

TEST_F(Synthetic, ACancelThatComesFirstCountsAndAnotherTicketIsLeftAlone) {
  Engine made_by = engine();
  made_by.cancel(5);
  Request cancelled = request(), other = request();
  cancelled.ticket = 5;
  other.ticket = 6;
  EXPECT_TRUE(std::holds_alternative<Picture>(made_by.generate(other, sink_)));
  EXPECT_TRUE(std::holds_alternative<Cancelled>(made_by.generate(cancelled, sink_)));
  EXPECT_TRUE(std::holds_alternative<Picture>(made_by.generate(other, sink_)));
}

TEST_F(Synthetic, LoadDeclaresMemoryAndReportsProgress) {
  Engine made_by = started(Options{});
  std::variant<Loaded, Failure> loaded = made_by.load({"demo-city", {}, kFast}, sink_);
  ASSERT_TRUE(std::holds_alternative<Loaded>(loaded));
  EXPECT_EQ(std::get<Loaded>(loaded).device_bytes, 123u);
  EXPECT_EQ(std::get<Loaded>(loaded).host_bytes, 45u);
  EXPECT_EQ(sink_.of(Phase::load).front(), (SeenProgress{Phase::load, 0, 20}));
  EXPECT_EQ(sink_.of(Phase::load).back(), (SeenProgress{Phase::load, 20, 20}));
}

TEST_F(Synthetic, TheTimeScaleDividesTimes) {
  Engine made_by = started(Options{.time_scale = 1e6});
  const ModelSpec slow{"demo-city", {}, R"({"load_seconds": 3600, "step_seconds": 3600})"};
  std::variant<Loaded, Failure> loaded = made_by.load(slow, sink_);
  ASSERT_TRUE(std::holds_alternative<Loaded>(loaded));
  EXPECT_GE(std::get<Loaded>(loaded).load_seconds, 0.0036);
  Outcome outcome = made_by.generate(request(), sink_);
  ASSERT_TRUE(std::holds_alternative<Picture>(outcome));
  EXPECT_GE(std::get<Picture>(outcome).seconds(), 4 * 0.0036);
}

TEST_F(Synthetic, BrokenParametersAreAnUnreadableModel) {
  for (const char* demo : {"{", "[]", R"({"faults": "boom"})"}) {
    Engine made_by = started(Options{});
    std::variant<Loaded, Failure> loaded = made_by.load({"demo-city", {}, demo}, sink_);
    ASSERT_TRUE(std::holds_alternative<Failure>(loaded)) << demo;
    EXPECT_EQ(std::get<Failure>(loaded).failure_class, FailureClass::model_unreadable);
    EXPECT_THAT(std::get<Failure>(loaded).message, HasSubstr("demo-city"));
  }
}

TEST_F(Synthetic, NothingIsMadeWithoutAModel) {
  Engine made_by = started(Options{});
  EXPECT_TRUE(std::holds_alternative<Failure>(made_by.generate(request(), sink_)));
}

class SyntheticFaults : public Synthetic {
 protected:
  static constexpr const char* kFaulty = R"({"load_seconds": 0, "step_seconds": 0, "faults": "prompt"})";

  static Request with(const std::string& directive) {
    Request request = Synthetic::request();
    request.prompt += " [fault:" + directive + "]";
    return request;
  }

  Failure failure_with(const std::string& directive) {
    Engine made_by = engine("demo-city", kFaulty);
    Outcome outcome = made_by.generate(with(directive), sink_);
    if (!std::holds_alternative<Failure>(outcome)) {
      ADD_FAILURE() << directive << " did not fail";
      return {};
    }
    // The engine goes on working: these faults end no process.
    EXPECT_TRUE(std::holds_alternative<Picture>(made_by.generate(request(), sink_)));
    return std::get<Failure>(outcome);
  }
};

TEST_F(SyntheticFaults, FailWithTheirClass) {
  EXPECT_EQ(failure_with("oom@2").failure_class, FailureClass::out_of_memory);
  EXPECT_EQ(failure_with("error").failure_class, FailureClass::engine_error);
  EXPECT_EQ(failure_with("black").failure_class, FailureClass::invalid_output);
  EXPECT_EQ(failure_with("nonsense").failure_class, FailureClass::bad_request);
  EXPECT_THAT(failure_with("oom").lines, Not(IsEmpty()));
}

TEST_F(SyntheticFaults, StrikeAtTheirStep) {
  Engine made_by = engine("demo-city", kFaulty);
  sink_.seen.clear();
  made_by.generate(with("oom@3"), sink_);
  EXPECT_EQ(sink_.of(Phase::sample).back(), (SeenProgress{Phase::sample, 2, 4}));
}

TEST_F(SyntheticFaults, EndTheProcess) {
  Engine made_by = engine("demo-city", kFaulty);
  EXPECT_EXIT(made_by.generate(with("crash@2"), sink_), ::testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT(made_by.generate(with("exit=13"), sink_), ::testing::ExitedWithCode(13), "");
}

TEST_F(SyntheticFaults, AreOrdinaryWordsWithoutTheParameter) {
  Engine made_by = engine("demo-city", kFast);
  EXPECT_TRUE(std::holds_alternative<Picture>(made_by.generate(with("crash"), sink_)));
}

TEST_F(SyntheticFaults, CanStrikeALoad) {
  Engine made_by = started(Options{});
  std::variant<Loaded, Failure> loaded =
      made_by.load({"demo-city", {}, R"({"load_seconds": 0, "faults": "load:oom"})"}, sink_);
  ASSERT_TRUE(std::holds_alternative<Failure>(loaded));
  EXPECT_EQ(std::get<Failure>(loaded).failure_class, FailureClass::out_of_memory);
}

}  // namespace
}  // namespace pixelfleet::engine
