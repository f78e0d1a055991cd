// Plays a trace on a simulated machine of demo models, for bench/sim_vs_real.
//
// replay < WHAT.json > RESULT.json. WHAT: {"time_scale", "gpu_bytes": [...], "models": [demo keys], "run_overhead_s",
// "load_start_s", "leave_s", "telling_s": [2], "beside_run", "run_sigma", "load_sigma", "seeds", "jobs": [[arrival_s,
// user, model, images, steps, priority], ...]}; the scheduler is told what a server with that time scale tells it.
// RESULT: {"runs": [{"flow_s", "wait_s", "makespan_s", "loads", "loads_of": [...]}, ...]}, one for each seed; the mean
// over the jobs.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "base/json_full.h"
#include "catalog/demo_models.h"
#include "control/model_facts.h"
#include "simulator/production_driver.h"

namespace {

using namespace pixelfleet;
using simulator::DescribedModel;
using simulator::MachineDescription;
using simulator::Noise;
using simulator::Operation;
using simulator::Trace;
using simulator::TraceJob;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "replay: %s\n", why.c_str());
  std::exit(1);
}

const Model& demo_model(const std::vector<Model>& known, const std::string& key) {
  for (const Model& model : known) {
    if (model.key == key) return model;
  }
  give_up("no demo model is called " + key);
}

MachineDescription machine_of(const Json& what) {
  MachineDescription machine;
  machine.gpus = what.at("gpu_bytes").get<std::vector<double>>();
  machine.beside_run = what.at("beside_run").get<double>();
  machine.telling = {what.at("telling_s").at(0).get<double>(), what.at("telling_s").at(1).get<double>()};
  machine.leave_seconds = what.at("leave_s").get<double>();
  const double time_scale = what.at("time_scale").get<double>();
  const std::vector<Model> known = catalog::demo_models("");
  for (const std::string key : what.at("models")) {
    const Model& model = demo_model(known, key);
    DescribedModel described{control::facts_of(model, time_scale), {}};
    described.costs = described.told.priors.front();
    described.costs.run.overhead_seconds = what.at("run_overhead_s").get<double>();
    described.costs.load.start_seconds = model.demo->load_seconds / time_scale + what.at("load_start_s").get<double>();
    machine.models.push_back(std::move(described));
  }
  return machine;
}

Trace trace_of(const Json& what) {
  Trace trace;
  trace.models.resize(what.at("models").size());
  for (const Json& row : what.at("jobs")) {
    TraceJob job;
    job.arrival_s = row.at(0).get<double>();
    job.user = row.at(1).get<int>();
    job.model = row.at(2).get<int>();
    job.images = row.at(3).get<int>();
    job.steps = row.at(4).get<int>();
    const auto priority = priority_from(row.at(5).get<std::string>());
    if (!priority) give_up("no priority is called " + row.at(5).dump());
    job.priority = *priority;
    trace.jobs.push_back(job);
  }
  return trace;
}

Json figures_of(const simulator::RunRecord& record, std::size_t models) {
  double flow = 0.0;
  double wait = 0.0;
  double makespan = 0.0;
  for (const simulator::JobRecord& job : record.jobs) {
    flow += job.end_s - job.arrival_s;
    wait += job.start_s - job.arrival_s;
    makespan = std::max(makespan, job.end_s);
  }
  std::vector<int> loads_of(models, 0);
  int loads = 0;
  for (const Operation& operation : record.operations) {
    if (operation.kind == Operation::Kind::run) continue;
    ++loads;
    ++loads_of[static_cast<std::size_t>(operation.model)];
  }
  const auto jobs = static_cast<double>(record.jobs.size());
  return {{"flow_s", flow / jobs},
          {"wait_s", wait / jobs},
          {"makespan_s", makespan},
          {"loads", loads},
          {"loads_of", loads_of}};
}

Json play(const Json& what) {
  const Trace trace = trace_of(what);
  const simulator::Machine machine(machine_of(what));
  const Noise::Spread spread{what.at("run_sigma").get<double>(), what.at("load_sigma").get<double>()};
  Json runs = Json::array();
  for (std::uint64_t seed = 1; seed <= what.at("seeds").get<std::uint64_t>(); ++seed) {
    simulator::World world(trace, machine, Noise(seed, spread));
    const auto record = simulator::ProductionDriver(world, {}).drive();
    if (!record) give_up(record.error().message);
    runs.push_back(figures_of(*record, trace.models.size()));
  }
  return {{"runs", runs}};
}

}  // namespace

int main() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto what = parse_json(text);
  if (!what) give_up(what.error().message);
  try {
    std::printf("%s\n", to_text(play(*what)).c_str());
  } catch (const Json::exception& error) {
    give_up(error.what());
  }
  return 0;
}
