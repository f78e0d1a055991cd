// Matching: which jobs get which idle gpus at the least total cost, one job after another.
//
// A job once taken stays taken, but it may be moved to another gpu to make room for the next one, along the cheapest
// augmenting path: what mold's planner does for the jobs that start now. For a handful of gpus.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace pixelfleet::simulator {

// Compared in this order.
struct MatchCost {
  std::int64_t setup_ms = 0;
  std::int64_t gpu_index = 0;

  friend auto operator<=>(const MatchCost&, const MatchCost&) = default;
  friend MatchCost operator+(MatchCost a, MatchCost b) { return {a.setup_ms + b.setup_ms, a.gpu_index + b.gpu_index}; }
  friend MatchCost operator-(MatchCost a, MatchCost b) { return {a.setup_ms - b.setup_ms, a.gpu_index - b.gpu_index}; }
};

class Matching {
 public:
  explicit Matching(int gpu_count) : taken_by_(static_cast<std::size_t>(gpu_count), -1) {}

  // A cost for each gpu; none where the job must not go. False when no gpu can be made free for it.
  bool add(int job, std::vector<std::optional<MatchCost>> costs);

  struct Pair {
    int job = 0;
    int gpu = 0;
  };
  std::vector<Pair> pairs() const;  // in the order of adding
  std::size_t size() const { return jobs_.size(); }

 private:
  struct Entry {
    int job = 0;
    std::vector<std::optional<MatchCost>> costs;
  };

  std::vector<Entry> jobs_;
  std::vector<int> taken_by_;  // index into jobs_, by gpu; -1: free
};

}  // namespace pixelfleet::simulator
