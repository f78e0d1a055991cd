#include "simulator/run.h"

#include <utility>

#include "base/format.h"
#include "simulator/machine.h"
#include "simulator/production_driver.h"
#include "simulator/rival.h"
#include "simulator/rival_driver.h"
#include "simulator/world.h"

namespace pixelfleet::simulator {
namespace {

constexpr std::string_view kProduction = "amp";

Result<> check_failures(const Trace& trace, const Machine& machine) {
  const Failures& failures = trace.failures;
  if (failures.lost_gpu < 0) return {};
  if (failures.lost_gpu < machine.gpu_count() && failures.lost_from_s < failures.lost_until_s) return {};
  return fail(
      ErrorCode::invalid_argument,
      format("gpu {} is to be lost from {} s until {} s; it must be one of 0 to {}, and come back after it went",
             failures.lost_gpu, failures.lost_from_s, failures.lost_until_s, machine.gpu_count() - 1));
}

// A gpu that will be lost counts for nothing: while it is away, production refuses jobs that fit nowhere else.
Result<> check_jobs(const Trace& trace, const Machine& machine) {
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const int model = trace.jobs[i].model;
    bool fits = false;
    for (int gpu = 0; gpu < machine.gpu_count(); ++gpu) {
      fits = fits || (gpu != trace.failures.lost_gpu && machine.fits(model, gpu));
    }
    if (fits) continue;
    const double bytes = machine.weight_bytes(model) + machine.workspace_bytes(model) + machine.worker_overhead_bytes();
    return fail(
        ErrorCode::invalid_argument,
        format("job {} wants model {}, which needs {:.1f} GB of gpu memory; no gpu that stays has as much. Add a "
               "larger gpu or leave the model out.",
               i, model, bytes / 1e9));
  }
  return {};
}

Result<RunRecord> drive(const RunOptions& options, World& world) {
  if (options.policy == kProduction) return ProductionDriver(world, options.production).drive();
  const auto rival = make_rival(options.policy);
  if (!rival) {
    return fail(ErrorCode::invalid_argument,
                format("no policy \"{}\" is known; allowed are {}", options.policy, join(policy_names(), ", ")));
  }
  return RivalDriver(world, *rival).drive();
}

Result<RunRecord> run_unnamed(const Trace& trace, const RunOptions& options) {
  const auto machine = Machine::make(trace.machine, trace.models, options.regime, options.capabilities);
  if (!machine) return fail(machine.error());
  if (auto failures = check_failures(trace, *machine); !failures) return fail(failures.error());
  if (auto jobs = check_jobs(trace, *machine); !jobs) return fail(jobs.error());
  World world(trace, *machine, Noise(options.noise_seed, options.regime));
  return drive(options, world);
}

}  // namespace

std::string_view name(Regime regime) {
  switch (regime) {
    case Regime::slow: return "slow";
    case Regime::fast: return "fast";
    case Regime::remote: return "remote";
    case Regime::sdcpp: break;
  }
  return "sdcpp";
}

std::string_view name(Capabilities capabilities) { return capabilities == Capabilities::ideal ? "ideal" : "sdcpp"; }

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> names = {std::string(kProduction),
                                                 "fifo",
                                                 "v18",
                                                 "sjf",
                                                 "greedy-affinity",
                                                 "swarmui",
                                                 "mold-legacy",
                                                 "mold-v2",
                                                 "invokeai",
                                                 "delay",
                                                 "mqfq-sticky",
                                                 "map"};
  return names;
}

Result<RunRecord> run(const Trace& trace, const RunOptions& options) {
  auto record = run_unnamed(trace, options);
  if (record) return record;
  Error error = record.error();
  error.message = format("trace {}, policy {}: {}", trace.name, options.policy, error.message);
  return fail(std::move(error));
}

}  // namespace pixelfleet::simulator
