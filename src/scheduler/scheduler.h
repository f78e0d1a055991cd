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

#include <memory>
#include <string>
#include <vector>

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
    std::int64_t reserved_bytes = 0;
    std::optional<JobId> job;
  };
  std::vector<GpuView> gpus() const;

  // Everything durable about the state, one line per fact, in a fixed order: equal text = equal state. Ids of workers
  // and chunks, and what a restart forgets (residency, timers), are left out.
  std::string durable_digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pixelfleet::scheduler
