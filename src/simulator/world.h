// World: the simulated machine at work in virtual time, whoever gives the orders.
//
// A driver takes what happens next, gives orders, and takes the next. The world holds gpus (a chunk that runs, a load,
// residents), host memory, the disk's readers and the memory ledger, which it CHECKs is never oversold; it adds the
// noise, brings the trace's failures, and keeps the record. Events at one instant come in the order of their causes,
// ends before arrivals. Single-threaded.
//
//   load    from host memory, joining the model's staging, or from the disk; its rate is that of its first moment,
//           divided by the machine's beside_run() while a chunk runs on its gpu. Two loads of one model from the disk
//           read it twice
//   host    whatever was read from the disk is in host memory afterwards; shrink_host() drops the least recently used,
//           a run counting as a use
//   failure out of memory: the chunk ends at its first picture and takes its worker along, model and all; a lost gpu
//           is empty when it comes back
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <variant>
#include <vector>

#include "simulator/machine.h"
#include "simulator/noise.h"
#include "simulator/run.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

struct JobArrived {
  int job = 0;
};
enum class Source { host_memory, disk };  // disk: also by joining a staging; the model is in host memory now
struct LoadEnded {
  int gpu = 0;
  int model = 0;
  Source source = Source::host_memory;
};
enum class RunOutcome { done, out_of_memory };
struct RunEnded {
  int gpu = 0;
  int job = 0;
  std::int64_t tag = 0;
  RunOutcome outcome = RunOutcome::done;
};
struct ModelRead {  // by stage()
  int model = 0;
};
struct GpuFailed {
  int gpu = 0;
  std::optional<int> interrupted_job = {};
};
struct GpuReturned {
  int gpu = 0;
};
struct TimerRang {
  std::int64_t tag = 0;
};
using Happening = std::variant<JobArrived, LoadEnded, RunEnded, ModelRead, GpuFailed, GpuReturned, TimerRang>;

class World {
 public:
  // Trace and machine outlive it; every job's model fits some gpu.
  World(const Trace& trace, const Machine& machine, Noise noise);

  // Moves on to what happens next; nullopt when nothing ever will.
  std::optional<Happening> next();
  double now_s() const { return now_s_; }
  bool all_ended() const { return unfinished_jobs_ == 0; }
  int unfinished_jobs() const { return unfinished_jobs_; }

  const Trace& trace() const { return trace_; }
  const Machine& machine() const { return machine_; }

  bool is_up(int gpu) const { return slot(gpu).is_up; }
  bool is_idle(int gpu) const { return is_up(gpu) && !slot(gpu).load && !slot(gpu).run; }
  const std::vector<int>& residents(int gpu) const { return slot(gpu).residents; }  // least recently used first
  bool holds(int gpu, int model) const;
  std::optional<int> model_loading(int gpu) const;
  std::optional<int> job_running(int gpu) const;
  double idle_since_s(int gpu) const { return slot(gpu).idle_since_s; }
  // As predicted at its start, or exactly after the first tenth of a run, when its steps have told; now when idle.
  double predicted_free_s(int gpu) const;
  bool has_room(int gpu, int model) const;  // beside its residents and its load
  bool is_in_host(int model) const;
  double predicted_load_s(int model, int gpu) const;  // if it began now

  // Up, no load under way, not resident, has room.
  void load(int gpu, int model);
  void cancel_load(int gpu);
  // Resident, not running.
  void evict(int gpu, int model);
  // Resident, and nothing runs. Returns its actual seconds, for the driver's account of its progress.
  double run(int gpu, int job, int images, std::int64_t tag);
  void stage(int model);  // not in host memory, not being read
  void cancel_staging(int model);
  bool is_being_read(int model) const;
  bool is_being_staged(int model) const;
  void unstage(int model);
  std::vector<int> shrink_host();  // to its limit; returns what was dropped
  void ring(double at_s, std::int64_t tag);

  // Closes what is still under way and gives the record away.
  RunRecord take_record();

 private:
  struct Load {
    int model = 0;
    Source source = Source::host_memory;
    enum class Reads { nothing, itself, with_staging } reads = Reads::nothing;
    double work_left_s = 0.0;  // alone on its gpu, as of updated_s
    double updated_s = 0.0;
    double slowdown = 1.0;  // since then
    double predicted_end_s = 0.0;
    double actual_end_s = 0.0;
    std::uint64_t generation = 0;
    std::size_t operation = 0;
  };
  struct Run {
    int job = 0;
    int images = 0;
    std::int64_t tag = 0;
    RunOutcome outcome = RunOutcome::done;
    double told_s = 0.0;  // when its steps have told its end
    double predicted_end_s = 0.0;
    double actual_end_s = 0.0;
    std::uint64_t generation = 0;
    std::size_t operation = 0;
  };
  struct Slot {
    bool is_up = true;
    std::vector<int> residents;
    std::optional<Load> load;
    std::optional<Run> run;
    double idle_since_s = 0.0;
    double left_s = 0.0;  // when what was evicted last is gone
  };
  struct Staging {
    int model = 0;
    double ends_s = 0.0;
    std::uint64_t generation = 0;
  };
  enum class Kind { gpu_fails, gpu_returns, run_ends, load_ends, staging_ends, timer };
  struct Entry {
    double at_s = 0.0;
    std::uint64_t generation = 0;  // in the order of their making; also says whether it still counts
    Kind kind = Kind::timer;
    int gpu = 0;
    std::int64_t tag = 0;
    bool operator<(const Entry& other) const {  // the heap's top is the earliest
      return at_s != other.at_s ? at_s > other.at_s : generation > other.generation;
    }
  };

  const Slot& slot(int gpu) const { return slots_[static_cast<std::size_t>(gpu)]; }
  Slot& slot(int gpu) { return slots_[static_cast<std::size_t>(gpu)]; }
  std::uint64_t push(double at_s, Kind kind, int gpu, std::int64_t tag);
  std::optional<Happening> apply(const Entry& entry);
  std::optional<Happening> end_run(int gpu, std::uint64_t generation);
  std::optional<Happening> end_load(int gpu, std::uint64_t generation);
  std::optional<Happening> end_staging(int model, std::uint64_t generation);
  Happening fail_gpu(int gpu);

  void reschedule_load(int gpu);  // from now on at the rate that what runs beside it allows
  void use_in_host(int model);    // it counts as the most recently used of the files there
  void use(int gpu, int model);   // it counts as the most recently used, there and in host memory
  void close_run(int gpu);
  void close_load(int gpu);
  void settle_idle(int gpu);
  void put_in_host(int model);
  std::size_t open_bar(Operation::Kind kind, int gpu, int model, int job);
  int disk_readers() const;
  std::optional<double> staged_at_s(int model) const;
  double actual_load_s(int gpu, int model, const std::optional<double>& staging_ends_s);
  double needed_bytes(int gpu, std::optional<int> also) const;
  void check_ledger(int gpu) const;
  int& lora_in_use(int gpu, int model);

  const Trace& trace_;
  const Machine& machine_;
  const Noise noise_;

  double now_s_ = 0.0;
  std::priority_queue<Entry> entries_;
  std::uint64_t next_generation_ = 1;
  std::size_t next_arrival_ = 0;
  int unfinished_jobs_ = 0;

  std::vector<Slot> slots_;
  std::vector<int> lora_in_use_;  // [gpu][model]
  std::vector<int> host_;         // least recently used first
  std::vector<Staging> stagings_;
  std::vector<int> images_left_;     // per job
  std::vector<int> chunks_begun_;    // per job
  std::vector<int> loads_begun_;     // per model
  std::vector<int> stagings_begun_;  // per model
  RunRecord record_;
};

}  // namespace pixelfleet::simulator
