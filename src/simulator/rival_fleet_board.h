// FleetBoard: a fleet laid out by hand, to ask a rival what it would do there.
//
// The test sets the time, gpus, residents and waiting jobs; obey() carries an order out on the board, without the time
// that it takes. A job runs 10 s and a model loads 5 s unless told otherwise; every weight is 7 GB and needs 10 GB.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include "simulator/rival.h"

namespace pixelfleet::simulator {

class FleetBoard : public FleetView {
 public:
  explicit FleetBoard(int gpus, double memory_gb = 24.0) : gpus_(static_cast<std::size_t>(gpus)) {
    for (Gpu& gpu : gpus_) gpu.memory = memory_gb * 1e9;
  }

  // --- what the test says --------------------------------------------------------------------------------------

  void set_time(double now_s) { now_s_ = now_s; }
  void set_memory(int gpu, double gigabytes) { at(gpu).memory = gigabytes * 1e9; }
  void set_weight(int model, double gigabytes) { weights_gb_[model] = gigabytes; }
  void set_run(int job, int gpu, double seconds) { run_s_[{job, gpu}] = seconds; }
  void set_run(int job, double seconds) {
    for (int gpu = 0; gpu < gpu_count(); ++gpu) set_run(job, gpu, seconds);
  }
  void set_load(int model, int gpu, double seconds) { load_s_[{model, gpu}] = seconds; }
  void set_load(int model, double seconds) {
    for (int gpu = 0; gpu < gpu_count(); ++gpu) set_load(model, gpu, seconds);
  }
  void hold(int gpu, std::vector<int> models) { at(gpu).residents = std::move(models); }
  void set_idle_since(int gpu, double since_s) { at(gpu).idle_since_s = since_s; }
  void set_down(int gpu) { at(gpu).is_up = false; }
  void occupy(int gpu, double until_s) {  // with a run of a job that the test does not name
    at(gpu).job = -1;
    at(gpu).is_busy = true;
    at(gpu).free_s = until_s;
  }
  void load(int gpu, int model, double until_s) {
    at(gpu).loading = model;
    at(gpu).is_busy = true;
    at(gpu).free_s = until_s;
  }
  // Whatever it loads is resident, whatever it runs has ended.
  void finish(int gpu) {
    Gpu& done = at(gpu);
    if (done.loading) use(gpu, *done.loading);
    done.loading.reset();
    done.job = -1;
    done.is_busy = false;
    done.idle_since_s = now_s_;
  }

  // Returns its index: 0, 1, 2 ...
  int arrive(int model, int user = 0, Priority priority = Priority::normal) {
    TraceJob job;
    job.arrival_s = now_s_;
    job.model = model;
    job.user = user;
    job.priority = priority;
    jobs_.push_back(job);
    waiting_.push_back(static_cast<int>(jobs_.size()) - 1);
    return waiting_.back();
  }
  void come_back(int job) { waiting_.insert(std::lower_bound(waiting_.begin(), waiting_.end(), job), job); }

  // A run begins with its model resident: what does not fit beside it is gone.
  void obey(const Order& order) {
    if (const auto* run = std::get_if<RunJob>(&order)) {
      std::erase(waiting_, run->job);
      use(run->gpu, job(run->job).model);
      at(run->gpu).job = run->job;
      at(run->gpu).is_busy = true;
      at(run->gpu).free_s = now_s_ + run_seconds(run->job, run->gpu);
    } else {
      const auto& wanted = std::get<LoadModel>(order);
      load(wanted.gpu, wanted.model, now_s_ + load_seconds(wanted.model, wanted.gpu));
    }
  }

  // --- what the rival sees -------------------------------------------------------------------------------------

  double now_s() const override { return now_s_; }
  int gpu_count() const override { return static_cast<int>(gpus_.size()); }
  bool is_up(int gpu) const override { return at(gpu).is_up; }
  bool is_idle(int gpu) const override { return at(gpu).is_up && !at(gpu).is_busy; }
  const std::vector<int>& residents(int gpu) const override { return at(gpu).residents; }
  std::optional<int> model_loading(int gpu) const override { return at(gpu).loading; }
  std::optional<int> job_running(int gpu) const override {
    return at(gpu).job < 0 ? std::nullopt : std::optional<int>(at(gpu).job);
  }
  double predicted_free_s(int gpu) const override { return is_idle(gpu) ? now_s_ : at(gpu).free_s; }
  double idle_since_s(int gpu) const override { return at(gpu).idle_since_s; }
  double memory_bytes(int gpu) const override { return at(gpu).memory; }

  const std::vector<int>& waiting() const override { return waiting_; }
  const TraceJob& job(int job) const override { return jobs_[static_cast<std::size_t>(job)]; }
  double weight_bytes(int model) const override { return value_or(weights_gb_, model, 7.0) * 1e9; }
  double bytes_needed(int model) const override { return weight_bytes(model) + 3e9; }
  bool fits(int model, int gpu) const override { return bytes_needed(model) <= memory_bytes(gpu); }
  double run_seconds(int job, int gpu) const override { return value_or(run_s_, {job, gpu}, 10.0); }
  double load_seconds(int model, int gpu) const override { return value_or(load_s_, {model, gpu}, 5.0); }

 private:
  struct Gpu {
    double memory = 0.0;
    bool is_up = true;
    bool is_busy = false;
    int job = -1;
    std::optional<int> loading;
    std::vector<int> residents;
    double free_s = 0.0;
    double idle_since_s = 0.0;
  };

  template <class Key>
  static double value_or(const std::map<Key, double>& values, Key key, double otherwise) {
    const auto found = values.find(key);
    return found == values.end() ? otherwise : found->second;
  }

  const Gpu& at(int gpu) const { return gpus_[static_cast<std::size_t>(gpu)]; }
  Gpu& at(int gpu) { return gpus_[static_cast<std::size_t>(gpu)]; }

  void use(int gpu, int model) {
    std::vector<int>& residents = at(gpu).residents;
    std::erase(residents, model);
    residents.push_back(model);
    const auto needed = [&] {
      double bytes = 3e9;
      for (const int resident : residents) bytes += weight_bytes(resident);
      return bytes;
    };
    while (residents.size() > 1 && needed() > memory_bytes(gpu)) residents.erase(residents.begin());
  }

  double now_s_ = 0.0;
  std::vector<Gpu> gpus_;
  std::vector<TraceJob> jobs_;
  std::vector<int> waiting_;
  std::map<int, double> weights_gb_;
  std::map<std::pair<int, int>, double> run_s_;
  std::map<std::pair<int, int>, double> load_s_;
};

inline bool operator==(const RunJob& a, const RunJob& b) { return a.job == b.job && a.gpu == b.gpu; }
inline bool operator==(const LoadModel& a, const LoadModel& b) { return a.model == b.model && a.gpu == b.gpu; }

// How an order reads in a test's failure.
inline void PrintTo(const RunJob& run, std::ostream* out) { *out << "job " << run.job << " on gpu " << run.gpu; }
inline void PrintTo(const LoadModel& load, std::ostream* out) {
  *out << "model " << load.model << " on gpu " << load.gpu;
}

// What the rival orders until it has nothing left to say; the board obeys.
inline std::vector<Order> orders_of(Rival& rival, FleetBoard& board) {
  std::vector<Order> orders;
  while (const auto order = rival.next(board)) {
    orders.push_back(*order);
    board.obey(*order);
  }
  return orders;
}

}  // namespace pixelfleet::simulator
