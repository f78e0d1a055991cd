// ProductionDriver: lets the production scheduler run the world, through the events and actions of the control loop.
//
// The scheduler is told what production would tell it: priors, not the noise; a worker's progress once, early in each
// chunk, or on a described machine as often as that says, with each picture as it is made; models as staged when a read
// has brought them into host memory. A chunk that runs out of memory takes its worker along, to nobody's blame.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/scheduler.h"
#include "simulator/decision_times.h"
#include "simulator/world.h"

namespace pixelfleet::simulator {

// Sees the scheduler at work, as it would be seen in production.
class Onlooker {
 public:
  virtual ~Onlooker() = default;
  virtual void started(JobId job, Instant at) = 0;                        // the first of its chunks
  virtual void decided(scheduler::Scheduler& scheduler, Instant at) = 0;  // it has heard all that happened
};

class ProductionDriver {
 public:
  // The world outlives it, and so does the onlooker. Of the policy, gpus, memory and disk are those of the machine.
  ProductionDriver(World& world, scheduler::Policy policy, Onlooker* onlooker = nullptr);

  Result<RunRecord> drive();

 private:
  struct Worker {
    int gpu = 0;
    int model = 0;
    enum class State { loading, loaded } state = State::loading;
  };
  struct Chunk {
    WorkerId worker;
    int job = 0;
    std::vector<int> indices;
    int told_step = 0;  // of the picture under way; told once: the one to tell, of the first picture
    double began_s = 0.0;
    double picture_s = 0.0;
    double before_steps_s = 0.0;  // of each picture
    double told_s = -1e9;
    std::size_t made = 0;  // pictures
  };

  // What the world did.
  void on(const JobArrived& event);
  void on(const LoadEnded& event);
  void on(const RunEnded& event);
  void on(const ModelRead& event);
  void on(const GpuFailed& event);
  void on(const GpuReturned& event);
  void on(const TimerRang& event);

  // What the scheduler orders.
  void on(const scheduler::StartWorker& order);
  void on(const scheduler::StopWorker& order);
  void on(const scheduler::StartChunk& order);
  void on(const scheduler::CancelChunk& order);
  void on(const scheduler::AbandonChunk& order);
  void on(const scheduler::SetJobState& order);
  void on(const scheduler::SetJobOrder&) {}
  void on(const scheduler::StageModel& order);
  void on(const scheduler::UnstageModel& order);
  void on(const scheduler::RememberCost&) {}
  void on(const scheduler::WakeAt& order);

  void introduce();  // policy, gpus, models
  void tell(scheduler::Event event) { told_.push_back(std::move(event)); }
  void let_decide();  // steps the scheduler until it has heard everything
  void read_into_host(int model);
  void restart_orphaned_stagings();
  void wait_to_tell(ChunkId id);  // until the next account of its steps, or the end of a picture but the last
  void tell_progress(ChunkId id, Chunk& chunk);
  Gpu gpu_facts(int gpu) const;
  int model_of(const ModelKey& key) const { return models_.at(key); }
  const TraceJob& job(int index) const { return world_.trace().jobs[static_cast<std::size_t>(index)]; }
  Instant now() const;

  World& world_;
  scheduler::Policy policy_;
  Onlooker* const onlooker_;
  scheduler::Scheduler scheduler_;
  std::vector<ModelKey> keys_;
  std::map<ModelKey, int> models_;
  std::map<GpuUuid, int> gpus_;

  std::deque<scheduler::Event> told_;
  std::map<WorkerId, Worker> workers_;
  std::map<ChunkId, Chunk> chunks_;
  std::set<int> staged_;  // models that the scheduler counts as in host memory
  std::set<int> jobs_begun_;
  std::set<int> staging_ordered_;  // unanswered StageModel
  std::int64_t wish_ = 0;          // the number of the last WakeAt
  std::optional<Error> failure_;
  DecisionTimes decisions_;
};

}  // namespace pixelfleet::simulator
