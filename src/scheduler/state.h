// The scheduler's private state: one value, changed only inside step().
//
//   event                  job                                    gpu / worker                           file
//   JobSubmitted           new -> queued | held | failed | cancelled (asked for before a restart)        jobs.cc
//   JobHeld, JobReleased   queued <-> held                                                               jobs.cc
//   QueuePaused, QueueResumed  queued <-> held(paused)                                                   orders.cc
//   JobMoved, JobReprioritised, JobPinned  another place in the queue; pinned: queued <-> held(no_gpu)   orders.cc
//   JobCancelRequested     queued, held -> cancelled; running: waits for its chunk, then cancelled       jobs.cc
//   ImagePublished         running -> done with the last one                                             jobs.cc
//   ImageRejected          running -> queued when nothing of it runs                                     jobs.cc
//   JobUnpublishable       any -> failed                          a running chunk is told to stop       jobs.cc
//   WorkerReady            queued -> running                      starting -> ready -> running           workers.cc
//   ImageMade              the index is in flight                                                        workers.cc
//   ChunkEnded             running -> running (pictures in flight) | queued | failed | cancelled
//                                                                 running -> ready                       workers.cc
//   WorkerLost             running -> queued | failed | cancelled any -> gone                            failures.cc
//   ModelUnloadable        queued (all of the model) -> failed    starting -> gone                       failures.cc
//   GpuLost                running -> queued | cancelled          all of the gpu's workers -> gone       gpus.cc
//   GpuClosed              running -> queued | cancelled, if it is to be abandoned                       gpus.cc
//   GpuArrived, GpuOpened, GpuMemoryPlanned, PolicyChanged, ModelKnown, ModelForgotten
//                          queued <-> held(no_gpu, model_disabled)  those out of place leave when idle   gpus.cc
//   ServerRestarted        running -> queued | cancelled          all gone                               jobs.cc
//
// Invariants: a job is in `queue` exactly when it has pictures that no chunk makes and nothing holds it; so it may run
// and be in the queue at once. A worker that is starting is its gpu's `loading` one, a running one its `running` one.
// Of the simple policies, a starting worker is claimed by exactly one queued job; a load that nobody claims is stopped.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/board.h"
#include "scheduler/cost_model.h"
#include "scheduler/queue.h"
#include "scheduler/scheduler.h"

namespace pixelfleet::scheduler {

// What the board needs to know of a job, made once and again when something under it changed.
struct Estimate {
  int owner = -1;
  int place = 0;
  int loras = 0;
  int pace = -1;  // index of the learned ratios of its family and sampler
  double backlog_at_arrival = 0.0;
  GpuMask gpus = 0;
  std::uint64_t machine = 0;                  // the version of gpus and models that `gpus` is for
  int images = 0;                             // that `seconds` are for
  std::size_t gpu_types = 0;                  // likewise
  std::array<float, kMaxGpuTypes> seconds{};  // before learning
};

struct OpenJob {
  JobId id;
  std::string owner;
  Priority priority = Priority::normal;
  double rank = 0.0;
  ModelKey model;
  std::optional<GpuUuid> pin;
  std::set<int> missing;                     // not published
  std::set<int> in_flight;                   // of these: handed over by a worker, on the way to the disk
  std::optional<HeldReason> held_by_others;  // user, window, quota

  // What the world was told last.
  JobState state = JobState::queued;
  std::optional<HeldReason> held;
  int told_deaths = 0;

  int worker_deaths = 0;
  enum class Wish { run, cancel } wish = Wish::run;

  Shape shape;
  Instant arrived_at;

  // What a restart forgets.
  std::set<ChunkId> chunks;      // that run
  std::optional<WorkerId> load;  // the worker that starts for it, of the simple policies
  Estimate estimate;
  std::set<GpuUuid> avoid;
  std::int64_t more_than_bytes = -1;
  std::vector<std::string> evidence;

  std::set<int> in_chunks;  // of the missing: a chunk has them to make

  std::set<int> remaining() const;  // what a new chunk has to make
  bool waiting() const { return state == JobState::queued || state == JobState::held; }
  Lane lane() const {
    return {model, pin, avoid, more_than_bytes,
            worker_deaths + 1 >= kMaxWorkerDeaths ? Lane::Attempt::last : Lane::Attempt::any};
  }
};

enum class WorkerPhase { starting, ready, running };

struct Worker {
  GpuUuid gpu;
  ModelKey model;
  int model_index = 0;               // on the board
  std::int64_t bytes = 0;            // reserved on the gpu while it lives
  std::int64_t workspace_bytes = 0;  // and while it runs; one workspace a gpu
  WorkerPhase phase = WorkerPhase::starting;
  std::optional<JobId> claimed_by;   // while starting, of the simple policies: the one job it starts for
  std::optional<JobId> started_for;  // while starting: the job that made the load worth it
  Instant since;                     // of the load or chunk under way
  Instant expected_end;              // likewise
  double expected_seconds = 0.0;     // likewise, as expected when it began; 0: nothing was
  double prior_seconds = 0.0;        // likewise, before learning; 0: it teaches nothing
  Tier tier = Tier::disk;
  enum class Blocks { no, yes } blocks = Blocks::yes;  // whether its load keeps the gpu from running
  enum class Told { no, yes } told = Told::no;         // whether the run's own progress says when it ends
  std::optional<ChunkId> chunk;                        // while running
  int loras = 0;                                       // the set of its last chunk
  std::uint64_t last_used = 0;                         // counts uses of all workers
  Instant idle_since;                                  // while ready
  int chunks_run = 0;
  enum class Facts { current, outdated } model_facts = Facts::current;
};

struct Chunk {
  WorkerId worker;
  JobId job;
  std::set<int> left;  // not handed over yet
  std::size_t images = 0;
};

struct Slot {
  Gpu gpu;
  std::set<WorkerId> workers;
  std::optional<WorkerId> running;
  std::optional<WorkerId> loading;
  double tenure_seconds = 0.0;  // run since the last load that blocked it
  double paid_seconds = 0.0;    // that load

  bool busy() const { return running || loading; }
};

// On what terms others let a gpu be used.
struct Terms {
  enum class Access { full, probation, resting, closed } access = Access::full;  // resting: closed, but models stay
  std::optional<std::int64_t> plan_bytes;

  bool is_open() const { return access == Access::full || access == Access::probation; }
};

// The amp policy's dense view of State and what it takes to keep it up to date.
struct Planning {
  Board board;
  CostModel costs;
  std::map<ModelKey, int> models;
  std::vector<ModelKey> model_keys;
  std::map<std::string, int> owners;
  std::vector<int> submitted;  // by owner: jobs so far
  std::map<std::string, int> loras;
  std::vector<std::string> gpu_types;  // names
  // Learned ratios by family and sampler, refreshed when the cost model has changed.
  struct Pace {
    std::string sampler;
    std::uint64_t version = 0;
    std::size_t gpu_types = 0;
    std::array<float, kMaxGpuTypes> ratio{};
  };
  std::map<std::pair<std::string, std::string>, int> pace_index;
  std::vector<Pace> paces;
  // The first jobs of each model, by its index, kept from decision to decision: its window is chosen from them.
  struct Scanned {
    Position position;
    int pace = 0;
    std::array<float, kMaxGpuTypes> seconds{};  // before learning
    BoardJob entry;
  };
  std::vector<std::vector<Scanned>> windows;
  std::uint64_t machine = 1;        // changes with gpus, models and policy
  std::uint64_t board_machine = 0;  // that the board is made from
  bool any_moved = false;           // of the queue that it is made from

  std::set<ModelKey> stale;  // models whose facts on the board are to be made again

  // What has arrived lately, for whoever plays the future: a few jobs of each model, without pictures made.
  std::map<ModelKey, std::vector<JobFacts>> recent;
  std::size_t arrivals = 0;
  Instant first_arrival;

  // Host memory.
  std::set<ModelKey> staged;
  std::optional<ModelKey> staging;
  Instant staging_end;
  std::map<ModelKey, Instant> unreadable_until;  // files that could not be read in: when to try again
  std::map<ModelKey, Instant> used_at;           // staged, loaded or run last
};

// After a worker died while loading: when the next one of this gpu and model may start.
struct BackOff {
  int failures = 0;
  Instant retry_at;
};

struct Scheduler::State {
  // Durable.
  Policy policy;
  std::map<GpuUuid, Slot> gpus;
  std::map<GpuUuid, Terms> terms;  // absent: full access to all of its memory
  std::map<ModelKey, ModelFacts> models;
  std::map<JobId, OpenJob> jobs;
  std::set<std::optional<std::string>> pauses;  // owners; absent: everybody

  // Forgotten by a restart.
  std::map<WorkerId, Worker> workers;
  std::map<ChunkId, Chunk> chunks;
  Queue queue;
  std::vector<GpuUuid> selected;      // in the order of their indices
  std::optional<GpuUuid> single_gpu;  // chosen while multi-GPU is off and the policy names none
  std::map<std::pair<GpuUuid, ModelKey>, BackOff> back_offs;
  std::optional<Instant> wake_at;
  std::uint64_t uses = 0;
  Planning planning;

  // Never repeat.
  ChunkId next_chunk;
  WorkerId next_worker;

  // Of the step under way.
  Instant now;
  std::vector<Action> actions;
  enum class LoadsEnded { none, some } loads_ended = LoadsEnded::none;

  // decision.cc: what was decided, for whoever asks for it.
  enum class Recording { off, on } recording = Recording::off;
  std::vector<Decision> decisions;
  void note(Decision decision);
  void note_choice(const Choice& choice, const Choice& base, const std::vector<Choice>& others);
  Decision::Option option_of(const Choice& choice) const;

  // jobs.cc: a job's life outside a gpu.
  void on(const JobSubmitted& event);
  void on(const JobCancelRequested& event);
  void on(const JobHeld& event);
  void on(const JobReleased& event);
  void on(const ImagePublished& event);
  void on(const ImageRejected& event);
  void on(const JobUnpublishable& event);
  void on(const ServerRestarted& event);
  void admit(OpenJob job);    // its state and held are what the world was told
  void settle(OpenJob& job);  // a job without chunk: queued, held, or running on what is in flight
  void go_on(OpenJob& job);   // settle, or end it if that is wished and nothing of it runs
  void settle_all();          // after what gpus can do has changed
  void tell(OpenJob& job, JobState state, std::optional<HeldReason> held = std::nullopt);
  void end(OpenJob& job, JobState state, std::optional<JobError> error = std::nullopt);  // destroys `job`
  void leave_queue(OpenJob& job);
  void take_first_jobs_of(const State& other, std::size_t most_waiting);  // into a copy of it without jobs
  void cancel_chunks(const OpenJob& job);
  std::optional<HeldReason> hold_for(const OpenJob& job) const;
  std::optional<JobError> too_big_for_this_machine(const OpenJob& job) const;

  // orders.cc: what people change about jobs that wait.
  void on(const JobMoved& event);
  void on(const JobReprioritised& event);
  void on(const JobPinned& event);
  void on(const QueuePaused& event);
  void on(const QueueResumed& event);
  OpenJob* waiting_job(JobId id);
  void requeue(OpenJob& job);  // after its position or lane changed; settle does the rest
  void set_rank(OpenJob& job, double rank);
  void tell_order(const OpenJob& job);
  bool is_paused(const OpenJob& job) const { return pauses.contains(std::nullopt) || pauses.contains(job.owner); }
  // Whether a job that was moved in front of this one waits and could use the gpu: until it has started, this one may
  // not start there. The moved job's gpu is not one where it failed (if it has another), nor one that it backs off.
  bool must_wait_for_moved(const OpenJob& job, const Slot& slot) const;

  // host_memory.cc: models staged in host memory.
  void on(const ModelStaged& event);
  void on(const ModelUnstaged& event);

  // idle.cc: what nobody has used for a while leaves gpus and host memory.
  bool stays_when_idle(const ModelKey& key) const;
  std::optional<Instant> unload_due(const Worker& worker) const;
  std::optional<Instant> drop_due(const ModelKey& key) const;
  std::optional<Instant> next_idle_end() const;
  void unload_idle();

  // learning.cc: what durations teach the cost model.
  void on(const CostRemembered& event);
  void on(const ChunkProgress& event);

  // workers.cc: chunks on workers.
  void on(const WorkerReady& event);
  void on(const ImageMade& event);
  void on(const ChunkEnded& event);
  void start_chunk(OpenJob& job, WorkerId worker_id, std::size_t images);
  bool handed_over_all(const Chunk& chunk) const;
  OpenJob* close_chunk(ChunkId id);                             // forgets it; its job, if that is still open
  OpenJob* abandon_chunk(ChunkId id, const JobError& failure);  // close_chunk, and say so

  // failures.cc
  void on(const WorkerLost& event);
  void on(const ModelUnloadable& event);
  void charge(OpenJob& job, const GpuUuid& gpu, const JobError& failure);  // destroys `job` at the last strike
  void out_of_memory(OpenJob& job, const GpuUuid& gpu, const JobError& failure);
  void back_off(const GpuUuid& gpu, const ModelKey& model);
  bool backing_off(const GpuUuid& gpu, const ModelKey& model) const;
  void forget_back_offs_of(const ModelKey& model);
  void on(const TimerFired& event);
  void ask_to_wake();

  // gpus.cc: what there is, and which of it is used.
  void on(const PolicyChanged& event);
  void on(const GpuArrived& event);
  void on(const GpuLost& event);
  void on(const GpuOpened& event);
  void on(const GpuClosed& event);
  void on(const GpuMemoryPlanned& event);
  void on(const ModelKnown& event);
  void on(const ModelForgotten& event);
  void select_gpus();
  void choose_single_gpu();
  bool is_listed(const Gpu& gpu) const;
  bool is_selected(const GpuUuid& gpu) const;
  // Multi-GPU is off and no job has needed a gpu yet: none is chosen.
  bool is_undecided() const { return !policy.multi_gpu && !gpus.contains(policy.single_gpu) && !single_gpu; }
  Terms terms_of(const GpuUuid& gpu) const;
  void set_access(const GpuUuid& gpu, Terms::Access access);
  void drop_claims();
  void machine_changed();                                           // another selection, and what follows from it
  std::vector<JobId> give_up(Slot& slot, const JobError& failure);  // stops its workers; whose chunks were abandoned
  std::int64_t usable_bytes(const Gpu& gpu) const;                  // of its memory, by workers in sum
  bool must_avoid(const Lane& lane, const GpuUuid& gpu) const;      // while another gpu could take it
  GpuView view(const Slot& slot) const;

  // memory.cc: which models stay.
  WorkerId start_worker(Slot& slot, const ModelFacts& model, const OpenJob& job);
  bool fits_beside(const Slot& slot, const ModelFacts& model) const;  // with what is there
  void stop_worker(WorkerId id);
  void erase_worker(WorkerId id);
  void tidy_up(Slot& slot);  // stops idle workers and loads that are out of place
  void tidy_up_all();
  std::optional<WorkerId> least_recently_used(const Slot& slot) const;
  std::int64_t reserved_bytes(const Slot& slot) const;

  // placement.cc
  void place();
  enum class Placed { chunk, load, waits, impossible };
  Placed place(OpenJob& job);
  bool is_idle(const Slot& slot) const { return !slot.busy() && is_selected(slot.gpu.uuid); }
  bool any_idle() const;
  std::vector<Slot*> candidates(const Lane& lane);  // selected gpus that could take it, busy ones too
  // Whether the gpu, empty, could hold the model, and the lane allows it there; `avoid` apart.
  bool can_take(const Gpu& gpu, const Lane& lane, const ModelFacts& model) const;
  bool any_selected_can_take(const Lane& lane) const;
  void hand_on_load(WorkerId id);  // its job went another way: the next one that wants it, or stop it

  // planning.cc: the board, and from its choices to actions.
  bool uses_v18() const { return policy.multi_gpu && policy.algorithm == Algorithm::v18; }
  bool uses_amp() const { return policy.multi_gpu && policy.algorithm == Algorithm::amp; }
  void plan();
  void carry_out(const Choice& choice);
  std::size_t images_to_start(const OpenJob& job, const Choice& choice) const;
  void sync_board();
  void sync_machine();
  void sync_gpu(int index);
  void sync_models();
  void sync_model(const ModelKey& key);
  void note_arrival(OpenJob& job);
  void forget_plans();  // a restart
  std::optional<Instant> next_guard();
  int model_index(const ModelKey& key);
  int gpu_type(const std::string& name);

  // window.cc: the jobs of a model that the board shows.
  void sync_window(const ModelKey& key, const Queue::Changes& changes);
  void scan(std::vector<Planning::Scanned>& scanned, const ModelKey& key, const Queue::Changes& changes);
  Planning::Scanned scanned_job(OpenJob& job, int model);
  void expect_seconds(Planning::Scanned& scanned, const ModelFacts& model);
  void choose_window(std::vector<Planning::Scanned>& scanned, BoardModel& model, std::vector<JobId> firsts) const;
  const Planning::Pace& pace_of(OpenJob& job);
  const Planning::Pace& pace(int index, const ModelFacts& model);  // as learned by now

  // host_memory.cc
  void stage();
  bool make_room(const ModelKey& key, double value, double margin);
  void unstage(const ModelKey& key);
  void keep_within_host_memory();
  void mark_unreadable_files();
  bool is_staged(const ModelKey& key) const { return planning.staged.contains(key); }

  // learning.cc
  void learn_load(const Worker& worker);
  void learn_run(const Chunk& chunk);
  void expect_run(Worker& worker, OpenJob& job, int images);
  void expect_load(Worker& worker);  // of the simple policies

  std::string digest() const;
};

double seconds_between(Instant from, Instant to);
double to_seconds(Instant instant);
bool engine_runs_on(Engine engine, GpuKind kind);

}  // namespace pixelfleet::scheduler
