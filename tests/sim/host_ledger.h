// HostLedger: which model files a machine keeps in host memory, as the scheduler was told and has ordered.
//
// Files take room from the order to read them until the order to drop them, or until the machine says that they are
// gone. It knows nothing of their worth, only that they fit.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "scheduler/events.h"

namespace pixelfleet::sim {

class HostLedger {
 public:
  using Models = std::map<ModelKey, scheduler::ModelFacts>;

  void on(const scheduler::ModelStaged& e, const Models& models);
  void on(const scheduler::ModelUnstaged& e);
  void forget_all();  // the server died, and its memory with it

  // What is wrong with the order, if anything.
  std::optional<std::string> order(const scheduler::StageModel& a, const Models& models);
  std::optional<std::string> order(const scheduler::UnstageModel& a);
  // What is wrong with what is there after a step.
  std::optional<std::string> check(const Models& models, const scheduler::Policy& policy) const;

  bool is_staging() const { return staging_.has_value(); }
  const std::map<ModelKey, std::int64_t>& staged() const { return staged_; }

 private:
  std::map<ModelKey, std::int64_t> staged_;  // bytes
  std::optional<ModelKey> staging_;
};

}  // namespace pixelfleet::sim
