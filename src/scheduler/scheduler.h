// Decides which job runs on which gpu with which resident model, and nothing else.
//
// A pure state machine: it never blocks, reads a clock, does I/O, locks or throws, so any history can be replayed
// exactly, in production, in the simulator and in the forecaster. Not thread-safe: owned by the control loop.
// Ties break by id; there is no unordered iteration.
//
//   job:    queued -> running -> done | failed | cancelled;  queued <-> held;  running -> queued (attempt lost)
//   gpu:    idle | loading (a worker starts) | busy (a chunk runs): one of these at a time
//   worker: starting -> ready <-> running -> gone
//
// Policy v1: jobs in the order (priority, rank, id). Multi-GPU on: each takes an idle gpu that holds its model, else
// the idle gpu with most free memory. Off: one gpu, strictly in order. At most one chunk or load per gpu; the sum of
// memory_bytes of a gpu's workers never exceeds the gpu's memory: idle workers are stopped first, least recently used.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "domain/outlook.h"
#include "scheduler/decision.h"
#include "scheduler/events.h"

namespace pixelfleet::scheduler {

// Where the counters start, so that keys never repeat across restarts.
struct FirstIds {
  ChunkId chunk{1};
  WorkerId worker{1};
};

class Scheduler {
 public:
  explicit Scheduler(FirstIds first = {});
  ~Scheduler();
  Scheduler(const Scheduler& other);  // a copy plays the future forward
  Scheduler& operator=(const Scheduler& other);

  // Applies one event; the actions are to be carried out in order. `now` never goes back. Events about jobs, chunks
  // or workers that are gone are ignored: they crossed an action on the way.
  [[nodiscard]] std::vector<Action> step(const Event& event, Instant now);

  // What a gpu holds and does, for the live view.
  struct GpuView {
    GpuUuid uuid;
    GpuState state = GpuState::idle;
    std::vector<ModelKey> resident_models;
    std::optional<ModelKey> loading_model;  // also while it is busy
    std::int64_t reserved_bytes = 0;
    std::optional<JobId> job;
  };
  std::vector<GpuView> gpus() const;

  // How long the load or chunk that this worker has under way was expected to take when it began; absent: unknown.
  std::optional<double> expected_seconds(WorkerId worker) const;

  // Why a job waits, by the rules that decide; nothing for one that does not (a job that runs in part, too).
  std::optional<WaitingReason> explain(JobId job, Instant now) const;
  std::map<JobId, WaitingReason> explain_all(Instant now) const;

  // A copy to look ahead with that costs no more than its jobs: those that run, and of the waiting ones the first so
  // many in order; of the held ones likewise.
  Scheduler excerpt(std::size_t most_waiting);

  // From now on decisions are kept; take_decisions() gives them away, oldest first. Of many that nobody takes the
  // oldest are dropped.
  void record_decisions();
  std::vector<Decision> take_decisions();

  // Everything durable about the state, one line per fact, in a fixed order: equal text = equal state. Ids of workers
  // and chunks, and what a restart forgets (residency, timers), are left out.
  std::string durable_digest() const;

 private:
  friend class Explainer;
  friend class Playback;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pixelfleet::scheduler
