// What `pixelfleet simulate` is asked to do, checked: every wrong argument is told, not the first one only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/simulate.h"
#include "simulator/study.h"
#include "simulator/sweep.h"

namespace pixelfleet::cli {

struct SimulatePlan {
  std::optional<simulator::StudyPlan> study;  // absent: only a sweep is wanted
  std::optional<simulator::SweepPlan> sweep;
  bool ablation = false;                                 // the study compares amp with parts of itself
  std::optional<simulator::Trace> own_trace;             // from files: the study's only trace
  std::optional<std::vector<std::string>> gpus_instead;  // of each trace's own
};

// `history`: the trace that from_history asks for, with the machine that stands in for --gpus.
Result<SimulatePlan> plan_simulation(const SimulateArguments& arguments,
                                     std::optional<simulator::Trace> history = std::nullopt);

inline constexpr int kMaxSeeds = 100;
inline constexpr std::int64_t kDefaultSeedBase = 300;  // the seeds that nothing was tuned on
inline constexpr std::int64_t kSeedStep = 100;

}  // namespace pixelfleet::cli
