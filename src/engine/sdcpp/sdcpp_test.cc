// The sdcpp plug-in against a library of our own that misbehaves on demand (fake_stable_diffusion.cc).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/plugin.h"
#include "engine/testing/recording_sink.h"

namespace pixelfleet::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Outcome = std::variant<Picture, Cancelled, Failure>;

std::string fake(const std::string& name) { return std::string(PIXELFLEET_FAKE_ENGINES) + "/lib" + name + ".so"; }

class Sdcpp : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("FAKE_SD");
    std::string pattern = (std::filesystem::temp_directory_path() / "sdcpp_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    const std::string header = R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}})";
    std::ofstream file(checkpoint(), std::ios::binary);
    file << static_cast<char>(header.size()) << std::string(7, '\0') << header << "abcd";
  }
  void TearDown() override {
    unsetenv("FAKE_SD");
    std::filesystem::remove_all(directory_);
  }

  std::string checkpoint() const { return directory_ + "/model.safetensors"; }
  ModelSpec model() const { return {"tiny", {{"checkpoint", checkpoint()}, {"taesd", checkpoint()}}, ""}; }
  static void fake_does(const char* what) { setenv("FAKE_SD", what, 1); }

  static std::variant<Engine, Failure> start(const Options& options) {
    Result<Plugin> plugin = Plugin::open(PIXELFLEET_SDCPP_PLUGIN);
    return plugin.value().start(options);
  }
  static Engine started() { return std::get<Engine>(start({.library = fake("fake_stable_diffusion")})); }

  Engine loaded() {
    Engine engine = started();
    std::variant<Loaded, Failure> result = engine.load(model(), sink_);
    if (const Failure* failure = std::get_if<Failure>(&result)) ADD_FAILURE() << failure->message;
    return engine;
  }

  static Request request() {
    Request request;
    request.prompt = "a cat";
    request.width = 128;
    request.height = 64;
    request.steps = 3;
    request.seed = 11;
    return request;
  }

  Failure load_failure(const ModelSpec& spec) {
    Engine engine = started();
    std::variant<Loaded, Failure> result = engine.load(spec, sink_);
    if (std::holds_alternative<Loaded>(result)) ADD_FAILURE() << "loaded";
    return std::holds_alternative<Failure>(result) ? std::get<Failure>(result) : Failure{};
  }
  Failure generate_failure(const Request& refused) {
    Engine engine = loaded();
    Outcome outcome = engine.generate(refused, sink_);
    if (!std::holds_alternative<Failure>(outcome)) ADD_FAILURE() << "did not fail";
    return std::holds_alternative<Failure>(outcome) ? std::get<Failure>(outcome) : Failure{};
  }

  std::string directory_;
  RecordingSink sink_;
};

TEST_F(Sdcpp, TellsWhatItFound) {
  const Engine engine = started();
  EXPECT_EQ(engine.info().engine, "sdcpp");
  EXPECT_EQ(engine.info().version, "fake-1");
  EXPECT_THAT(engine.info().generation, ::testing::AnyOf("A", "M", "B"));
  // The fake can cancel where the library of its generation can.
  EXPECT_EQ(engine.info().capabilities.cancel,
            engine.info().generation == "B" ? CancelSupport::step : CancelSupport::kill);
  EXPECT_THAT(engine.info().samplers, ::testing::Contains("euler_a"));
}

TEST_F(Sdcpp, RefusesALibraryOfAnotherGenerationAndNamesBothSizes) {
  std::variant<Engine, Failure> result = start({.library = fake("fake_stable_diffusion_larger")});
  ASSERT_TRUE(std::holds_alternative<Failure>(result));
  const Failure& failure = std::get<Failure>(result);
  EXPECT_EQ(failure.failure_class, FailureClass::engine_error);
  EXPECT_THAT(failure.message, HasSubstr("another generation"));
  EXPECT_THAT(failure.message,
              ::testing::ContainsRegex("takes [0-9]+ bytes in the library and [0-9]+ bytes in the header"));
}

TEST_F(Sdcpp, RefusesALibraryThatOrdersItsParametersOtherwise) {
  std::variant<Engine, Failure> result = start({.library = fake("fake_stable_diffusion_reordered")});
  ASSERT_TRUE(std::holds_alternative<Failure>(result));
  EXPECT_THAT(std::get<Failure>(result).message, HasSubstr("orders its parameters"));
}

TEST_F(Sdcpp, RefusesWhatIsNoEngineLibrary) {
  EXPECT_THAT(std::get<Failure>(start({.library = "libm.so.6"})).message, HasSubstr("it lacks sd_ctx_params_init"));
  EXPECT_THAT(std::get<Failure>(start({.library = "/nowhere/lib.so"})).message, HasSubstr("/nowhere/lib.so"));
}

TEST_F(Sdcpp, RefusesAVirtualGpuAndASecondEngine) {
  EXPECT_EQ(
      std::get<Failure>(start({.library = fake("fake_stable_diffusion"), .device_kind = "virtual"})).failure_class,
      FailureClass::bad_request);
  const Engine first = started();
  EXPECT_THAT(std::get<Failure>(start({.library = fake("fake_stable_diffusion")})).message, HasSubstr("one engine"));
}

TEST_F(Sdcpp, LoadsWithTheOptionsOfAServer) {
  Engine engine = std::get<Engine>(start({.library = fake("fake_stable_diffusion"), .threads = 2}));
  std::variant<Loaded, Failure> result = engine.load(model(), sink_);
  ASSERT_TRUE(std::holds_alternative<Loaded>(result));
  EXPECT_EQ(std::get<Loaded>(result).device_bytes, 2u << 20);
  EXPECT_THAT(sink_.log_text(), HasSubstr("load threads 2 keeps_weights 1 encodes 1 lora_at_runtime 1 taesd 1"));
  EXPECT_EQ(sink_.of(Phase::load).back(), (SeenProgress{Phase::load, 4, 4}));
}

TEST_F(Sdcpp, UsesTheLibrarysCoresUnlessToldOtherwise) {
  loaded();
  EXPECT_THAT(sink_.log_text(), HasSubstr("load threads 3"));
}

TEST_F(Sdcpp, ChecksEveryPartBeforeTheEngineSeesIt) {
  const auto with = [&](const std::string& role, const std::string& file) {
    return load_failure({"tiny", {{"checkpoint", checkpoint()}, {role, file}}, ""});
  };
  std::ofstream(directory_ + "/pickle.safetensors") << "\x80\x02}q";
  EXPECT_THAT(with("vae", directory_ + "/pickle.safetensors").message, HasSubstr("pickle"));
  EXPECT_THAT(with("vae", directory_ + "/none").message, HasSubstr("part vae"));
  EXPECT_THAT(with("hypernetwork", checkpoint()).message, HasSubstr("takes no part \"hypernetwork\""));
  EXPECT_THAT(load_failure({"tiny", {{"vae", checkpoint()}}, ""}).message, HasSubstr("neither a checkpoint"));
  EXPECT_EQ(with("vae", directory_ + "/none").failure_class, FailureClass::model_unreadable);
  EXPECT_THAT(sink_.log_text(), Not(HasSubstr("load threads")));
}

TEST_F(Sdcpp, AFailedLoadTellsWhy) {
  fake_does("load-refuses");
  const Failure refused = load_failure(model());
  EXPECT_EQ(refused.failure_class, FailureClass::model_unreadable);
  EXPECT_THAT(refused.message, HasSubstr("get sd version from file failed"));
  EXPECT_THAT(refused.lines, ElementsAre(HasSubstr("get sd version")));

  fake_does("load-throws");
  EXPECT_EQ(load_failure(model()).failure_class, FailureClass::model_unreadable);
  EXPECT_THAT(load_failure(model()).message, HasSubstr("type_error.302"));

  fake_does("load-oom");
  EXPECT_EQ(load_failure(model()).failure_class, FailureClass::out_of_memory);
  fake_does("load-bad-alloc");
  EXPECT_EQ(load_failure(model()).failure_class, FailureClass::out_of_memory);
}

TEST_F(Sdcpp, PassesTheRequestOn) {
  Engine engine = loaded();
  Request asked = request();
  asked.cfg_scale = 4.5;
  asked.sampler = "euler_a";
  asked.scheduler = "karras";
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(asked, sink_)));
  EXPECT_THAT(sink_.log_text(), HasSubstr("image 128x64 steps 3 seed 11 cfg 4.50 method 1 schedule 1"));
}

TEST_F(Sdcpp, PassesTheInputOn) {
  Engine engine = loaded();
  std::vector<std::uint8_t> init(128 * 64 * 3, 90), mask(128 * 64, 255);
  Request asked = request();
  asked.init_rgb = init;
  asked.strength = 0.25;
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(asked, sink_)));
  EXPECT_THAT(sink_.log_text(), HasSubstr("init 128x64x3 90 strength 0.25 mask 0x0 -1"));
  asked.mask = mask;
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(asked, sink_)));
  EXPECT_THAT(sink_.log_text(), HasSubstr("init 128x64x3 90 strength 0.25 mask 128x1 255"));
  sink_.lines.clear();
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(request(), sink_)));
  EXPECT_THAT(sink_.log_text(), Not(HasSubstr("init ")));
}

TEST_F(Sdcpp, GivesThePictureOfTheLibrary) {
  Engine engine = loaded();
  Outcome first = engine.generate(request(), sink_), again = engine.generate(request(), sink_);
  Request other_seed = request();
  other_seed.seed = 12;
  Outcome other = engine.generate(other_seed, sink_);
  ASSERT_TRUE(std::holds_alternative<Picture>(first));
  EXPECT_EQ(std::get<Picture>(first).width(), 128u);
  EXPECT_EQ(std::get<Picture>(first).height(), 64u);
  EXPECT_EQ(pixels_of(std::get<Picture>(first)), pixels_of(std::get<Picture>(again)));
  EXPECT_NE(pixels_of(std::get<Picture>(first)), pixels_of(std::get<Picture>(other)));
}

TEST_F(Sdcpp, CountsOnlySamplingAsSampling) {
  Engine engine = loaded();
  sink_.seen.clear();
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(request(), sink_)));
  EXPECT_THAT(sink_.seen, ElementsAre(SeenProgress{Phase::text, 0, 0}, SeenProgress{Phase::sample, 0, 3},
                                      SeenProgress{Phase::sample, 1, 3}, SeenProgress{Phase::sample, 2, 3},
                                      SeenProgress{Phase::sample, 3, 3}, SeenProgress{Phase::decode, 0, 1},
                                      SeenProgress{Phase::decode, 1, 1}));
}

TEST_F(Sdcpp, CountsTheStepsThatAnInputLeaves) {
  Engine engine = loaded();
  const std::vector<std::uint8_t> init(128 * 64 * 3, 90);
  Request asked = request();
  asked.steps = 10;
  asked.init_rgb = init;
  asked.strength = 0.6;
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(asked, sink_)));
  EXPECT_EQ(sink_.of(Phase::sample).front(), (SeenProgress{Phase::sample, 0, 7}));
  EXPECT_EQ(sink_.of(Phase::sample).back(), (SeenProgress{Phase::sample, 7, 7}));
}

TEST_F(Sdcpp, EnlargesPreviewsAndThrottlesThem) {
  Engine engine = loaded();
  Request watched = request();
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(watched, sink_)));
  EXPECT_TRUE(sink_.previews.empty());
  watched.preview_every_ms = 1'000'000;
  ASSERT_TRUE(std::holds_alternative<Picture>(engine.generate(watched, sink_)));
  ASSERT_EQ(sink_.previews.size(), 1u);
  EXPECT_EQ(sink_.previews[0].width, 256u);
  EXPECT_EQ(sink_.previews[0].rgb[0], 1);  // the corner keeps its value
}

TEST_F(Sdcpp, RefusesRequestsThatWouldCrashOrHangTheEngine) {
  const auto refused = [&](auto change) {
    Request bad = request();
    change(bad);
    const Failure failure = generate_failure(bad);
    EXPECT_EQ(failure.failure_class, FailureClass::bad_request) << failure.message;
    return failure.message;
  };
  EXPECT_THAT(refused([](Request& r) { r.steps = 0; }), HasSubstr("steps 0"));
  EXPECT_THAT(refused([](Request& r) { r.steps = -1; }), HasSubstr("steps -1"));
  EXPECT_THAT(refused([](Request& r) { r.steps = 1'000'000'000; }), HasSubstr("allowed are 1 to 1000"));
  EXPECT_THAT(refused([](Request& r) { r.width = 0; }), HasSubstr("width 0"));
  EXPECT_THAT(refused([](Request& r) { r.height = -64; }), HasSubstr("height -64"));
  EXPECT_THAT(refused([](Request& r) { r.width = 100; }), HasSubstr("multiples of 64"));
  EXPECT_THAT(refused([](Request& r) { r.cfg_scale = std::nan(""); }), HasSubstr("cfg_scale"));
  EXPECT_THAT(refused([](Request& r) { r.cfg_scale = INFINITY; }), HasSubstr("cfg_scale"));
  EXPECT_THAT(refused([](Request& r) { r.seed = -1; }), HasSubstr("seed -1"));
  EXPECT_THAT(refused([](Request& r) { r.prompt = "\xff"; }), HasSubstr("prompt is not UTF-8"));
  EXPECT_THAT(refused([](Request& r) { r.sampler = "warp"; }), HasSubstr("sampler \"warp\""));
  EXPECT_THAT(refused([](Request& r) { r.scheduler = "warp"; }), HasSubstr("scheduler \"warp\""));
  const std::vector<std::uint8_t> init(128 * 64 * 3, 90);
  for (const double strength : {0.0, -0.5, 1.01, std::nan("")}) {
    EXPECT_THAT(refused([&](Request& r) {
                  r.init_rgb = init;
                  r.strength = strength;
                }),
                HasSubstr("strength"));
  }
  EXPECT_THAT(sink_.log_text(), Not(HasSubstr("image")));
}

TEST_F(Sdcpp, TurnsEveryBadEndIntoAFailureAndGoesOn) {
  const auto failure_class_when = [&](const char* what) {
    Engine engine = loaded();
    fake_does(what);
    Outcome outcome = engine.generate(request(), sink_);
    unsetenv("FAKE_SD");
    EXPECT_TRUE(std::holds_alternative<Picture>(engine.generate(request(), sink_))) << "after " << what;
    return std::holds_alternative<Failure>(outcome) ? std::get<Failure>(outcome)
                                                    : Failure{FailureClass::bad_request, what, {}};
  };
  EXPECT_EQ(failure_class_when("throws").failure_class, FailureClass::engine_error);
  EXPECT_THAT(failure_class_when("throws").message, HasSubstr("type must be number"));
  EXPECT_EQ(failure_class_when("throws-odd").failure_class, FailureClass::engine_error);
  EXPECT_EQ(failure_class_when("empty").failure_class, FailureClass::engine_error);
  EXPECT_THAT(failure_class_when("empty").message, HasSubstr("sampling failed"));
  EXPECT_EQ(failure_class_when("oom").failure_class, FailureClass::out_of_memory);
  EXPECT_EQ(failure_class_when("black").failure_class, FailureClass::invalid_output);
  EXPECT_THAT(failure_class_when("black").message, HasSubstr("a black picture"));
  EXPECT_EQ(failure_class_when("no-pixels").failure_class, FailureClass::invalid_output);
  EXPECT_EQ(failure_class_when("four-channels").failure_class, FailureClass::invalid_output);
}

TEST_F(Sdcpp, ACrashAndAHangAreTheSupervisorsBusiness) {
  Engine engine = loaded();
  EXPECT_EXIT(
      {
        fake_does("crash");
        engine.generate(request(), sink_);
      },
      ::testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT(
      {
        fake_does("hang");
        sink_.on_progress = [](const SeenProgress&) { alarm(1); };  // nothing else would end it
        engine.generate(request(), sink_);
      },
      ::testing::KilledBySignal(SIGALRM), "");
}

TEST_F(Sdcpp, ACancelThatComesBeforeTheCallCounts) {
  Engine engine = loaded();
  engine.cancel(9);
  Request cancelled = request();
  cancelled.ticket = 9;
  EXPECT_TRUE(std::holds_alternative<Cancelled>(engine.generate(cancelled, sink_)));
  EXPECT_TRUE(std::holds_alternative<Picture>(engine.generate(request(), sink_)));
}

TEST_F(Sdcpp, ACancelDuringTheCallThrowsThePictureAway) {
  Engine engine = loaded();
  sink_.seen.clear();
  sink_.on_progress = [&](const SeenProgress& progress) {
    if (progress.phase == Phase::text || progress.phase == Phase::sample) engine.cancel(9);
  };
  Request cancelled = request();
  cancelled.ticket = 9;
  EXPECT_TRUE(std::holds_alternative<Cancelled>(engine.generate(cancelled, sink_)));
  const int last_step = engine.info().capabilities.cancel == CancelSupport::step ? 1 : 3;
  EXPECT_EQ(sink_.of(Phase::sample).back(), (SeenProgress{Phase::sample, last_step, 3}));
}

TEST_F(Sdcpp, HoldsOneModel) {
  Engine engine = loaded();
  EXPECT_TRUE(std::holds_alternative<Failure>(engine.load(model(), sink_)));
}

}  // namespace
}  // namespace pixelfleet::engine
