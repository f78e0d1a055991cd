// One run: a trace, a policy, a seed of noise; and what came of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/events.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

// slow: 2.2 GB/s to the gpu; fast: pinned memory, 9-45 GB/s; remote: loads drawn from a production histogram; sdcpp: as
// measured with stable-diffusion.cpp.
enum class Regime { slow, fast, remote, sdcpp };
// ideal: a worker costs nothing. sdcpp: 0.4 GB of gpu memory for each resident model and 0.7 s to start a worker.
enum class Capabilities { ideal, sdcpp };

std::string_view name(Regime regime);
std::string_view name(Capabilities capabilities);

struct RunOptions {
  std::string policy = "amp";  // a name of policy_names()
  Regime regime = Regime::slow;
  Capabilities capabilities = Capabilities::ideal;
  std::uint64_t noise_seed = 1;       // the same for every policy, so that all see the same actual times
  scheduler::Policy production = {};  // for amp: tuning, objective ...; gpus, memory and disk are filled in
};

const std::vector<std::string>& policy_names();  // amp first

// What happened to one job. start_s: its first chunk began to run.
struct JobRecord {
  double arrival_s = 0.0;
  double start_s = 0.0;
  double end_s = 0.0;
  int gpu = -1;
  int model = 0;
  int user = 0;
  double ideal_run_s = 0.0;  // predicted, on the fastest gpu that can run it, warm
};

// One bar of the gantt strip. A load is blocking when nothing ran on its gpu as it began.
struct Operation {
  enum class Kind { run, load, load_behind } kind = Kind::run;
  int gpu = 0;
  int model = 0;
  int job = -1;
  double start_s = 0.0;
  double end_s = 0.0;
};

struct RunRecord {
  std::vector<JobRecord> jobs;  // in the order of the trace
  std::vector<Operation> operations;
  double decision_us_mean = 0.0;  // of the deciding calls, by a steady clock
  double decision_us_p99 = 0.0;
  double decision_us_max = 0.0;
};

// Runs the trace until every job has ended; an error when the policy leaves a job behind for ever.
Result<RunRecord> run(const Trace& trace, const RunOptions& options);

}  // namespace pixelfleet::simulator
