// For tests of this folder: instruments that need no policy and no machine.
#pragma once

#include <cmath>
#include <string>

#include "base/format.h"
#include "simulator/study.h"

namespace pixelfleet::simulator {

// The trace "Tn" has two jobs, at 0 s and at n s, on one gpu; "absent" is not there, "broken" breaks.
inline Result<Trace> make_two_jobs(const std::string& name, std::uint64_t seed) {
  if (name == "absent") return fail(ErrorCode::not_found, "absent.csv is not here");
  if (name == "broken") return fail(ErrorCode::invalid_argument, "broken.csv: line 3");
  Trace trace;
  trace.name = name;
  trace.machine.gpus = {"4090-24"};
  trace.models.resize(1);
  trace.jobs.resize(2);
  trace.jobs[1].arrival_s = std::stod(name.substr(1));
  trace.jobs[1].user = static_cast<int>(seed);
  return trace;
}

// A policy "+n" lets each job wait n s plus the seed, "*n" lets it wait n times the second one's arrival; a run takes
// a second, after one load. "fails" fails.
inline Result<RunRecord> run_two_jobs(const Trace& trace, const RunOptions& options) {
  if (options.policy == "fails") return fail(ErrorCode::internal, "left job 1 behind");
  const double number = std::stod(options.policy.substr(1));
  const double wait =
      options.policy[0] == '+' ? number + static_cast<double>(options.noise_seed) : number * trace.jobs[1].arrival_s;
  RunRecord record;
  for (const TraceJob& job : trace.jobs) {
    JobRecord one;
    one.arrival_s = job.arrival_s;
    one.start_s = job.arrival_s + wait;
    one.end_s = one.start_s + 1.0;
    one.gpu = 0;
    one.ideal_run_s = 1.0;
    record.jobs.push_back(one);
  }
  record.operations.push_back({.kind = Operation::Kind::load, .gpu = 0, .start_s = 0.0, .end_s = wait});
  for (const JobRecord& job : record.jobs) {
    record.operations.push_back({.kind = Operation::Kind::run, .gpu = 0, .start_s = job.start_s, .end_s = job.end_s});
  }
  return record;
}

inline Instruments two_job_instruments() {
  return {make_two_jobs, run_two_jobs, [](const Trace&, Regime regime, Capabilities) {
            return Bounds{.makespan_s = regime == Regime::slow ? 10.0 : 20.0, .mean_flow_s = 1.0};
          }};
}

}  // namespace pixelfleet::simulator
