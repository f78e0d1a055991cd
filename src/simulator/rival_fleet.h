// Questions that several rivals ask about the fleet they see.
//
// All of them answer by listing order where nothing else decides, so that a rival's choice is the same in every run.
#pragma once

#include <optional>
#include <vector>

#include "simulator/rival.h"

namespace pixelfleet::simulator {

std::vector<int> idle_gpus(const FleetView& fleet);
bool any_gpu_idle(const FleetView& fleet);

// The first idle gpu that holds the model.
std::optional<int> idle_holder(const FleetView& fleet, int model);
// The idle gpu with the most free memory among those that can hold the model.
std::optional<int> roomiest_idle(const FleetView& fleet, int model);
// The idle gpu that has been idle longest among those that can hold the model.
std::optional<int> longest_idle(const FleetView& fleet, int model);

// Memory that no resident model holds. Workspaces do not count: nothing runs on the gpus that are asked about.
double free_bytes(const FleetView& fleet, int gpu);
// Resident on a gpu that is up.
bool held_anywhere(const FleetView& fleet, int model);
bool loading_anywhere(const FleetView& fleet, int model);
// Predicted, on the fastest gpu that can hold the job's model, whether or not it is free.
double fastest_run_seconds(const FleetView& fleet, int job);

// The resident of an idle gpu that was used last; -1 when it holds nothing.
int last_used_model(const FleetView& fleet, int gpu);

// A value for each index, grown as indices appear: rivals learn of jobs, models and users by meeting them.
template <class Value>
class Table {
 public:
  explicit Table(Value initial) : initial_(initial) {}

  Value& operator[](int index) {
    const auto at = static_cast<std::size_t>(index);
    if (at >= values_.size()) values_.resize(at + 1, initial_);
    return values_[at];
  }
  void clear() { values_.clear(); }

 private:
  Value initial_;
  std::vector<Value> values_;
};

}  // namespace pixelfleet::simulator
