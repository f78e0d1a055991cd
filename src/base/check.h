// CHECK(condition): a programmer's mistake ends the process, in release too; the store brings the work back.
#pragma once

#include <string_view>

namespace pixelfleet {

// Prints to stderr and aborts.
[[noreturn]] void check_failed(std::string_view condition, std::string_view file, int line);

}  // namespace pixelfleet

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::pixelfleet::check_failed(#condition, __FILE__, __LINE__))
