// fifo and v18; the rules stand in rival_arrival_order.h.
#include "simulator/rival_arrival_order.h"

#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

std::optional<Order> FirstInFirstOut::next(const FleetView& fleet) {
  if (fleet.waiting().empty()) return std::nullopt;
  const int head = fleet.waiting().front();
  for (const int gpu : idle_gpus(fleet)) {
    if (fleet.fits(fleet.job(head).model, gpu)) return RunJob{head, gpu};
  }
  return std::nullopt;
}

std::optional<Order> WarmOrRoomiest::next(const FleetView& fleet) {
  if (fleet.waiting().empty()) return std::nullopt;
  const int head = fleet.waiting().front();
  const int model = fleet.job(head).model;
  std::optional<int> gpu = idle_holder(fleet, model);
  if (!gpu) gpu = roomiest_idle(fleet, model);
  if (!gpu) return std::nullopt;
  return RunJob{head, *gpu};
}

}  // namespace pixelfleet::simulator
