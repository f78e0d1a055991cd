// Rollout: compares candidates by playing the base rule forward on copies of the board.
//
// Only what is known takes part: no future arrivals, predicted times. The base choice stands unless another one is
// clearly cheaper, so on the known queue the result is not worse than the rule (policy improvement). The work is
// bounded by a count of decisions, never by a clock.
#pragma once

#include <vector>

#include "scheduler/board.h"

namespace pixelfleet::scheduler {

inline constexpr int kRolloutQueue = 48;  // jobs waiting; with more the base rule decides alone

// Whether it is worth the effort: some candidate is a load, and few enough jobs wait.
bool worth_a_rollout(const Board& board, const Choice& base, const std::vector<Choice>& others);

// The base choice, one of the others, or none: wait for what is being staged.
Choice best_by_rollout(const Board& board, const Choice& base, const std::vector<Choice>& others);

}  // namespace pixelfleet::scheduler
