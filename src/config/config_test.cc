#include "config/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace pixelfleet {
namespace {

Environment environment_of(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& variable) -> std::optional<std::string> {
    const auto found = values.find(variable);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

std::string write_file(const std::string& text) {
  const auto path = std::filesystem::path(testing::TempDir()) / "pixelfleet_config_test.yaml";
  std::ofstream(path) << text;
  return path.string();
}

TEST(Config, FlagsWinOverEnvironmentOverFileOverDefaults) {
  const std::string file = write_file("port: 1111\nmulti_gpu:\n  max_gpus: 2\n  enabled: true\noutput: from-file\n");
  const auto loaded = load_config({{"config", file}, {"port", "3333"}},
                                  environment_of({{"PIXELFLEET_PORT", "2222"}, {"PIXELFLEET_MAX_GPUS", "3"}}));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.port, 3333);
  EXPECT_EQ(loaded->config.live.multi_gpu_max_gpus, 3);
  EXPECT_TRUE(loaded->config.live.multi_gpu_enabled);
  EXPECT_EQ(loaded->config.output_directory, "from-file");
  EXPECT_EQ(loaded->sources.at("port"), Source::flag);
  EXPECT_EQ(loaded->sources.at("multi_gpu.max_gpus"), Source::environment);
  EXPECT_EQ(loaded->sources.at("output"), Source::file);
  EXPECT_EQ(loaded->sources.at("data"), Source::default_value);
}

TEST(Config, LiveSettingsAreWrittenAsPeopleWriteThem) {
  const std::string file = write_file("models:\n  pinned: [a, b]\nhost_memory:\n  limit: 1.5GiB\n");
  const auto loaded = load_config(
      {{"config", file}, {"scheduler.load_beside_run", "off"}, {"idle_unload.gpu_seconds", "300"}},
      environment_of({{"PIXELFLEET_SCHEDULER_POLICY", "v18"}, {"PIXELFLEET_WORKER_OVERHEAD_BYTES", "auto"}}));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const LiveSettings& live = loaded->config.live;
  EXPECT_EQ(live.pinned_models, (std::set<ModelKey>{"a", "b"}));
  EXPECT_EQ(live.host_memory_limit_bytes, 1'610'612'736);
  EXPECT_EQ(live.load_beside_run, LoadBeside::off);
  EXPECT_EQ(live.idle_gpu_seconds, 300);
  EXPECT_EQ(live.policy, PolicyChoice::v18);
  EXPECT_FALSE(live.worker_overhead_bytes);
  EXPECT_NE(loaded->print().find("models.pinned = a,b  (file)"), std::string::npos);
  EXPECT_NE(loaded->print().find("worker_overhead_bytes = auto  (environment)"), std::string::npos);
}

TEST(Config, OurPortVariableWinsOverTheInheritedOne) {
  const auto loaded = load_config({}, environment_of({{"GRADIO_PORT", "1"}, {"PIXELFLEET_PORT", "2"}}));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.port, 2);
  EXPECT_EQ(load_config({}, environment_of({{"GRADIO_PORT", "1"}}))->config.port, 1);
}

TEST(Config, WrongValuesNameKeyValueAndWhatIsAllowed) {
  const std::map<std::string, std::pair<std::string, std::string>> wrong = {
      {"port", {"70000", "a whole number from 0 to 65535"}},
      {"time_scale", {"nan", "a number from 0.01 to 10000"}},
      {"multi_gpu.max_gpus", {"9", "a whole number from 1 to 8"}},
      {"multi_gpu.enabled", {"maybe", "true or false"}},
      {"virtual_gpus", {"4x", "a spec such as 4x24GiB, 8xA100, H100+2x4090 or cpu:2"}},
      {"instance_id", {"a/b", "up to 64 letters, digits, '.', '_' and '-'"}},
      {"log.level", {"loud", "debug, info, warn, error"}},
      {"scheduler.policy", {"best", "amp, v18 or fifo"}},
      {"host_memory.limit", {"64 parsecs", "auto, or bytes such as 64GiB, 400MB or 0"}},
      {"worker_overhead_bytes", {"32GiB", "whole bytes from 0 to 17179869184, or null: by kind of gpu"}},
      {"idle_unload.gpu_seconds", {"-5", "a whole number from 0 to 2147483647"}},
  };
  for (const auto& [key, value_and_allowed] : wrong) {
    const auto loaded = load_config({{key, value_and_allowed.first}}, environment_of({}));
    ASSERT_FALSE(loaded) << key;
    EXPECT_EQ(loaded.error().fields.at(0).field, key);
    EXPECT_EQ(loaded.error().fields.at(0).allowed, value_and_allowed.second);
  }
}

TEST(Config, AnUnknownKeyInTheFileSuggestsTheNearOne) {
  const auto loaded = load_config({{"config", write_file("prot: 1\n")}}, environment_of({}));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("did you mean \"port\"?"), std::string::npos) << loaded.error().message;
}

TEST(Config, ABrokenFileIsReportedWithItsLine) {
  const auto loaded = load_config({{"config", write_file("port: 1\nbind: [\n")}}, environment_of({}));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("line 3"), std::string::npos) << loaded.error().message;
  EXPECT_FALSE(load_config({{"config", "/does/not/exist.yaml"}}, environment_of({})));
}

TEST(Config, EveryKeyPrintsItsValueAndTakesItBack) {
  const auto loaded = load_config({}, environment_of({}));
  ASSERT_TRUE(loaded);
  const std::string printed = loaded->print();
  for (const ConfigKey& key : config_keys()) {
    EXPECT_NE(printed.find(key.key + " = "), std::string::npos) << key.key;
    EXPECT_FALSE(key.environment.empty()) << key.key;
    EXPECT_FALSE(key.help.empty()) << key.key;
  }
}

}  // namespace
}  // namespace pixelfleet
