// Rivals that serve strictly in the order of arrival: the head of the line blocks all behind it.
//
// Re-implements two rules, neither taken from a peer's source:
// - fifo: the baseline of queueing theory. The head goes to the first idle gpu that can hold its model, whatever is
//   loaded there.
// - v18: the rule of SDXL DGX Image Lab v18, the predecessor of this project, as its successor's notes describe it. The
//   head goes to an idle gpu that already holds its model, else to the idle gpu with the most free memory.
#pragma once

#include <optional>

#include "simulator/rival.h"

namespace pixelfleet::simulator {

class FirstInFirstOut : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;
};

class WarmOrRoomiest : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;
};

}  // namespace pixelfleet::simulator
