// Auditor: an independent ledger of what the scheduler was told and what it ordered, and the promises it must keep.
//
// It shares no code with the scheduler: it knows the rows that a store would hold and the processes that a machine
// would run, and reports the first broken promise. One thread, virtual time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

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
};

struct OpenChunk {
  WorkerId worker;
  JobId job;
  std::set<int> left;  // not handed over
  enum class Worker { alive, lost } alive = Worker::alive;
};

class Auditor {
 public:
  // Per step: the event before the scheduler sees it, each action in order, then the scheduler afterwards.
  void begin(const scheduler::Event& event, Instant now);
  void apply(const scheduler::Action& action);
  void end(const scheduler::Scheduler& scheduler);

  // The server died: processes and pictures in flight are gone, running rows read as queued.
  void restart();
  // The job as a row: what a restarted server submits to its scheduler.
  static scheduler::JobFacts facts_of(const Row& row);

  const std::optional<std::string>& violation() const { return violation_; }
  void report(std::string what);  // the first one counts

  const std::map<JobId, Row>& open() const { return open_; }
  const std::map<JobId, JobState>& ended() const { return ended_; }
  const std::map<WorkerId, Process>& processes() const { return processes_; }
  const std::map<ChunkId, OpenChunk>& chunks() const { return chunks_; }
  const std::map<GpuUuid, Gpu>& gpus() const { return gpus_; }
  const std::map<ModelKey, scheduler::ModelFacts>& models() const { return models_; }
  const scheduler::Policy& policy() const { return policy_; }

 private:
  void on(const scheduler::PolicyChanged& e) { policy_ = e.policy; }
  void on(const scheduler::GpuArrived& e);
  void on(const scheduler::GpuLost& e);
  void on(const scheduler::ModelKnown& e) { models_[e.model.key] = e.model; }
  void on(const scheduler::ModelForgotten& e) { models_.erase(e.model); }
  void on(const scheduler::JobSubmitted& e);
  void on(const scheduler::JobCancelRequested& e);
  void on(const scheduler::JobHeld& e);
  void on(const scheduler::JobReleased& e);
  void on(const scheduler::WorkerReady& e);
  void on(const scheduler::WorkerLost& e);
  void on(const scheduler::ModelUnloadable& e);
  void on(const scheduler::ImageMade& e);
  void on(const scheduler::ChunkEnded& e);
  void on(const scheduler::ImagePublished& e);
  void on(const scheduler::ImageRejected& e);
  template <class Event>
  void on(const Event&) {}  // the others change nothing that is audited

  void check(const scheduler::StartWorker& a);
  void check(const scheduler::StopWorker& a);
  void check(const scheduler::StartChunk& a);
  void check(const scheduler::CancelChunk& a);
  void check(const scheduler::AbandonChunk& a);
  void check(const scheduler::SetJobState& a);
  void check(const scheduler::WakeAt& a);
  void check(const scheduler::SetJobOrder&) {}
  void check(const scheduler::StageModel&) {}
  void check(const scheduler::UnstageModel&) {}
  void check(const scheduler::RememberCost&) {}
  void check_failure(const Row& row, const scheduler::SetJobState& a);

  void check_indices(const Row& row, const scheduler::StartChunk& a);
  void check_order(const Row& started, const Row& other);
  void check_started();
  void check_cancelled();
  void check_gpus(const std::vector<scheduler::Scheduler::GpuView>& views);
  void check_rows();
  void check_no_idle_gpu_with_work();

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
  std::map<GpuUuid, Gpu> gpus_;
  std::map<ModelKey, scheduler::ModelFacts> models_;
  scheduler::Policy policy_;
  std::set<GpuUuid> selected_;
  std::map<GpuUuid, JobId> loading_for_;  // from the last views
  std::map<std::pair<GpuUuid, ModelKey>, Instant> died_loading_;
  std::int64_t last_worker_ = 0;
  std::int64_t last_chunk_ = 0;

  // Of the step under way.
  Instant now_;
  const scheduler::Event* event_ = nullptr;
  std::set<GpuUuid> started_on_;
  std::set<JobId> started_;           // jobs of which a chunk was started
  std::set<JobId> told_to_stop_;      // jobs of which a chunk was cancelled
  std::optional<ModelKey> died_for_;  // a load of this model died: one job that waits for it may be charged
  std::map<std::pair<ModelKey, std::optional<GpuUuid>>, int> takers_;  // selected gpus that could take such a job
  std::optional<GpuUuid> lost_gpu_;                                    // gone, or another device under the same name
};

}  // namespace pixelfleet::sim
