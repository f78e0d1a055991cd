// Rival: another program's way to schedule, driven by the same world, noise and memory as ours.
//
// A rival sees predictions, never the noise. After every change of the world it is asked for orders until it has none.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "simulator/trace.h"

namespace pixelfleet::simulator {

// The world as a rival may see it. Gpus, models and jobs are indices; seconds since the trace began.
class FleetView {
 public:
  virtual ~FleetView() = default;
  virtual double now_s() const = 0;

  virtual int gpu_count() const = 0;
  virtual bool is_up(int gpu) const = 0;
  virtual bool is_idle(int gpu) const = 0;                       // up, neither loads nor runs
  virtual const std::vector<int>& residents(int gpu) const = 0;  // models, least recently used first
  virtual std::optional<int> model_loading(int gpu) const = 0;
  virtual std::optional<int> job_running(int gpu) const = 0;
  virtual double predicted_free_s(int gpu) const = 0;  // end of what it does, as its steps tell; now when idle
  virtual double idle_since_s(int gpu) const = 0;      // when its last operation ended; 0 at first
  virtual double memory_bytes(int gpu) const = 0;

  virtual const std::vector<int>& waiting() const = 0;  // jobs that have arrived and not started, by arrival
  virtual const TraceJob& job(int job) const = 0;
  virtual double weight_bytes(int model) const = 0;           // what it holds of a gpu while resident
  virtual double bytes_needed(int model) const = 0;           // weights and workspace
  virtual bool fits(int model, int gpu) const = 0;            // on the empty gpu
  virtual double run_seconds(int job, int gpu) const = 0;     // predicted
  virtual double load_seconds(int model, int gpu) const = 0;  // predicted, now: from host memory or disk

  bool holds(int gpu, int model) const {
    for (const int resident : residents(gpu)) {
      if (resident == model) return true;
    }
    return false;
  }
};

// On an idle gpu. The model is loaded first where it is not resident; least recently used ones make room.
struct RunJob {
  int job = 0;
  int gpu = 0;
};
// Loads without a job in mind; the gpu is idle again afterwards.
struct LoadModel {
  int model = 0;
  int gpu = 0;
};
using Order = std::variant<RunJob, LoadModel>;

class Rival {
 public:
  virtual ~Rival() = default;
  virtual std::optional<Order> next(const FleetView& fleet) = 0;
  // When it wants to be asked again though nothing changed.
  virtual std::optional<double> wake_at_s(const FleetView&) { return std::nullopt; }
};

// fifo, v18, sjf, greedy-affinity, swarmui, mold-legacy, mold-v2, invokeai, delay, mqfq-sticky, map; null when unknown.
std::unique_ptr<Rival> make_rival(std::string_view name);

}  // namespace pixelfleet::simulator
