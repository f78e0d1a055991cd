// Traces: the workloads that policies are compared on, made from a name and a seed.
//
// T1 alternate    two models that never fit together, in turn           T7  interactive, with drops of 40 jobs
// T2 steady       Poisson at load 0.6                                   T8  400 jobs at once
// T3 heavy        Poisson at load 0.85                                  T9  slow storage
// T4 bursty       3.5 times the mean rate for about a minute            T10 four days of production, 12 times as fast
// T5 drift        other favourites every half hour, same load           T11 many LoRAs
// T6 mixed gpus                                                         T12 failures: out of memory, a gpu that is lost
//
// Load (rho) is offered run work over what the machine's gpus can do together, loads not counted. A user keeps the
// model of the last job six times out of ten. docs/scheduling.md describes each and where its numbers come from.
// Everything is drawn from base/rng.h, arrivals and jobs from streams of their own: with the same seed, a higher load
// brings the same jobs, faster.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

const std::vector<std::string>& trace_names();  // T1 ... T12

// Shorter traces for quick looks: of arrivals, drops and the day's length, from 0 (not included) to 1.
struct TraceLength {
  double part = 1.0;
};

// invalid_argument: no such trace. not_found: T10's file is not there; the message says where it was looked for
// (the folder of the environment's PIXELFLEET_TRACES, else `shared/traces` in or above the current folder).
// T1 and T10 are the same for every seed.
Result<Trace> make_trace(std::string_view name, std::uint64_t seed, TraceLength length = {});

// T3's machine, models and jobs at another load; rho from 0.01 to 2.
Result<Trace> make_load_trace(double rho, std::uint64_t seed, TraceLength length = {});

// Seconds that all gpus which fit its model would take for a job together, were it divisible; infinity where
// none does.
Result<std::vector<double>> pooled_run_seconds(const Trace& trace);

}  // namespace pixelfleet::simulator
