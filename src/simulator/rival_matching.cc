// Cheapest augmenting paths, found by relaxing every gpu until nothing improves.
#include "simulator/rival_matching.h"

#include <utility>

namespace pixelfleet::simulator {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

bool Matching::add(int job, std::vector<std::optional<MatchCost>> costs) {
  const int gpus = static_cast<int>(taken_by_.size());
  std::vector<std::optional<MatchCost>> distance = costs;  // of a path that ends with somebody new on the gpu
  std::vector<int> from(taken_by_.size(), -1);             // the gpu whose holder moves there; -1: the new job itself
  for (int round = 0; round < gpus; ++round) {
    bool is_better = false;
    for (int left = 0; left < gpus; ++left) {
      if (!distance[at(left)] || taken_by_[at(left)] < 0) continue;
      const Entry& mover = jobs_[at(taken_by_[at(left)])];
      for (int to = 0; to < gpus; ++to) {
        if (to == left || !mover.costs[at(to)]) continue;
        const MatchCost length = *distance[at(left)] - *mover.costs[at(left)] + *mover.costs[at(to)];
        if (distance[at(to)] && *distance[at(to)] <= length) continue;
        distance[at(to)] = length;
        from[at(to)] = left;
        is_better = true;
      }
    }
    if (!is_better) break;
  }
  int end = -1;
  for (int gpu = 0; gpu < gpus; ++gpu) {
    if (taken_by_[at(gpu)] >= 0 || !distance[at(gpu)]) continue;
    if (end < 0 || *distance[at(gpu)] < *distance[at(end)]) end = gpu;
  }
  if (end < 0) return false;
  for (; from[at(end)] >= 0; end = from[at(end)]) taken_by_[at(end)] = taken_by_[at(from[at(end)])];
  taken_by_[at(end)] = static_cast<int>(jobs_.size());
  jobs_.push_back({job, std::move(costs)});
  return true;
}

std::vector<Matching::Pair> Matching::pairs() const {
  std::vector<Pair> pairs(jobs_.size());
  for (std::size_t gpu = 0; gpu < taken_by_.size(); ++gpu) {
    if (taken_by_[gpu] < 0) continue;
    pairs[at(taken_by_[gpu])] = {jobs_[at(taken_by_[gpu])].job, static_cast<int>(gpu)};
  }
  return pairs;
}

}  // namespace pixelfleet::simulator
