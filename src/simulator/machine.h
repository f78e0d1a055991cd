// Machine: the true costs of a simulated machine, before noise: run times, load times, memory.
//
// Constants: docs/scheduling.md; step times come from scheduler::builtin_priors, so the world and the policy's first
// guess differ by noise only. Rows of the tables: kTraceFamilies and kTraceGpuTypes (trace_files.h).
//
//   run    overhead (0.5 + 0.5 n) + steps step (pixels / reference)^exponent (shared + (1 - shared) n)
//   load   start + bytes / to_gpu from host memory; start + max(bytes / to_gpu, bytes / disk (readers + 1)) from disk
//   memory weights and overhead of all residents, and the largest workspace among them
//
// A machine that is described instead has its own costs: those of a real server, to compare with.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/costs.h"
#include "simulator/run.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

inline constexpr double kBesideRun = 1.15;  // a load beside a run takes so many times as long, on a tabulated machine

struct DescribedModel {
  scheduler::ModelFacts told;  // to production; of the memory, its account is the true one
  scheduler::CostPrior costs;  // what loads and runs really take, on every gpu
};
// How often a run tells its steps: so long after a picture began, and so long after the last time. 0: once, early in
// it.
struct Telling {
  double picture_seconds = 0.0;
  double pause_seconds = 0.0;
};
struct MachineDescription {
  std::vector<double> gpus;  // usable bytes of each
  std::vector<DescribedModel> models;
  double host_bytes = 0.0;
  double disk_bytes_per_second = 1e9;
  double beside_run = 1.0;
  Telling telling;
  double leave_seconds = 0.0;  // until an evicted model's process is gone; a load on its gpu waits for that
};

class Machine {
 public:
  // Fails on unknown gpu types or families, naming what is known.
  static Result<Machine> make(const MachineSpec& spec, const std::vector<TraceModel>& models, Regime regime,
                              Capabilities capabilities);
  explicit Machine(const MachineDescription& description);

  int gpu_count() const;
  double memory_bytes(int gpu) const;       // usable by workers
  double worker_overhead_bytes() const;     // per resident model
  double workspace_bytes(int model) const;  // in use only while it runs
  double weight_bytes(int model) const;
  double file_bytes(int model) const;   // to be read from the disk; 0: there is no file, a load never waits for one
  bool fits(int model, int gpu) const;  // alone
  double run_seconds(const TraceJob& job, int gpu) const;
  double run_seconds(const TraceJob& job, int gpu, int images) const;  // of a chunk of it
  double overhead_seconds(int model, int gpu, int images) const;       // of these, what no step takes
  // From host memory, or from the disk with so many readers at work already (it counts as one more).
  double load_from_host_seconds(int model, int gpu) const;
  double load_from_disk_seconds(int model, int gpu, int other_readers) const;
  // While it is being staged: the rest of that instead of an own read.
  double load_joining_staging_seconds(int model, int gpu, double remaining_s) const;
  double stage_seconds(int model, int other_readers) const;  // disk to host memory
  double lora_patch_seconds(int model) const;                // when the set differs from the one in use

  // What production is told at the start: the same formulas as priors.
  scheduler::ModelFacts facts(int model) const;
  std::string_view gpu_type(int gpu) const;
  double host_memory_bytes() const { return host_bytes_; }
  double disk_bytes_per_second() const { return disk_bytes_per_second_; }  // of one reader alone
  double beside_run() const { return beside_run_; }
  double leave_seconds() const { return leave_seconds_; }
  Telling telling() const { return telling_; }

 private:
  Machine() = default;

  struct GpuRow {
    std::string_view type;
    double memory_bytes = 0.0;
  };
  struct ModelRow {
    double bytes = 0.0;
    double file_bytes = 0.0;
    double workspace_bytes = 0.0;
    std::string_view family;                         // the scheduler's name of it
    std::vector<scheduler::CostPrior> costs;         // of each gpu, in their order
    std::optional<scheduler::ModelFacts> told = {};  // absent: the costs
  };
  const ModelRow& row(int model) const { return models_[static_cast<std::size_t>(model)]; }
  const scheduler::CostPrior& cost(int model, int gpu) const { return row(model).costs[static_cast<std::size_t>(gpu)]; }
  double read_seconds(int model, int other_readers) const;

  std::vector<GpuRow> gpus_;
  std::vector<ModelRow> models_;
  double host_bytes_ = 0.0;
  double disk_bytes_per_second_ = 1e9;
  enum class Disk { shared_by_readers, same_for_each } disk_ = Disk::shared_by_readers;
  double overhead_bytes_ = 0.0;
  double beside_run_ = kBesideRun;
  double leave_seconds_ = 0.0;
  Telling telling_;
};

}  // namespace pixelfleet::simulator
