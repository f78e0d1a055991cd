// Structured logging: one line per event, `component` says which part speaks.
//
// Text on a terminal, one JSON object a line otherwise (or as `configure` says). Prompts are never logged above debug.
#pragma once

#include <string_view>
#include <utility>

#include "base/format.h"

namespace pixelfleet::log {

enum class Level { debug, info, warn, error };
enum class Style { text, json };

// Call once, before threads start. Output goes to stderr: stdout belongs to a command's result.
void configure(Level lowest, Style style);

void write(Level level, std::string_view component, std::string_view message);

template <class... Args>
void debug(std::string_view component, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::debug, component, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view component, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::info, component, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warn(std::string_view component, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::warn, component, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view component, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::error, component, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace pixelfleet::log
