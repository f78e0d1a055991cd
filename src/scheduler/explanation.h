// Explanation: why each job waits, told from the same board and by the same rules that decide.
//
// A reason says what holds the job back now and what comes next for it; domain/outlook.h makes the sentence of it.
// Works on a copy of the scheduler's state that nobody else uses.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "domain/outlook.h"
#include "scheduler/amp.h"
#include "scheduler/state.h"

namespace pixelfleet::scheduler {

class Explainer {
 public:
  explicit Explainer(Scheduler::State& state);

  std::optional<WaitingReason> reason_of(const OpenJob& job) const;  // nothing: it does not wait

 private:
  using Kind = WaitingReason::Kind;

  static Board& synced(Scheduler::State& state);
  WaitingReason of_held(const OpenJob& job) const;
  const Slot* closed_gpu_for(const OpenJob& job, const ModelFacts& model) const;
  WaitingReason by_simple_policy(const OpenJob& job) const;
  WaitingReason by_amp(const OpenJob& job) const;
  WaitingReason for_copies(const OpenJob& job, const BoardJob& entry, GpuMask copies) const;
  WaitingReason for_idle_gpu(const OpenJob& job, const BoardJob& entry, GpuMask idle) const;
  WaitingReason for_first_free_gpu(const OpenJob& job, const BoardJob& entry) const;
  std::optional<WaitingReason> backing_off(const OpenJob& job, GpuMask gpus) const;
  std::optional<JobId> moved_before(const OpenJob& job) const;

  // Asks while the gpu counts as free: its run has ended, its load is a resident.
  template <class Ask>
  auto when_free(int gpu, Ask ask) const;

  // Jobs that the gpu takes first: those of models that it holds or loads, of a value above `least` or overdue.
  void add_warm_before(const BoardJob& entry, int gpu, double least, std::vector<JobId>& ahead) const;
  void add_loads_before(const BoardJob& entry, int gpu, double index, std::vector<JobId>& ahead) const;
  bool overdue_before(const BoardJob& one, const BoardJob& entry) const;
  double free_at(int gpu) const;
  int first_free(GpuMask gpus) const;

  WaitingReason::GpuName name_of(int gpu) const;
  WaitingReason reason(Kind kind, const OpenJob& job) const;
  WaitingReason reason(Kind kind, const OpenJob& job, int gpu, double ready_at) const;
  WaitingReason behind(Kind kind, const OpenJob& job, const std::vector<JobId>& ahead) const;
  WaitingReason behind_earlier(Kind kind, const OpenJob& job, const ModelKey* model) const;
  void add_load(WaitingReason& reason, int model, int gpu, double until_free) const;
  void add_models(WaitingReason& reason, const std::vector<int>& models) const;

  Scheduler::State& state_;
  Board& board_;
  Amp amp_;
  std::vector<JobId> order_;     // the queue
  std::map<JobId, int> places_;  // in it
};

}  // namespace pixelfleet::scheduler
