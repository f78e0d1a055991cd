// Playback: a copy of the scheduler driven into its own future, in a time of its own.
//
// Loads, runs and stagings end when the scheduler expects them to, or, with drawn luck, off by as much as its
// estimates have been off; then jobs also keep arriving as they have lately. The scheduler decides as always, without
// the roll-out. Pure; bounded by a count of decisions, never by a clock. The same seed gives the same future.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "scheduler/scheduler.h"

namespace pixelfleet::scheduler {

class Playback {
 public:
  enum class Luck { expected, drawn };
  struct Options {
    Luck luck = Luck::expected;
    std::uint64_t seed = 1;
    int most_decisions = 20'000;
  };

  Playback(Scheduler scheduler, Instant now, const Options& options);

  void submit(JobFacts job);  // now; it counts as one of those that wait

  // Each moves on until its jobs have got so far, or the bound is reached; held ones are not waited for. Without jobs:
  // all that wait, or are open.
  void run_until_started();
  void run_until_ended();
  void run_until_ended(const std::vector<JobId>& jobs);

  // First chunks and last pictures since the beginning; a job that is not here did not get that far.
  const std::map<JobId, Instant>& started() const { return started_; }
  const std::map<JobId, Instant>& ended() const { return ended_; }
  int decisions() const { return options_.most_decisions - decisions_left_; }

 private:
  struct LoadEnds {
    WorkerId worker;
  };
  struct RunEnds {
    ChunkId chunk;
  };
  struct StagingEnds {
    ModelKey model;
  };
  struct Wakes {};
  struct Arrives {};
  using Occasion = std::variant<LoadEnds, RunEnds, StagingEnds, Wakes, Arrives>;

  void begin_with_what_is_under_way();
  bool advance();  // to the next occasion; false: nothing follows, or the bound is reached
  void at(const LoadEnds& occasion);
  void at(const RunEnds& occasion);
  void at(const StagingEnds& occasion);
  void at(const Wakes& occasion);
  void at(const Arrives& occasion);
  void step(const Event& event);
  void on(const StartWorker& order);
  void on(const StartChunk& order);
  void on(const SetJobState& order);
  void on(const StageModel& order);
  void on(const WakeAt& order);
  template <class Order>
  void on(const Order&) {}  // nothing follows from it

  void plan(Instant when, Occasion occasion);
  double factor(double sigma);
  Instant end_of(Instant since, Instant expected_end, double sigma);
  void plan_arrival();
  void prepare_arrivals();

  Scheduler scheduler_;
  Instant now_;
  const Options options_;
  Rng rng_;
  int decisions_left_;
  double run_sigma_ = 0.0;
  double load_sigma_ = 0.0;

  std::map<std::pair<Instant, std::uint64_t>, Occasion> agenda_;  // ties in the order of their making
  std::uint64_t made_ = 0;
  std::set<JobId> waiting_;  // of those that waited at the beginning: not started
  std::set<JobId> open_;     // not ended
  std::map<JobId, Instant> started_;
  std::map<JobId, Instant> ended_;

  struct Source {  // of arrivals
    ModelKey model;
    double per_second = 0.0;
  };
  std::vector<Source> sources_;
  double arrivals_per_second_ = 0.0;
  JobId next_arrival_{std::int64_t{1} << 60};
};

}  // namespace pixelfleet::scheduler
