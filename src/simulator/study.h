// Study: many runs at once: traces x regimes x contenders x seeds, on all cores, their rows in that fixed order.
//
// The seed makes the trace and the noise; every contender meets the same of both.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "simulator/bounds.h"
#include "simulator/metrics.h"
#include "simulator/run.h"

namespace pixelfleet::simulator {

// A policy under a name of its own: several contenders may be one policy, differently tuned.
struct Contender {
  std::string label;
  std::string policy;
  scheduler::Policy production = {};
};

// What a study works with.
struct Instruments {
  std::function<Result<Trace>(const std::string& name, std::uint64_t seed)> make_trace;
  std::function<Result<RunRecord>(const Trace&, const RunOptions&)> run;
  std::function<Bounds(const Trace&, Regime, Capabilities)> bounds;
};

struct Progress {
  std::size_t done = 0;
  std::size_t total = 0;
};

enum class Detail { figures, drawings };

struct StudyPlan {
  std::vector<std::string> traces;
  std::vector<Regime> regimes = {Regime::slow};
  Capabilities capabilities = Capabilities::ideal;
  std::vector<Contender> contenders;
  std::vector<std::uint64_t> seeds;
  Detail detail = Detail::figures;
  int threads = 0;                                        // 0: one for each core
  std::function<void(const Progress&)> on_progress = {};  // one call at a time, from any thread
};

struct Window {
  double from_s = 0.0;
  double to_s = 0.0;
};

// What a report draws of one run; made for Detail::drawings.
struct Drawing {
  std::vector<double> wait_quantiles;  // at 0, 1/200 ... 1
  Window window;                       // the busiest minutes of the trace, the same for every contender
  std::vector<Operation> operations;   // in the window; of the first seed only
  int gpus = 0;
};

struct Row {
  std::string trace;
  Regime regime = Regime::slow;
  std::string contender;  // the label
  std::uint64_t seed = 0;
  Metrics metrics = {};
  std::optional<Error> error = {};  // the run failed: metrics say nothing
  Drawing drawing = {};
};

struct SkippedTrace {
  std::string trace;
  std::string why;
};

struct Study {
  StudyPlan plan;  // without the traces that were skipped
  std::vector<Row> rows;
  std::vector<SkippedTrace> skipped;
};

// A trace that is not there (not_found) is skipped; any other error of make_trace ends the study. A failed run does
// not: its row says why.
Result<Study> run_study(StudyPlan plan, const Instruments& instruments);

// The `seconds` of the trace in which most jobs arrive; the earliest of equals.
Window busiest_window(const Trace& trace, double seconds);

}  // namespace pixelfleet::simulator
