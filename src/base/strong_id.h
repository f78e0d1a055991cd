// StrongId<Tag>: an integer key that cannot be mistaken for another kind of key. 0 means "none".
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace pixelfleet {

template <class Tag>
struct StrongId {
  std::int64_t value = 0;

  constexpr StrongId() = default;
  constexpr explicit StrongId(std::int64_t v) : value(v) {}

  constexpr explicit operator bool() const { return value != 0; }
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

}  // namespace pixelfleet

template <class Tag>
struct std::hash<pixelfleet::StrongId<Tag>> {
  std::size_t operator()(const pixelfleet::StrongId<Tag>& id) const noexcept {
    return std::hash<std::int64_t>{}(id.value);
  }
};
