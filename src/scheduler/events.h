// What the scheduler is told (past tense) and what it orders (imperative).
//
// The control loop turns the outside world into events, gives each to Scheduler::step, commits what the actions
// change, then carries the actions out in order. Everything here is plain data: a history can be stored and replayed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "domain/gpu.h"
#include "domain/ids.h"
#include "domain/job.h"
#include "domain/model.h"

namespace pixelfleet::scheduler {

// What may run where. synthetic runs on every kind of gpu, sdcpp never on a virtual one.
enum class Engine { synthetic, sdcpp };

// The job as the scheduler sees it. `missing` are the indices that still have to be made, ascending.
struct JobFacts {
  JobId id;
  std::string owner = {};
  Priority priority = Priority::normal;
  double rank = 0.0;
  ModelKey model;
  std::optional<GpuUuid> pin = {};
  std::vector<int> missing = {};
  int worker_deaths = 0;
  std::optional<HeldReason> held = {};  // user, paused ... : not to be started; no_gpu is the scheduler's own
  bool cancel_requested = false;        // before a restart, while it ran: it ends at once
};

struct ModelFacts {
  ModelKey key;
  Engine engine = Engine::synthetic;
  std::int64_t memory_bytes = 0;
};

struct Policy {
  bool multi_gpu = false;
  int max_gpus = 4;        // 1-8, used while multi_gpu
  std::string single_gpu;  // UUID used while !multi_gpu; empty: the one with most free memory, kept
  int resident_limit = 2;  // PIPE_CACHE_MAX: models one gpu may hold; 0: unload after each job; <0: no limit

  friend bool operator==(const Policy&, const Policy&) = default;
};

// --- events ---------------------------------------------------------------------------------------------------

struct PolicyChanged {
  Policy policy;
};
struct GpuArrived {
  Gpu gpu;
};  // also: size changed
struct GpuLost {
  GpuUuid gpu;
};
struct ModelKnown {
  ModelFacts model;
};  // new, or its facts changed
struct ModelForgotten {
  ModelKey model;
};  // jobs that want it are held(model_disabled)
struct JobSubmitted {
  JobFacts job;
};
struct JobCancelRequested {
  JobId job;
};
struct JobHeld {
  JobId job;
  HeldReason reason;
};
struct JobReleased {
  JobId job;
};
struct WorkerReady {
  WorkerId worker;
};
// The process ended, or the model did not load. `failure` says why; blame says whether the job at hand is charged.
enum class Blame { job, none };
struct WorkerLost {
  WorkerId worker;
  JobError failure;
  Blame blame = Blame::job;
};
// The model could not be loaded, and trying again will not help (bad file): its jobs fail.
struct ModelUnloadable {
  WorkerId worker;
  JobError failure;
};
struct ImageMade {
  ChunkId chunk;
  int index = 0;
};  // the worker handed it over; the gpu goes on
enum class ChunkOutcome { done, cancelled, failed };
struct ChunkEnded {
  ChunkId chunk;
  ChunkOutcome outcome = ChunkOutcome::done;
  JobError failure;
};
struct ImagePublished {
  JobId job;
  int index = 0;
};  // on disk and committed
struct ImageRejected {
  JobId job;
  int index = 0;
};  // handed over but not publishable: make it again
// Its pictures cannot be written, and trying again will not help: it fails; a running chunk of it is cancelled.
struct JobUnpublishable {
  JobId job;
  JobError failure;
};
struct TimerFired {};       // the instant asked for by WakeAt has come
struct ServerRestarted {};  // all workers are gone, nobody is to blame

using Event =
    std::variant<PolicyChanged, GpuArrived, GpuLost, ModelKnown, ModelForgotten, JobSubmitted, JobCancelRequested,
                 JobHeld, JobReleased, WorkerReady, WorkerLost, ModelUnloadable, ImageMade, ChunkEnded, ImagePublished,
                 ImageRejected, JobUnpublishable, TimerFired, ServerRestarted>;

// --- actions --------------------------------------------------------------------------------------------------

struct StartWorker {
  WorkerId worker;
  GpuUuid gpu;
  ModelKey model;
};
struct StopWorker {
  WorkerId worker;
};  // after it no event of this worker counts any more
struct StartChunk {
  ChunkId chunk;
  WorkerId worker;
  GpuUuid gpu;
  JobId job;
  std::vector<int> indices;
};
struct CancelChunk {
  ChunkId chunk;
  WorkerId worker;
};
// A running chunk is given up without an answer from its worker (its gpu or process is gone).
struct AbandonChunk {
  ChunkId chunk;
  JobError failure;
};
// The job is in this state now; `held` goes with held, `error` with failed.
struct SetJobState {
  JobId job;
  JobState state;
  std::optional<HeldReason> held;
  std::optional<JobError> error;
  int worker_deaths = 0;
};
struct WakeAt {
  Instant at;
};  // replaces an earlier wish

using Action = std::variant<StartWorker, StopWorker, StartChunk, CancelChunk, AbandonChunk, SetJobState, WakeAt>;

}  // namespace pixelfleet::scheduler
