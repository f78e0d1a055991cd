#include "simulator/sweep.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutex.h"
#include "simulator/parallel.h"

namespace pixelfleet::simulator {
namespace {

// Beyond so many limits the queue grows without end; larger loads only take longer to say so. At least the number of
// seeds: where one seed stops, the mean over all is then beyond the limit too.
double hopeless_s(const SweepPlan& plan) {
  return plan.limit_s * std::max(5.0, static_cast<double>(plan.seeds.size()));
}

// What one seed says of one contender, up to the first hopeless load.
using Walk = std::vector<LoadPoint>;

Result<Walk> walk(const SweepPlan& plan, Regime regime, const Contender& contender, std::uint64_t seed,
                  const MakeLoadTrace& make_load_trace, const Instruments& instruments) {
  Walk points;
  for (const double load : plan.loads) {
    const auto trace = make_load_trace(load, seed);
    if (!trace) return fail(trace.error());
    RunOptions options;
    options.policy = contender.policy;
    options.production = contender.production;
    options.regime = regime;
    options.capabilities = plan.capabilities;
    options.noise_seed = seed;
    const auto record = instruments.run(*trace, options);
    if (!record) return fail(record.error());
    const Metrics metrics = metrics_of(*record, {}, static_cast<int>(trace->machine.gpus.size()));
    points.push_back({load, metrics.p95_wait_s, metrics.mean_wait_s});
    if (metrics.p95_wait_s > hopeless_s(plan)) break;
  }
  return points;
}

// Over the loads that every seed got to.
std::vector<LoadPoint> averaged(const std::vector<Walk>& walks) {
  std::size_t common = walks.front().size();
  for (const Walk& one : walks) common = std::min(common, one.size());
  std::vector<LoadPoint> points(common);
  for (std::size_t i = 0; i < common; ++i) {
    points[i].load = walks.front()[i].load;
    for (const Walk& one : walks) {
      points[i].p95_wait_s += one[i].p95_wait_s / static_cast<double>(walks.size());
      points[i].mean_wait_s += one[i].mean_wait_s / static_cast<double>(walks.size());
    }
  }
  return points;
}

void finish(LoadCurve& curve, const std::vector<Result<Walk>>& of_seeds, double limit_s) {
  std::vector<Walk> walks;
  for (const Result<Walk>& one : of_seeds) {
    if (!one) {
      curve.error = one.error();
      return;
    }
    walks.push_back(*one);
  }
  curve.points = averaged(walks);
  curve.sustained = sustained_load(curve.points, limit_s);
}

}  // namespace

std::vector<double> default_loads() {
  return {0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95};
}

Sustained sustained_load(const std::vector<LoadPoint>& points, double limit_s) {
  CHECK(!points.empty());
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].p95_wait_s <= limit_s) continue;
    if (i == 0) return {Sustained::Place::below_all, points[0].load};
    const LoadPoint& before = points[i - 1];
    const double part = (limit_s - before.p95_wait_s) / (points[i].p95_wait_s - before.p95_wait_s);
    return {Sustained::Place::within, before.load + part * (points[i].load - before.load)};
  }
  return {Sustained::Place::above_all, points.back().load};
}

std::vector<LoadCurve> sweep(const SweepPlan& plan, const MakeLoadTrace& make_load_trace,
                             const Instruments& instruments) {
  const std::size_t curves = plan.regimes.size() * plan.contenders.size();
  const std::size_t seeds = plan.seeds.size();
  std::vector<Result<Walk>> walks(curves * seeds);
  Mutex progress_mutex;
  Progress progress{0, walks.size()};
  if (plan.on_progress) plan.on_progress(progress);
  for_each_index(walks.size(), plan.threads, [&](std::size_t index) {
    const std::size_t curve = index / seeds;
    walks[index] =
        walk(plan, plan.regimes[curve / plan.contenders.size()], plan.contenders[curve % plan.contenders.size()],
             plan.seeds[index % seeds], make_load_trace, instruments);
    MutexLock lock(progress_mutex);
    ++progress.done;
    if (plan.on_progress) plan.on_progress(progress);
  });

  std::vector<LoadCurve> made(curves);
  for (std::size_t curve = 0; curve < curves; ++curve) {
    made[curve].regime = plan.regimes[curve / plan.contenders.size()];
    made[curve].contender = plan.contenders[curve % plan.contenders.size()].label;
    const auto first = walks.begin() + static_cast<std::ptrdiff_t>(curve * seeds);
    finish(made[curve], {first, first + static_cast<std::ptrdiff_t>(seeds)}, plan.limit_s);
  }
  return made;
}

}  // namespace pixelfleet::simulator
