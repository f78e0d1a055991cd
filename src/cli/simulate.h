// `pixelfleet simulate`: the scheduler beside its rivals, in virtual time. Works without a server.
#pragma once

#include <optional>
#include <string>

#include "config/config.h"

namespace pixelfleet::cli {

// As typed; simulate() checks it. Absent: not given.
struct SimulateArguments {
  std::optional<std::string> traces;    // T1,T8
  std::optional<std::string> policies;  // amp,swarmui
  std::optional<std::string> regimes;   // slow,fast
  std::optional<std::string> capabilities;
  std::optional<std::string> seeds;
  std::optional<std::string> seed_base;
  std::optional<std::string> gpus;  // H100+2x4090
  std::optional<std::string> trace_file;
  std::optional<std::string> models_file;
  std::optional<std::string> machine_file;
  std::optional<std::string> json_file;  // -: standard output, instead of the tables
  std::optional<std::string> report_folder;
  bool from_history = false;
  bool all = false;
  bool sustainable = false;
  bool ablation = false;
};

struct Hooks;

// Prints tables, writes the files asked for; returns the exit code.
int simulate(const SimulateArguments& arguments);
// The same with the jobs of the configured data directory; without `gpus` on those of this machine.
int simulate_history(const SimulateArguments& arguments, const Config& config, const Hooks& hooks);

}  // namespace pixelfleet::cli
