// RivalDriver: lets a rival run the world: shows it predictions, carries its orders out, until every job has ended.
//
// A job whose order needs a load is bound to its gpu meanwhile. A load makes room by the least recently used
// residents; host memory drops the least recently used too. A job that failed waits again, in its old place.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "simulator/decision_times.h"
#include "simulator/rival.h"
#include "simulator/world.h"

namespace pixelfleet::simulator {

class RivalDriver final : private FleetView {
 public:
  // Both outlive it.
  RivalDriver(World& world, Rival& rival);

  Result<RunRecord> drive();

 private:
  double now_s() const override { return world_.now_s(); }
  int gpu_count() const override { return world_.machine().gpu_count(); }
  bool is_up(int gpu) const override { return world_.is_up(gpu); }
  bool is_idle(int gpu) const override { return world_.is_idle(gpu); }
  const std::vector<int>& residents(int gpu) const override { return world_.residents(gpu); }
  std::optional<int> model_loading(int gpu) const override { return world_.model_loading(gpu); }
  std::optional<int> job_running(int gpu) const override { return world_.job_running(gpu); }
  double predicted_free_s(int gpu) const override;
  double idle_since_s(int gpu) const override { return world_.idle_since_s(gpu); }
  double memory_bytes(int gpu) const override { return world_.machine().memory_bytes(gpu); }
  const std::vector<int>& waiting() const override { return waiting_; }
  const TraceJob& job(int job) const override { return world_.trace().jobs[static_cast<std::size_t>(job)]; }
  double weight_bytes(int model) const override;
  double bytes_needed(int model) const override;
  bool fits(int model, int gpu) const override { return world_.machine().fits(model, gpu); }
  double run_seconds(int job, int gpu) const override;
  double load_seconds(int model, int gpu) const override { return world_.predicted_load_s(model, gpu); }

  void on(const JobArrived& event) { wait(event.job); }
  void on(const LoadEnded& event);
  void on(const RunEnded& event);
  void on(const GpuFailed& event);
  void on(const GpuReturned&) {}
  void on(const ModelRead&) {}
  void on(const TimerRang&) {}

  enum class Answer { orders, none };
  Answer ask();
  void wait(int job);
  void carry_out(const RunJob& order);
  void carry_out(const LoadModel& order);
  void load(int gpu, int model);
  bool can_decide() const;
  void keep_wish();

  World& world_;
  Rival& rival_;
  std::vector<int> waiting_;
  std::vector<std::optional<int>> bound_;  // per gpu: the job that its load is for
  std::optional<double> wakes_at_s_;
  DecisionTimes decisions_;
};

}  // namespace pixelfleet::simulator
