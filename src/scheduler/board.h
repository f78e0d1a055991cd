// Board: the situation as the amp policy weighs it: dense indices, seconds, predictions only.
//
// The scheduler keeps one up to date and decides on it; a copy is played forward to compare candidates. Windows hold
// at most kWindow jobs of a model (the first in order and, of each owner, the first), so a decision costs the same
// whether ten or a hundred thousand jobs wait. A plain value without pointers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "domain/ids.h"
#include "domain/job_spec.h"
#include "scheduler/tuning.h"

namespace pixelfleet::scheduler {

inline constexpr int kMaxBoardGpus = 64;
inline constexpr std::size_t kMaxGpuTypes = 8;  // more types share the last one's times
inline constexpr std::size_t kWindow = 48;
inline constexpr double kNever = 1e300;

inline constexpr int kFewJobs = 2;                // so few waiting jobs are shared out, picture by picture
inline constexpr double kSlowerBesideRun = 1.15;  // a load while its gpu runs

using GpuMask = std::uint64_t;
constexpr GpuMask bit(int gpu) { return GpuMask{1} << gpu; }

struct BoardJob {
  JobId id;
  Priority priority = Priority::normal;
  int model = 0;
  int owner = 0;
  int place = 0;  // how many jobs the owner had submitted before
  int images = 1;
  int loras = 0;  // the LoRA set; 0: none
  double arrived = 0.0;
  double backlog_at_arrival = 0.0;
  GpuMask gpus = 0;                           // where it may run
  std::array<float, kMaxGpuTypes> seconds{};  // of all its images, warm, by gpu type
};

struct BoardModel {
  double weights_bytes = 0.0;  // with the worker's overhead
  double workspace_bytes = 0.0;
  double file_bytes = 0.0;
  std::array<float, kMaxGpuTypes> load_from_host{};
  std::array<float, kMaxGpuTypes> load_from_disk{};  // as the only reader
  double lora_seconds = 0.0;                         // to change the LoRA set of a worker
  bool in_host = false;
  bool unreadable = false;  // its file could not be read in just now
  bool pinned = false;
  bool overdue = false;  // one of its jobs is; set by the policy, Amp::refresh()
  double rate = 0.0;     // arrivals per second, decayed to rate_at
  double rate_at = 0.0;
  int queued = 0;                // all of them
  double queued_seconds = 0.0;   // their run times, each on its best gpu
  double oldest_arrival = 0.0;   // of the window
  GpuMask gpus_of_all = 0;       // that every job of the window may use, or fewer
  std::vector<BoardJob> window;  // in order
};

// A worker on a gpu: it holds what it was started with, whatever is known of its model since.
struct Resident {
  int model = 0;
  double weights_bytes = 0.0;
  double workspace_bytes = 0.0;
  int loras = 0;  // of its last run; a fresh worker has none
};

struct BoardGpu {
  int type = 0;
  double memory_bytes = 0.0;
  std::vector<Resident> residents;  // loaded
  int running = -1;                 // model
  int running_owner = -1;
  double run_end = 0.0;
  int loading = -1;  // model
  double load_end = 0.0;
  double loading_weights_bytes = 0.0;
  double loading_workspace_bytes = 0.0;
  bool load_excludes_runs = false;  // the engine cannot run while it loads
  bool load_blocks = false;         // the load began with nothing running beside it
  bool load_reads_disk = false;     // one of the disk_readers
  bool usable = true;               // may be given work
  double tenure = 0.0;              // seconds run since the last blocking load
  double paid = 0.0;                // that load's seconds
  std::vector<int> refused;         // models whose worker died here lately

  // Whether it may begin to run: also beside a load that began with nothing running, where the engine can.
  bool idle() const { return usable && running < 0 && !(loading >= 0 && load_excludes_runs); }
  const Resident* resident(int model) const {
    for (const Resident& candidate : residents) {
      if (candidate.model == model) return &candidate;
    }
    return nullptr;
  }
  bool holds(int model) const { return resident(model) != nullptr; }
};

struct BoardOwner {
  int ended = 0;  // of its jobs
};

// What may be done next.
struct Choice {
  enum class Kind { none, run, load, load_behind } kind = Kind::none;
  int gpu = -1;
  int model = -1;
  JobId job;  // run: this one; a load: the one it is for
  double index = 0.0;
};

// (1 + jobs ahead) ^ -exponent, from a table: a decision asks for it thousands of times.
class Fairness {
 public:
  Fairness() { set_exponent(Tuning{}.user_exponent); }
  void set_exponent(double exponent);
  double operator()(int ahead) const { return parts_[std::min(static_cast<std::size_t>(ahead), parts_.size() - 1)]; }

 private:
  double exponent_ = 0.0;
  std::array<double, 128> parts_{};
};

struct Board {
  Tuning tuning;
  Fairness fairness;
  double now = 0.0;
  double throughput = 0.0;      // 1: objective throughput
  bool load_beside_run = true;  // whether the engine can
  std::size_t most_residents = static_cast<std::size_t>(-1);
  double disk_bytes_per_second = 1e9;
  double host_limit = 0.0;
  int staging = -1;  // model
  double staging_end = 0.0;
  int disk_readers = 0;  // loads that read from the disk now, without the staging
  std::vector<BoardGpu> gpus;
  std::vector<BoardModel> models;
  std::vector<BoardOwner> owners;
  std::vector<int> wanted;  // models with jobs in their window, ascending

  BoardGpu& gpu(int index) { return gpus[static_cast<std::size_t>(index)]; }
  const BoardGpu& gpu(int index) const { return gpus[static_cast<std::size_t>(index)]; }
  BoardModel& model(int index) { return models[static_cast<std::size_t>(index)]; }
  const BoardModel& model(int index) const { return models[static_cast<std::size_t>(index)]; }

  const BoardJob* find(int model, JobId job) const;        // in its window
  double load_seconds(int model, int gpu) const;           // started now
  double read_seconds(int model) const;                    // begun now, beside whoever reads; or the rest of a staging
  double run_seconds(const BoardJob& job, int gpu) const;  // loaded, the change of its worker's LoRA set included
  double rate(int model) const;                            // now
  GpuMask holders(int model) const;                        // resident or loading
  std::vector<GpuMask> all_holders() const;                // by model
  GpuMask idle_gpus() const;
  double run_end(int gpu) const { return std::max(now, this->gpu(gpu).run_end); }
  double load_end(int gpu) const { return std::max(now, this->gpu(gpu).load_end); }

  // Carries the choice out, as predicted.
  void apply(const Choice& choice);
  // To the next predicted end; false when nothing is under way.
  bool advance();
};

// Seconds of reading that the model's file in host memory is expected to save, per second and byte: its arrival rate,
// and more while jobs wait that no gpu can run.
double host_value(const Board& board, int model);
// Which model's file to read in next, the disk being free: the most valuable one that jobs wait for, else that is
// likely to be asked for; -1: none.
struct NextStaging {
  int model = -1;
  bool wanted = false;
};
NextStaging next_staging(const Board& board);

// What has to leave the gpu so that `model` fits beside what runs there, and what that costs.
struct Eviction {
  double price = kNever;     // seconds of expected reloading; kNever: it cannot be made to fit
  std::vector<int> victims;  // models, in the order of leaving
};
Eviction eviction_for(const Board& board, int gpu, int model);
// For many questions about one board.
Eviction eviction_for(const Board& board, const std::vector<GpuMask>& holders, int gpu, int model);

}  // namespace pixelfleet::scheduler
