#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/json_full.h"

namespace pixelfleet::log {
namespace {

Style g_style = Style::text;

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("pixelfleet", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %-5l %v");
    return made;
  }();
  return *instance;
}

}  // namespace

void configure(Level lowest, Style style) {
  g_style = style;
  logger().set_level(to_spdlog(lowest));
  logger().flush_on(spdlog::level::info);
  if (style == Style::json) {
    logger().set_pattern(R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})", spdlog::pattern_time_type::utc);
  }
}

void write(Level level, std::string_view component, std::string_view message) {
  if (g_style == Style::json) {
    logger().log(to_spdlog(level), R"("logger":{},"msg":{})", to_text(Json(std::string(component))),
                 to_text(Json(std::string(message))));
  } else {
    logger().log(to_spdlog(level), "{}: {}", component, message);
  }
}

}  // namespace pixelfleet::log
