// Sweep: how much load a contender sustains: the largest rho at which the 95th percentile of waits stays in its limit.
//
// Work in T3's mix arrives ever faster; a curve of p95 over rho is cut where it crosses the limit, between two points
// in a straight line. Unlike ratios of waits, the result cannot be had cheaply by letting a rival overflow.
#pragma once

#include "simulator/study.h"

namespace pixelfleet::simulator {

struct SweepPlan {
  std::vector<Regime> regimes = {Regime::slow};
  Capabilities capabilities = Capabilities::ideal;
  std::vector<Contender> contenders;
  std::vector<std::uint64_t> seeds;
  std::vector<double> loads;  // rho, ascending
  double limit_s = 60.0;
  int threads = 0;  // 0: one for each core
  std::function<void(const Progress&)> on_progress = {};
};

std::vector<double> default_loads();  // 0.30 ... 0.95

struct LoadPoint {
  double load = 0.0;
  double p95_wait_s = 0.0;  // mean over the seeds
  double mean_wait_s = 0.0;
};

struct Sustained {
  enum class Place { within, below_all, above_all } place = Place::within;
  double load = 0.0;  // within: interpolated; else the least or largest load tried
};

struct LoadCurve {
  Regime regime = Regime::slow;
  std::string contender;
  std::vector<LoadPoint> points;
  Sustained sustained = {};
  std::optional<Error> error = {};  // a run failed: there are no points
};

using MakeLoadTrace = std::function<Result<Trace>(double load, std::uint64_t seed)>;

// A curve for each regime and contender, in that order. A contender is asked no more once its p95 is far beyond the
// limit. Of the instruments, only `run` is used.
std::vector<LoadCurve> sweep(const SweepPlan& plan, const MakeLoadTrace& make_load_trace,
                             const Instruments& instruments);

// By the first crossing; points are not empty.
Sustained sustained_load(const std::vector<LoadPoint>& points, double limit_s);

}  // namespace pixelfleet::simulator
