#include "simulator/run.h"

#include <algorithm>

#include "base/format.h"
#include "simulator/machine.h"
#include "simulator/production_driver.h"
#include "simulator/rival.h"
#include "simulator/rival_driver.h"
#include "simulator/world.h"

namespace pixelfleet::simulator {
namespace {

constexpr std::string_view kProduction = "amp";

// What no policy could help.
Result<> check_runnable(const Trace& trace, const Machine& machine) {
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const int model = trace.jobs[i].model;
    bool fits = false;
    for (int gpu = 0; gpu < machine.gpu_count(); ++gpu) fits = fits || machine.fits(model, gpu);
    if (fits) continue;
    return fail(
        ErrorCode::invalid_argument,
        format("trace {}: job {} wants model {}, which needs {:.1f} GB of gpu memory; no gpu of the trace has as "
               "much. Add a larger gpu or leave the model out.",
               trace.name, i, model,
               (machine.weight_bytes(model) + machine.workspace_bytes(model) + machine.worker_overhead_bytes()) / 1e9));
  }
  const Failures& failures = trace.failures;
  if (failures.lost_gpu < 0) return {};
  if (failures.lost_gpu >= machine.gpu_count() || failures.lost_until_s <= failures.lost_from_s) {
    return fail(
        ErrorCode::invalid_argument,
        format("trace {}: gpu {} is to be lost from {} s until {} s; it must be one of 0 to {}, and come back "
               "after it went",
               trace.name, failures.lost_gpu, failures.lost_from_s, failures.lost_until_s, machine.gpu_count() - 1));
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
  auto machine = Machine::make(trace.machine, trace.models, options.regime, options.capabilities);
  if (!machine) return fail(machine.error());
  if (auto runnable = check_runnable(trace, *machine); !runnable) return fail(runnable.error());
  World world(trace, *machine, Noise(options.noise_seed, options.regime));
  auto record = drive(options, world);
  if (!record) {
    Error error = record.error();
    error.message = format("trace {}, policy {}: {}", trace.name, options.policy, error.message);
    return fail(std::move(error));
  }
  return record;
}

}  // namespace pixelfleet::simulator
