// Auditor: an independent ledger of what the scheduler was told and what it ordered, and the promises it must keep.
//
// It shares no code with the scheduler: it knows the rows that a store would hold and the processes that a machine
// would run, and reports the first broken promise. One thread, virtual time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "host_ledger.h"
#include "scheduler/scheduler.h"

namespace pixelfleet::sim {

// One job as the store and the control loop know it.
struct Row {
  scheduler::JobFacts facts;
  JobState state = JobState::queued;
  std::optional<HeldReason> held;
  int deaths = 0;
  int told_deaths = 0;
  std::set<int> missing;     // not published
  std::set<int> in_flight;   // handed over, not published yet
  std::set<ChunkId> chunks;  // that run
  std::optional<HeldReason> held_by_others;
  enum class Cancel { none, requested } cancel = Cancel::none;
  enum class Memory { fine, ran_out } memory = Memory::fine;
  // After a restart: whether the new scheduler has heard of it.
  enum class Known { no, yes } known = Known::yes;

  auto place() const { return std::tuple(facts.priority, facts.rank, facts.id); }
  bool waits() const { return state == JobState::queued || state == JobState::held; }
  bool all_handed_over() const { return missing.size() == in_flight.size(); }
  // A job that never failed: the scheduler has no reason to treat it unlike others of its model and pin.
  bool fresh() const { return deaths == 0 && memory == Memory::fine; }
};

struct Process {
  GpuUuid gpu;
  ModelKey model;
  std::int64_t bytes = 0;            // while it lives
  std::int64_t workspace_bytes = 0;  // and while it runs: the largest one of a gpu is kept free
  enum class Phase { starting, ready, running } phase = Phase::starting;
  std::optional<ChunkId> chunk = {};
  enum class Load { alone, beside_run } load = Load::alone;
  // For whom it loads: for one job, which the views name, or (amp) for whoever wants the model.
  enum class For { one_job, model } loads_for = For::one_job;
  Instant since = {};  // of the load or chunk under way
  enum class Facts { current, outdated } facts = Facts::current;
};

struct OpenChunk {
  WorkerId worker;
  JobId job;
  std::set<int> left;  // not handed over
  enum class Worker { alive, lost } alive = Worker::alive;
  GpuUuid gpu = {};
  Instant since = {};
};

// What a gpu ran since its last load that kept it from running, and what that load took.
struct Tenure {
  Duration ran{0};
  Duration paid{0};
};

class Auditor {
 public:
  // Per step: the event before the scheduler sees it, each action in order, then the scheduler afterwards.
  void begin(const scheduler::Event& event, Instant now);
  void apply(const scheduler::Action& action);
  void end(const scheduler::Scheduler& scheduler);

  // No chunk is of this job any more: when it has ended, it may be opened again.
  bool is_over(JobId job) const;
  // The server died: processes and pictures in flight are gone, running rows read as queued.
  void restart();
  // The job as a row: what a restarted server submits to its scheduler.
  static scheduler::JobFacts facts_of(const Row& row);

  const std::optional<std::string>& violation() const { return violation_; }
  void report(std::string what);  // the first one counts
  std::vector<std::string> situation()
      const;  // policy, gpus and waiting jobs as lines, for whoever looks for the cause

  const std::map<JobId, Row>& open() const { return open_; }
  const std::map<JobId, JobState>& ended() const { return ended_; }
  const std::map<WorkerId, Process>& processes() const { return processes_; }
  const std::map<ChunkId, OpenChunk>& chunks() const { return chunks_; }
  const std::map<GpuUuid, Gpu>& gpus() const { return machine_; }
  // The events that give each gpu the terms it has now.
  std::vector<scheduler::Event> terms_as_events() const;
  const std::map<ModelKey, scheduler::ModelFacts>& models() const { return models_; }
  const scheduler::Policy& policy() const { return policy_; }
  const HostLedger& host() const { return host_; }
  const std::set<std::optional<std::string>>& pauses() const { return pauses_; }

 private:
  void on(const scheduler::PolicyChanged& e) {
    policy_ = e.policy;
    if (!by_amp()) return;
    for (auto& [id, process] : processes_) process.loads_for = Process::For::model;
  }
  void on(const scheduler::GpuArrived& e);
  void on(const scheduler::GpuLost& e);
  void on(const scheduler::GpuOpened& e) { terms_[e.gpu].closed.reset(); }
  void on(const scheduler::GpuClosed& e);
  void on(const scheduler::GpuMemoryPlanned& e);
  void plan_memory(const GpuUuid& gpu);
  bool is_open(const GpuUuid& gpu) const { return !terms_.contains(gpu) || !terms_.at(gpu).closed; }
  void on(const scheduler::ModelKnown& e);
  void on(const scheduler::ModelForgotten& e);
  void outdate(const ModelKey& model);  // what runs it has other facts than are known now
  void on(const scheduler::JobSubmitted& e);
  void on(const scheduler::JobCancelRequested& e);
  void on(const scheduler::JobHeld& e);
  void on(const scheduler::JobReleased& e);
  void on(const scheduler::JobMoved& e);
  void on(const scheduler::JobReprioritised& e);
  void on(const scheduler::JobPinned& e);
  void on(const scheduler::QueuePaused& e) { pauses_.insert(e.owner); }
  void on(const scheduler::QueueResumed& e) { pauses_.erase(e.owner); }
  void on(const scheduler::WorkerReady& e);
  void on(const scheduler::WorkerLost& e);
  void on(const scheduler::ModelUnloadable& e);
  void on(const scheduler::ImageMade& e);
  void on(const scheduler::ChunkEnded& e);
  void on(const scheduler::ImagePublished& e);
  void on(const scheduler::ImageRejected& e);
  void on(const scheduler::ModelStaged& e) { host_.on(e, models_); }
  void on(const scheduler::ModelUnstaged& e) { host_.on(e); }
  void on(const scheduler::TimerFired&) { wake_at_.reset(); }
  template <class Event>
  void on(const Event&) {}  // the others change nothing that is audited

  void check(const scheduler::StartWorker& a);
  void check(const scheduler::StopWorker& a);
  void check(const scheduler::StartChunk& a);
  void check(const scheduler::CancelChunk& a);
  void check(const scheduler::AbandonChunk& a);
  void check(const scheduler::SetJobState& a);
  void check(const scheduler::WakeAt& a);
  void check(const scheduler::SetJobOrder& a);
  void check(const scheduler::StageModel& a);
  void check(const scheduler::UnstageModel& a);
  void check(const scheduler::RememberCost& a);
  void check_failure(const Row& row, const scheduler::SetJobState& a);

  void check_indices(const Row& row, const scheduler::StartChunk& a);
  void check_order(const Row& started, const Row& other);
  void check_started();
  void check_cancelled();
  void check_gpus(const std::vector<scheduler::Scheduler::GpuView>& views);
  void check_rows();
  void check_no_idle_gpu_with_work();

  // auditor_orders.cc
  std::vector<JobId> jobs_in_order(Priority priority) const;
  bool was_moved_before(const Row& other, const Row& row) const;
  bool may_have_to_wait_for_moved(const Row& row, const GpuUuid& gpu) const;
  void check_not_overtaking(const Row& row, const GpuUuid& gpu);
  void check_places();

  // auditor_amp.cc
  void check_cut(const Row& row, const scheduler::StartChunk& a);
  void check_switch(const scheduler::StartWorker& a);
  void check_evicted(const scheduler::StartWorker& a);
  void check_warm_gpus();
  void check_not_stalled();
  void note_stop(const Process& process);
  bool has_waiting_work(const ModelKey& model, const GpuUuid& gpu) const;
  bool could_start(const ModelKey& model, const GpuUuid& gpu);
  bool has_room_beside_pinned(const GpuUuid& uuid, const scheduler::ModelFacts& model) const;
  // Whether a worker of a gpu may run while another one there loads.
  bool may_run_beside_load() const { return by_amp() && policy_.load_beside_run == scheduler::LoadBesideRun::yes; }

  std::optional<HeldReason> expected_hold(const Row& row);
  bool can_take(const Gpu& gpu, const Row& row) const;
  const Process* running_on(const GpuUuid& gpu) const;
  const Process* loading_on(const GpuUuid& gpu) const;
  bool is_busy(const GpuUuid& gpu) const { return running_on(gpu) != nullptr || loading_on(gpu) != nullptr; }
  std::int64_t bytes_on(const GpuUuid& gpu) const;
  // What no chunk makes, nor is on its way to the disk.
  std::set<int> remaining(const Row& row) const;
  bool in_order() const { return !policy_.multi_gpu || policy_.algorithm == scheduler::Algorithm::fifo; }
  bool by_amp() const { return policy_.multi_gpu && policy_.algorithm == scheduler::Algorithm::amp; }
  bool may_start(const Row& row);
  bool recently_died_loading(const GpuUuid& gpu, const ModelKey& model) const;
  OpenChunk* close(ChunkId chunk);

  std::optional<std::string> violation_;
  std::map<JobId, Row> open_;
  std::map<JobId, JobState> ended_;
  std::map<WorkerId, Process> processes_;
  std::map<ChunkId, OpenChunk> chunks_;
  std::map<GpuUuid, Gpu> machine_;  // as they are
  std::map<GpuUuid, Gpu> gpus_;     // with the memory that may be used
  struct Terms {
    std::optional<scheduler::GpuClosed::Workers> closed;
    std::optional<std::int64_t> plan_bytes;
  };
  std::map<GpuUuid, Terms> terms_;
  std::map<ModelKey, scheduler::ModelFacts> models_;
  scheduler::Policy policy_;
  std::set<GpuUuid> selected_;
  std::map<GpuUuid, JobId> loading_for_;  // from the last views
  std::map<std::pair<GpuUuid, ModelKey>, Instant> died_loading_;
  std::set<std::optional<std::string>> pauses_;
  HostLedger host_;
  std::map<GpuUuid, Tenure> tenures_;
  std::optional<Instant> wake_at_;
  std::int64_t last_worker_ = 0;
  std::int64_t last_chunk_ = 0;

  // Of the step under way.
  Instant now_;
  const scheduler::Event* event_ = nullptr;
  struct Reordered {
    JobId job;
    Priority priority = Priority::normal;
    std::optional<GpuUuid> pin;
  };
  std::optional<Reordered> reordered_;                // one job, as asked for
  std::optional<std::vector<JobId>> expected_order_;  // after a move
  std::map<GpuUuid, std::set<ModelKey>> evicted_;
  std::set<GpuUuid> started_on_;
  std::set<JobId> started_;           // jobs of which a chunk was started
  std::set<JobId> told_to_stop_;      // jobs of which a chunk was cancelled
  std::optional<ModelKey> died_for_;  // a load of this model died: one job that waits for it may be charged
  std::map<std::pair<ModelKey, std::optional<GpuUuid>>, int> takers_;  // selected gpus that could take such a job
  std::optional<GpuUuid> lost_gpu_;                                    // gone, or another device under the same name
};

}  // namespace pixelfleet::sim
