// What the fleet looks like to a rival; contracts in rival_fleet.h.
#include "simulator/rival_fleet.h"

#include <algorithm>
#include <limits>

namespace pixelfleet::simulator {
namespace {

// The idle gpu, able to hold the model, with the greatest score; the first of equals.
template <class Score>
std::optional<int> best_idle(const FleetView& fleet, int model, Score score) {
  std::optional<int> best;
  double best_score = 0.0;
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (!fleet.is_idle(gpu) || !fleet.fits(model, gpu)) continue;
    const double value = score(gpu);
    if (best && value <= best_score) continue;
    best = gpu;
    best_score = value;
  }
  return best;
}

}  // namespace

std::vector<int> idle_gpus(const FleetView& fleet) {
  std::vector<int> idle;
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.is_idle(gpu)) idle.push_back(gpu);
  }
  return idle;
}

bool any_gpu_idle(const FleetView& fleet) {
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.is_idle(gpu)) return true;
  }
  return false;
}

std::optional<int> idle_holder(const FleetView& fleet, int model) {
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.is_idle(gpu) && fleet.holds(gpu, model)) return gpu;
  }
  return std::nullopt;
}

std::optional<int> roomiest_idle(const FleetView& fleet, int model) {
  return best_idle(fleet, model, [&](int gpu) { return free_bytes(fleet, gpu); });
}

std::optional<int> longest_idle(const FleetView& fleet, int model) {
  return best_idle(fleet, model, [&](int gpu) { return -fleet.idle_since_s(gpu); });
}

double free_bytes(const FleetView& fleet, int gpu) {
  double free = fleet.memory_bytes(gpu);
  for (const int resident : fleet.residents(gpu)) free -= fleet.weight_bytes(resident);
  return free;
}

bool held_anywhere(const FleetView& fleet, int model) {
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.is_up(gpu) && fleet.holds(gpu, model)) return true;
  }
  return false;
}

bool loading_anywhere(const FleetView& fleet, int model) {
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.model_loading(gpu) == model) return true;
  }
  return false;
}

double fastest_run_seconds(const FleetView& fleet, int job) {
  double fastest = std::numeric_limits<double>::infinity();
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.fits(fleet.job(job).model, gpu)) fastest = std::min(fastest, fleet.run_seconds(job, gpu));
  }
  return fastest;
}

int last_used_model(const FleetView& fleet, int gpu) {
  const std::vector<int>& residents = fleet.residents(gpu);
  return residents.empty() ? -1 : residents.back();
}

}  // namespace pixelfleet::simulator
