// The real stable-diffusion.cpp on a checkpoint of random weights: it must make pictures, or this build makes none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <vector>

#include "engine/plugin.h"
#include "engine/testing/recording_sink.h"

namespace pixelfleet::engine {
namespace {

using ::testing::Contains;
using Outcome = std::variant<Picture, Cancelled, Failure>;

double resident_megabytes() {
  std::FILE* statm = std::fopen("/proc/self/statm", "re");
  long total = 0, resident = 0;
  if (statm == nullptr || std::fscanf(statm, "%ld %ld", &total, &resident) != 2) return 0;
  std::fclose(statm);
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

// One engine for all tests: it allows one in a process, and loading takes seconds.
class RealEngine : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Result<Plugin> plugin = Plugin::open(PIXELFLEET_SDCPP_PLUGIN);
    ASSERT_TRUE(plugin) << plugin.error().message;
    std::variant<Engine, Failure> started = plugin->start({.device_kind = "cpu"});
    ASSERT_TRUE(std::holds_alternative<Engine>(started)) << std::get<Failure>(started).message;
    engine_.emplace(std::get<Engine>(std::move(started)));

    const std::string directory = PIXELFLEET_CHECKPOINTS;
    const ModelSpec model{
        "tiny", {{"checkpoint", directory + "/sd1old.safetensors"}, {"taesd", directory + "/taesd.safetensors"}}, ""};
    RecordingSink sink;
    std::variant<Loaded, Failure> loaded = engine_->load(model, sink);
    ASSERT_TRUE(std::holds_alternative<Loaded>(loaded)) << std::get<Failure>(loaded).message << "\n" << sink.log_text();
    loaded_ = std::get<Loaded>(loaded);
    load_progress_ = sink.of(Phase::load);
    RecordProperty("load_seconds", std::to_string(loaded_.load_seconds));
    std::printf("engine %s, generation %s: loaded in %.2f s, %.0f MB on the device, resident %.0f MB\n",
                engine_->info().version.c_str(), engine_->info().generation.c_str(), loaded_.load_seconds,
                static_cast<double>(loaded_.device_bytes) / 1e6, resident_megabytes());
  }
  static void TearDownTestSuite() { engine_.reset(); }

  void SetUp() override { ASSERT_TRUE(engine_.has_value()); }

  static Request request(std::int64_t seed) {
    Request request;
    request.prompt = "a red fox in the snow";
    request.negative_prompt = "blurry";
    request.width = request.height = 64;
    request.steps = 2;
    request.cfg_scale = 5;
    request.sampler = "euler";
    request.seed = seed;
    return request;
  }

  std::vector<std::uint8_t> pixels(const Request& asked) {
    Outcome outcome = engine_->generate(asked, sink_);
    if (const Failure* failure = std::get_if<Failure>(&outcome)) {
      ADD_FAILURE() << failure->message << "\n" << sink_.log_text();
      return {};
    }
    const Picture& picture = std::get<Picture>(outcome);
    EXPECT_EQ(picture.width(), static_cast<std::uint32_t>(asked.width));
    EXPECT_EQ(picture.height(), static_cast<std::uint32_t>(asked.height));
    std::printf("%ux%u, %d steps: %.2f s, resident %.0f MB\n", picture.width(), picture.height(), asked.steps,
                picture.seconds(), resident_megabytes());
    return pixels_of(picture);
  }

  static std::optional<Engine> engine_;
  static Loaded loaded_;
  static std::vector<SeenProgress> load_progress_;
  RecordingSink sink_;
};

std::optional<Engine> RealEngine::engine_;
Loaded RealEngine::loaded_;
std::vector<SeenProgress> RealEngine::load_progress_;

TEST_F(RealEngine, MakesPicturesThatFollowFromTheSeed) {
  const std::vector<std::uint8_t> first = pixels(request(1)), again = pixels(request(1)), other = pixels(request(2));
  ASSERT_EQ(first.size(), 64u * 64u * 3u);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  EXPECT_GT(std::set<std::uint8_t>(first.begin(), first.end()).size(), 16u);
}

TEST_F(RealEngine, ReportsLoadAndSamplingProgress) {
  ASSERT_FALSE(load_progress_.empty());
  EXPECT_EQ(load_progress_.back().step, load_progress_.back().steps);
  EXPECT_GT(loaded_.device_bytes, 100'000'000u);
  pixels(request(3));
  EXPECT_THAT(sink_.of(Phase::sample),
              ::testing::ElementsAre(SeenProgress{Phase::sample, 0, 2}, SeenProgress{Phase::sample, 1, 2},
                                     SeenProgress{Phase::sample, 2, 2}));
  EXPECT_EQ(sink_.seen.back(), (SeenProgress{Phase::decode, 1, 1}));
}

TEST_F(RealEngine, ShowsPreviews) {
  Request watched = request(4);
  watched.preview_every_ms = 1;
  pixels(watched);
  ASSERT_FALSE(sink_.previews.empty());
  EXPECT_EQ(sink_.previews[0].width, 256u);
}

TEST_F(RealEngine, KnowsTheUsualSamplersAndSchedulers) {
  for (const char* sampler : {"euler", "euler_a", "heun", "dpm2", "dpm++2m"}) {
    EXPECT_THAT(engine_->info().samplers, Contains(sampler));
  }
  for (const char* scheduler : {"discrete", "karras"}) EXPECT_THAT(engine_->info().schedulers, Contains(scheduler));
  Request karras = request(5);
  karras.sampler = "dpm++2m";
  karras.scheduler = "karras";
  Request default_choice = request(5);
  default_choice.sampler = "default";
  EXPECT_NE(pixels(karras), pixels(default_choice));
}

std::vector<std::uint8_t> stripes(int period) {
  std::vector<std::uint8_t> rgb;
  for (int i = 0; i < 64 * 64; ++i) rgb.insert(rgb.end(), 3, i / period % 2 == 0 ? 20 : 230);
  return rgb;
}

double mean_difference(const std::vector<std::uint8_t>& one, const std::vector<std::uint8_t>& other) {
  if (one.size() != other.size()) return 1e9;
  double sum = 0;
  for (std::size_t i = 0; i < one.size(); ++i) sum += std::abs(one[i] - other[i]);
  return sum / static_cast<double>(one.size());
}

TEST_F(RealEngine, APictureFollowsFromTheOneItStartsFrom) {
  const std::vector<std::uint8_t> wide = stripes(1024), narrow = stripes(512);
  Request asked = request(7);
  asked.steps = 4;
  asked.strength = 0.6;
  asked.init_rgb = wide;
  const auto from_wide = pixels(asked), again = pixels(asked);
  asked.init_rgb = narrow;
  EXPECT_EQ(from_wide, again);
  EXPECT_NE(from_wide, pixels(asked));
}

// Random weights draw nothing like the input, but little noise leaves more of it than much.
TEST_F(RealEngine, LittleStrengthStaysNearerTheInput) {
  const std::vector<std::uint8_t> init = stripes(1024);
  Request asked = request(8);
  asked.steps = 10;
  asked.init_rgb = init;
  asked.strength = 0.01;
  const auto nearly_decoded = pixels(asked);
  asked.seed = 9;
  const double of_little = mean_difference(nearly_decoded, pixels(asked));
  asked.strength = 0.9;
  const double of_much = mean_difference(nearly_decoded, pixels(asked));
  std::printf("mean difference of two seeds: strength 0.01 %.2f, 0.9 %.2f\n", of_little, of_much);
  EXPECT_LT(of_little, of_much / 2);
}

TEST_F(RealEngine, TheMaskDecidesWhatIsMadeAnew) {
  const std::vector<std::uint8_t> init = stripes(1024);
  std::vector<std::uint8_t> left(64 * 64, 0), whole(64 * 64, 255);
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = i % 64 < 32 ? 255 : 0;
  Request asked = request(10);
  asked.strength = 0.8;
  asked.init_rgb = init;
  asked.mask = left;
  const auto half = pixels(asked);
  asked.mask = whole;
  EXPECT_NE(half, pixels(asked));
}

TEST_F(RealEngine, ReportsTheStepsThatAnInputLeaves) {
  const std::vector<std::uint8_t> init = stripes(1024);
  Request asked = request(11);
  asked.steps = 10;
  asked.init_rgb = init;
  for (const auto& [strength, steps] : {std::pair{0.6, 7}, {0.7, 8}, {0.01, 1}, {1.0, 10}}) {
    sink_.seen.clear();
    asked.strength = strength;
    ASSERT_FALSE(pixels(asked).empty());
    const auto sampled = sink_.of(Phase::sample);
    ASSERT_EQ(sampled.size(), static_cast<std::size_t>(steps) + 1) << strength;
    EXPECT_EQ(sampled.back(), (SeenProgress{Phase::sample, steps, steps})) << strength;
  }
}

TEST_F(RealEngine, StaysUsableAfterRefusals) {
  Request bad = request(6);
  bad.steps = 0;
  Outcome outcome = engine_->generate(bad, sink_);
  ASSERT_TRUE(std::holds_alternative<Failure>(outcome));
  EXPECT_EQ(std::get<Failure>(outcome).failure_class, FailureClass::bad_request);
  EXPECT_FALSE(pixels(request(6)).empty());
}

// The allocator takes a further arena now and then; a leak grows with every picture.
TEST_F(RealEngine, DoesNotGrowFromPictureToPicture) {
  Request quick = request(0);
  quick.steps = 1;
  quick.cfg_scale = 1;  // without guidance half of the work is left out
  pixels(quick);
  std::vector<double> growth;
  double before = resident_megabytes();
  for (quick.seed = 1; quick.seed <= 20; ++quick.seed) {
    ASSERT_FALSE(pixels(quick).empty());
    growth.push_back(resident_megabytes() - before);
    before += growth.back();
  }
  std::nth_element(growth.begin(), growth.begin() + 10, growth.end());
  EXPECT_LT(growth[10], 0.5) << "megabytes, of the middle one of 20 pictures";
}

}  // namespace
}  // namespace pixelfleet::engine
