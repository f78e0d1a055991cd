// Amp (amortised model placement): which job starts where, and which load pays. The base rule, on one board.
//
// A warm start is worth weight / run time; a load is worth what it lets run, over the load, the price of what it
// pushes out and the runs; it must beat the best warm start clearly. A gpu leaves waiting work only after its load
// was paid for. Jobs past their guard go first. Where nothing qualifies a gpu idles on purpose: its warm copy
// elsewhere is worth the wait. docs/scheduling.md states the rules, their bounds and what each part gains.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "scheduler/board.h"

namespace pixelfleet::scheduler {

// What a job counts beside a normal one that waits as long.
double class_weight(Priority priority);

// Seconds until all that runs and waits were done, shared by the usable gpus.
double backlog_of(const Board& board);

class Amp {
 public:
  // `board` outlives it and may only change by apply() between calls of refresh().
  explicit Amp(Board& board) : board_(board) { refresh(); }
  Amp(const Amp&) = delete;  // it points into itself
  Amp& operator=(const Amp&) = delete;
  void refresh();  // after time has passed

  // The best of the idle gpus; none: they wait on purpose. Others, if asked for: what else came into question.
  Choice next(std::vector<Choice>* others = nullptr);
  // The best load beside a run.
  Choice next_behind() const;

  double weight(const BoardJob& job) const;
  double guard(const BoardJob& job) const;  // when it counts as overdue
  double backlog() const { return backlog_; }
  double aging() const { return aging_; }
  // The earliest guard among waiting jobs, kNever when nothing waits.
  double next_guard() const;

  // The parts of a decision, for explanations too.
  GpuMask holders(int model) const { return holders_[static_cast<std::size_t>(model)]; }  // resident or loading
  double ready_at(int model, int gpu) const;                            // when a holder may next start a job of it
  double warm_value(const BoardJob& job, int gpu, GpuMask idle) const;  // of starting it on a gpu that holds its model
  // What loading the model on an idle gpu is worth; none: it may not, or cannot pay, or no job is worth more than
  // `least`.
  Choice load_choice(int model, int gpu, GpuMask idle, double least) const;

 private:
  void mark_overdue();
  void choose_candidates();
  Choice overdue_start(GpuMask idle);
  void warm_starts(GpuMask idle, std::vector<Choice>& found) const;
  void cold_loads(GpuMask idle, double least, std::vector<Choice>& found) const;
  std::vector<int> running_gpus() const;
  Choice load_behind_choice(int model, int gpu, GpuMask idle, double warm) const;
  Choice copy_behind_choice(int model, int gpu, GpuMask idle, const BoardJob& first, double load) const;
  double composite(int model, int gpu, double cost) const;
  double flow(int model, GpuMask copies, int extra, double extra_ready, double most) const;
  double flow_without_more(int model) const;
  bool may_switch(int gpu) const;
  GpuMask kept_for_overdue() const;
  int waiting_for_residents(int gpu, int except) const;
  double best_warm_of(int gpu) const;
  bool can_load(int gpu, int model) const;
  const BoardJob* first_for(int model, int gpu) const;

  // The weights of a model's window, and per gpu type the most that any of its jobs is worth per second (LoRA changes
  // not counted, so never less than it is). Made when asked for, until time passes or the window changes.
  struct Worth {
    double flow = -1.0;  // of its jobs on the copies that there are; negative: not asked for yet
    std::vector<double> weights;
    std::array<double, kMaxGpuTypes> most{};
  };
  Worth& worth(int model) const;

  Board& board_;
  double backlog_ = 0.0;
  double aging_ = 45.0;
  int usable_ = 1;
  int waiting_ = 0;  // jobs
  std::size_t gpu_types_ = 0;
  std::vector<int> candidates_;           // models that a load may be for, ascending
  int homeless_ = 0;                      // of these, jobs whose model is on no gpu
  std::vector<GpuMask> holders_;          // by model
  mutable std::deque<Worth> worth_;       // made
  mutable std::vector<Worth*> worth_of_;  // by model; null: not made
};

}  // namespace pixelfleet::scheduler
