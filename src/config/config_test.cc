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
