// delay: jobs in the order of arrival, but one that finds no warm gpu lets others overtake it for 2 s.
//
// Re-implements delay scheduling (Zaharia et al., EuroSys 2010) with the model in the place of the data: an idle gpu
// goes to the first job whose model it holds, or to the first that has already been skipped for 2 s, whichever comes
// earlier in the line. Simplified: each job is its own "job" of one task, so its wait is never reset; the gpu for a
// cold one is that with the most free memory.
#pragma once

#include <optional>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

class DelayScheduling : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;
  std::optional<double> wake_at_s(const FleetView& fleet) override;

 private:
  Table<double> first_skipped_s_{-1.0};  // by job; -1: never
  std::optional<double> next_end_of_wait_s_;
};

}  // namespace pixelfleet::simulator
