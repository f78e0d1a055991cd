#include "engine/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pixelfleet::engine {
namespace {

using ::testing::HasSubstr;

TEST(Plugin, NamesAFileThatIsNotThere) {
  const Result<Plugin> plugin = Plugin::open("/nowhere/libpixelfleet_engine_x.so");
  ASSERT_FALSE(plugin);
  EXPECT_EQ(plugin.error().code, ErrorCode::unavailable);
  EXPECT_THAT(plugin.error().message, HasSubstr("/nowhere/libpixelfleet_engine_x.so"));
}

TEST(Plugin, RefusesALibraryThatIsNoPlugin) {
  const Result<Plugin> plugin = Plugin::open("libm.so.6");
  ASSERT_FALSE(plugin);
  EXPECT_EQ(plugin.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(plugin.error().message, HasSubstr(PF_ENGINE_API_SYMBOL));
}

TEST(Plugin, OpensTheSyntheticEngine) {
  const Result<Plugin> plugin = Plugin::open(PIXELFLEET_SYNTHETIC_PLUGIN);
  ASSERT_TRUE(plugin) << plugin.error().message;
  EXPECT_EQ(plugin->name(), "synthetic");
  std::variant<Engine, Failure> started = plugin->start({});
  ASSERT_TRUE(std::holds_alternative<Engine>(started));
  const Info& info = std::get<Engine>(started).info();
  EXPECT_EQ(info.engine, "synthetic");
  EXPECT_EQ(info.capabilities.cancel, CancelSupport::step);
  EXPECT_TRUE(info.capabilities.preview);
  EXPECT_FALSE(info.capabilities.lora);
  EXPECT_FALSE(info.samplers.empty());
}

}  // namespace
}  // namespace pixelfleet::engine
