// What the scheduler is told (past tense) and what it orders (imperative).
//
// The control loop turns the outside world into events, gives each to Scheduler::step, commits what the actions
// change, then carries the actions out in order. Everything here is plain data: a history can be stored and replayed.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "domain/gpu.h"
#include "domain/ids.h"
#include "domain/job.h"
#include "domain/model.h"
#include "scheduler/costs.h"
#include "scheduler/tuning.h"

namespace pixelfleet::scheduler {

// What may run where. synthetic runs on every kind of gpu, sdcpp never on a virtual one.
enum class Engine { synthetic, sdcpp };

// What one picture of a job costs depends on these.
struct Shape {
  int steps = 20;
  std::int64_t pixels = 1 << 20;  // of the picture the engine makes
  std::string sampler = {};
  std::string loras = {};  // the set, as one text; empty: none

  friend bool operator==(const Shape&, const Shape&) = default;
};

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
  Shape shape = {};
  std::optional<Instant> arrived_at = {};  // absent: now
};

struct ModelFacts {
  ModelKey key;
  Engine engine = Engine::synthetic;
  std::int64_t memory_bytes = 0;     // on a gpu while it makes a picture: weights and workspace
  std::int64_t workspace_bytes = 0;  // of these, in use only while a chunk runs
  std::int64_t file_bytes = 0;       // read from the disk to load it, kept in host memory afterwards
  std::string family = {};           // what its run times are learned under; empty: the key
  std::vector<CostPrior> priors = {};

  friend bool operator==(const ModelFacts&, const ModelFacts&) = default;
};

enum class Algorithm { amp, v18, fifo };
// latency: mean waiting counts most; throughput: the last picture of what is queued does.
enum class Objective { latency, throughput };
enum class LoadBesideRun { no, yes };

struct Policy {
  bool multi_gpu = false;
  int max_gpus = 4;                 // used while multi_gpu
  std::set<std::string> gpus = {};  // used while multi_gpu: only these (is_called()); none of them here: any
  std::string single_gpu;           // UUID used while !multi_gpu; empty: the one with most free memory, kept
  int resident_limit = 2;           // PIPE_CACHE_MAX: models one gpu may hold; 0: unload after each job; <0: no limit
  Algorithm algorithm = Algorithm::amp;  // of several gpus; a single one is always strictly in order
  Objective objective = Objective::latency;
  LoadBesideRun load_beside_run = LoadBesideRun::yes;  // whether an engine may load while another worker runs
  std::int64_t worker_overhead_bytes = 0;              // of gpu memory, per worker, beside its model
  std::int64_t host_memory_bytes = 0;                  // that staged model files may take; 0: no staging
  double disk_bytes_per_second = 1e9;                  // of one reader alone
  std::set<ModelKey> pinned_models = {};               // never evicted for another model, nor unloaded when idle
  std::optional<Duration> unload_idle_after = {};      // from a gpu
  std::optional<Duration> drop_idle_after = {};        // from host memory
  Tuning tuning = {};

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
// On what terms a gpu may be used, as others decide (health, sharing, memory). Kept for gpus that are not here: told
// before a gpu arrives, nothing starts on it first. Another gpu takes a closed one's place in the selection.
enum class Trust { full, probation };  // probation: a job's last attempt goes elsewhere while it can
struct GpuOpened {                     // as every gpu is at first
  GpuUuid gpu;
  Trust trust = Trust::full;
};
struct GpuClosed {  // nothing starts on it
  GpuUuid gpu;
  // rest: what runs finishes, models stay. finish: what runs finishes, then the workers leave. abandon: they leave at
  // once; nobody is charged for the attempt.
  enum class Workers { rest, finish, abandon } workers = Workers::finish;
};
struct GpuMemoryPlanned {
  GpuUuid gpu;
  std::optional<std::int64_t> bytes;  // that workers may use in sum, of the gpu's memory; absent: all of it
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
struct JobMoved {  // directly before or after another one; both wait, of the same priority
  JobId job;
  JobId other;
  enum class Side { before, after } side = Side::before;
};
struct JobReprioritised {
  JobId job;
  Priority priority;
};
struct JobPinned {
  JobId job;
  std::optional<GpuUuid> pin;  // absent: anywhere
};
// Nothing of these starts until resumed; what runs goes on. Absent owner: everybody's.
struct QueuePaused {
  std::optional<std::string> owner;
};
struct QueueResumed {
  std::optional<std::string> owner;
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
// The worker's own account of how far it is, of its picture `index`; corrects the predicted end.
struct ChunkProgress {
  ChunkId chunk;
  int index = 0;
  int step = 0;
  int steps = 0;
};
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
// Host memory: a model's files are there now, or no longer are.
struct ModelStaged {
  ModelKey model;
};
struct ModelUnstaged {
  ModelKey model;
};
struct CostRemembered {  // at the start, from the store
  CostRecord record;
};
struct TimerFired {};       // the instant asked for by WakeAt has come
struct ServerRestarted {};  // all workers are gone, nobody is to blame

using Event = std::variant<PolicyChanged, GpuArrived, GpuLost, GpuOpened, GpuClosed, GpuMemoryPlanned, ModelKnown,
                           ModelForgotten, JobSubmitted, JobCancelRequested, JobHeld, JobReleased, JobMoved,
                           JobReprioritised, JobPinned, QueuePaused, QueueResumed, WorkerReady, WorkerLost,
                           ModelUnloadable, ImageMade, ChunkProgress, ChunkEnded, ImagePublished, ImageRejected,
                           JobUnpublishable, ModelStaged, ModelUnstaged, CostRemembered, TimerFired, ServerRestarted>;

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
// The job's place, priority and pin are these now.
struct SetJobOrder {
  JobId job;
  Priority priority = Priority::normal;
  double rank = 0.0;
  std::optional<GpuUuid> pin;
};
// Bring the model's files into host memory; answered by ModelStaged or ModelUnstaged. One at a time.
struct StageModel {
  ModelKey model;
};
// The files may leave host memory; it counts as gone at once.
struct UnstageModel {
  ModelKey model;
};
struct RememberCost {  // replaces the record of the same key
  CostRecord record;
};
struct WakeAt {
  Instant at;
};  // replaces an earlier wish

using Action = std::variant<StartWorker, StopWorker, StartChunk, CancelChunk, AbandonChunk, SetJobState, SetJobOrder,
                            StageModel, UnstageModel, RememberCost, WakeAt>;

}  // namespace pixelfleet::scheduler
