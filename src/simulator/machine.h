// Machine: the true costs of a simulated machine, before noise: run times, load times, memory.
//
// Constants: docs/scheduling.md; step times come from scheduler::builtin_priors, so the world and the policy's first
// guess differ by noise only.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/costs.h"
#include "simulator/run.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

class Machine {
 public:
  // Fails on unknown gpu types or families, naming what is known.
  static Result<Machine> make(const MachineSpec& spec, const std::vector<TraceModel>& models, Regime regime,
                              Capabilities capabilities);

  int gpu_count() const;
  double memory_bytes(int gpu) const;       // usable by workers
  double worker_overhead_bytes() const;     // per resident model
  double workspace_bytes(int model) const;  // in use only while it runs
  bool fits(int model, int gpu) const;      // alone
  double run_seconds(const TraceJob& job, int gpu) const;
  // From host memory, or from the disk with so many readers at work already (it counts as one more).
  double load_from_host_seconds(int model, int gpu) const;
  double load_from_disk_seconds(int model, int gpu, int other_readers) const;
  double stage_seconds(int model, int other_readers) const;  // disk to host memory
  double lora_patch_seconds(int model) const;                // when the set differs from the one in use

  // What production is told at the start: the same formulas as priors.
  scheduler::ModelFacts facts(int model) const;
  std::string_view gpu_type(int gpu) const;

 private:
  struct GpuRow;
  struct ModelRow;
  std::vector<GpuRow> gpus_;
  std::vector<ModelRow> models_;
  double disk_bytes_per_second_ = 1e9;
  double overhead_bytes_ = 0.0;
  double spawn_seconds_ = 0.0;
};

}  // namespace pixelfleet::simulator
