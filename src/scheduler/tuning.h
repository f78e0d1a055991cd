// Tuning: the constants of the amp policy and which of its parts are on, so that each part's worth can be measured.
//
// docs/scheduling.md explains each and shows what it gains; the defaults are what production runs.
#pragma once

namespace pixelfleet::scheduler {

enum class Part { off, on };

struct Tuning {
  double quantum = 2.0;          // a gpu leaves waiting work only after this many times its load was run
  double hysteresis = 1.5;       // a load must beat the best warm start by this factor
  double aging_seconds = 45.0;   // waiting this long doubles a job's weight, longer under backlog
  double guard_seconds = 60.0;   // no job counts as overdue before
  double guard_run_times = 4.0;  // ... nor before so many of its own run times
  double guard_backlog = 5.0;    // ... nor before so many times the backlog
  double background_guard_seconds = 12.0 * 3600.0;
  double eviction = 1.5;             // factor on the price of what a load pushes out
  double user_exponent = 0.3;        // how much a user's later jobs weigh less
  Part load_behind = Part::on;       // load the next model while the gpu runs
  Part replicate_behind = Part::on;  // ... also one that is on another gpu already
  Part staging = Part::on;           // read models into host memory ahead of their loads
  Part rollout = Part::on;           // play the candidates forward before a load
  Part splitting = Part::on;         // cut a job over gpus that would idle

  friend bool operator==(const Tuning&, const Tuning&) = default;
};

}  // namespace pixelfleet::scheduler
