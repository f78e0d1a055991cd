// UTF-8 checks for text that comes from outside.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pixelfleet {

// Offset of the first byte that breaks UTF-8 (overlong forms and surrogates break it), or nothing.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// The longest prefix of at most `max_bytes` that does not cut a character.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

}  // namespace pixelfleet
