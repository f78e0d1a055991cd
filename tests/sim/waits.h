// Waits: histories in which nothing fails, and the bound on every job's wait that the amp policy promises (W3).
//
// Several streams of jobs compete, some of them meant to starve others: interactive jobs that fill the gpus, bursts,
// background jobs of models that nobody else wants, pins. Runs and loads take what the priors say, give or take a
// quarter. The auditor looks at every step; WaitBound at every start.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "auditor.h"
#include "base/rng.h"

namespace pixelfleet::sim {

// The bound, in what was measured and in true costs:
//
//   start_j <= arrival_j + D_j + (n_j + 1) * (quantum * L + 2 L + 2 T)
//
//   D_j  the longest guard it had while it waited: max(base, guard_run_times * T_j, guard_backlog * B), where base is
//        guard_seconds (background: background_guard_seconds), T_j its shortest expected run, B the largest backlog
//        from its arrival to its start: the expected run times of all that waits and runs, over the gpus in use
//   n_j  chunks begun after arrival_j + D_j, on gpus that may run j, of jobs that were overdue no later: they arrived
//        at least their own base before arrival_j + D_j. So what arrives later never counts, and n_j is finite
//   L, T the longest load and the longest chunk of the history so far
//
// It holds for jobs whose gpus all stayed up, with nothing failing, moved, paused or pinned models in the way. Each
// of those n_j chunks, and j itself, waits at most for a gpu's quantum to end (quantum * L + T), for a load under way
// beside it (L), for a load of its own (L) and for a run before it or on a gpu that has its model (T).
struct Wait {
  Duration waited{0};
  Duration bound{0};
  Duration guard{0};  // D_j
  int before = 0;     // n_j
};

class WaitBound {
 public:
  // True costs, in seconds: of a job's run on its best gpu.
  using RunSeconds = std::function<double(const scheduler::JobFacts&)>;
  explicit WaitBound(RunSeconds run_seconds) : run_seconds_(std::move(run_seconds)) {}

  // After the auditor saw the event, before the actions: the situation that is decided on.
  void weigh(const Auditor& auditor, Instant now);
  void submitted(const scheduler::JobFacts& job, Instant now);
  // Before the auditor hears of the chunk; the wait, if it is the job's first.
  std::optional<Wait> started(const scheduler::StartChunk& chunk, const Auditor& auditor, Instant now);
  void ended(ChunkId chunk, Instant now);
  void load_started(WorkerId worker, Instant now) { loads_[worker] = now; }
  void load_ended(WorkerId worker, Instant now);
  void load_stopped(WorkerId worker) { loads_.erase(worker); }

 private:
  struct Waiting {
    Instant arrived;
    double base = 0.0;
    double run = 0.0;
    double most_backlog = 0.0;
    std::optional<GpuUuid> pin;
  };
  struct Begun {
    Instant at;
    Instant arrived;
    double base = 0.0;
    GpuUuid gpu;
  };
  struct Running {
    Instant since;
    double seconds = 0.0;  // expected
  };
  double backlog(const Auditor& auditor, Instant now) const;

  const RunSeconds run_seconds_;
  std::map<JobId, Waiting> waiting_;
  std::map<JobId, Begun> known_;  // arrival and base of all jobs that were started
  std::vector<Begun> begun_;      // chunks, in order
  std::map<ChunkId, Running> running_;
  std::map<WorkerId, Instant> loads_;
  Duration longest_load_{0};
  Duration longest_chunk_{0};
  double backlog_ = 0.0;
};

struct FairOptions {
  std::uint64_t seed = 1;
  // A gpu that a crowd fills for 15 hours, and background jobs with their usual guard of 12.
  enum class Kind { by_seed, twelve_hours } kind = Kind::by_seed;
  // What the scheduler is told instead, for planted bugs.
  std::function<void(scheduler::Policy&)> distort_policy = {};
};

struct FairOutcome {
  std::optional<std::string> violation;
  std::vector<std::string> situation;
  std::int64_t steps = 0;
  int jobs = 0;
  int overdue = 0;  // waited longer than their guard
  Duration longest_guard{0};
  double tightest = 0.0;  // the largest wait over its bound
  double tightest_past_guard = 0.0;
};

FairOutcome run_fair_history(const FairOptions& options);

}  // namespace pixelfleet::sim
