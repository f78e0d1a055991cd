#include "simulator/study.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/format.h"
#include "base/mutex.h"
#include "simulator/parallel.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kWindowSeconds = 600.0;
constexpr int kQuantileSteps = 200;

// A trace of one seed, and its bounds under each regime of the plan.
struct Prepared {
  std::optional<Trace> trace;
  std::optional<Error> error;
  std::vector<Bounds> bounds;
  Window window;
};

std::vector<Prepared> prepare(const StudyPlan& plan, const Instruments& instruments) {
  std::vector<Prepared> prepared(plan.traces.size() * plan.seeds.size());
  for_each_index(prepared.size(), plan.threads, [&](std::size_t index) {
    Prepared& one = prepared[index];
    auto made = instruments.make_trace(plan.traces[index / plan.seeds.size()], plan.seeds[index % plan.seeds.size()]);
    if (!made) {
      one.error = made.error();
      return;
    }
    one.trace = std::move(*made);
    one.window = busiest_window(*one.trace, kWindowSeconds);
    for (const Regime regime : plan.regimes) {
      one.bounds.push_back(instruments.bounds(*one.trace, regime, plan.capabilities));
    }
  });
  return prepared;
}

// Takes the traces that are not there out of the plan.
Result<> drop_absent(StudyPlan& plan, std::vector<Prepared>& prepared, std::vector<SkippedTrace>& skipped) {
  std::vector<std::string> kept;
  std::vector<Prepared> kept_prepared;
  for (std::size_t t = 0; t < plan.traces.size(); ++t) {
    const auto first = prepared.begin() + static_cast<std::ptrdiff_t>(t * plan.seeds.size());
    const auto last = first + static_cast<std::ptrdiff_t>(plan.seeds.size());
    const auto broken = std::find_if(first, last, [](const Prepared& one) { return one.error.has_value(); });
    if (broken == last) {
      kept.push_back(plan.traces[t]);
      std::move(first, last, std::back_inserter(kept_prepared));
    } else if (broken->error->code == ErrorCode::not_found) {
      skipped.push_back({plan.traces[t], broken->error->message});
    } else {
      return fail(*broken->error);
    }
  }
  plan.traces = std::move(kept);
  prepared = std::move(kept_prepared);
  return {};
}

// Where a row stands in the plan.
struct Place {
  std::size_t regime = 0, trace = 0, contender = 0, seed = 0;
};

Place place_of(std::size_t index, const StudyPlan& plan) {
  Place place;
  place.seed = index % plan.seeds.size();
  index /= plan.seeds.size();
  place.contender = index % plan.contenders.size();
  index /= plan.contenders.size();
  place.trace = index % plan.traces.size();
  place.regime = index / plan.traces.size();
  return place;
}

Drawing draw(const RunRecord& record, const Prepared& prepared, const Place& place) {
  Drawing drawing;
  drawing.window = prepared.window;
  drawing.gpus = static_cast<int>(prepared.trace->machine.gpus.size());
  const std::vector<double> waits = sorted_waits(record);
  for (int step = 0; !waits.empty() && step <= kQuantileSteps; ++step) {
    drawing.wait_quantiles.push_back(percentile(waits, static_cast<double>(step) / kQuantileSteps));
  }
  if (place.seed != 0) return drawing;
  for (const Operation& operation : record.operations) {
    if (operation.end_s <= prepared.window.from_s || operation.start_s >= prepared.window.to_s) continue;
    drawing.operations.push_back(operation);
  }
  return drawing;
}

Row run_row(const StudyPlan& plan, const Place& place, const Prepared& prepared, const Instruments& instruments) {
  const Contender& contender = plan.contenders[place.contender];
  Row row;
  row.trace = plan.traces[place.trace];
  row.regime = plan.regimes[place.regime];
  row.contender = contender.label;
  row.seed = plan.seeds[place.seed];
  RunOptions options;
  options.policy = contender.policy;
  options.production = contender.production;
  options.regime = row.regime;
  options.capabilities = plan.capabilities;
  options.noise_seed = row.seed;
  const auto record = instruments.run(*prepared.trace, options);
  if (!record) {
    row.error = record.error();
    return row;
  }
  row.metrics =
      metrics_of(*record, prepared.bounds[place.regime], static_cast<int>(prepared.trace->machine.gpus.size()));
  if (plan.detail == Detail::drawings) row.drawing = draw(*record, prepared, place);
  return row;
}

}  // namespace

Window busiest_window(const Trace& trace, double seconds) {
  Window best{0.0, seconds};
  std::size_t most = 0, first = 0;
  for (std::size_t last = 0; last < trace.jobs.size(); ++last) {
    while (trace.jobs[last].arrival_s - trace.jobs[first].arrival_s > seconds) ++first;
    if (last - first + 1 <= most) continue;
    most = last - first + 1;
    best = {trace.jobs[first].arrival_s, trace.jobs[first].arrival_s + seconds};
  }
  return best;
}

Result<Study> run_study(StudyPlan plan, const Instruments& instruments) {
  std::vector<Prepared> prepared = prepare(plan, instruments);
  Study study;
  if (const auto dropped = drop_absent(plan, prepared, study.skipped); !dropped) return fail(dropped.error());

  study.rows.resize(plan.regimes.size() * plan.traces.size() * plan.contenders.size() * plan.seeds.size());
  Mutex progress_mutex;
  Progress progress{0, study.rows.size()};
  if (plan.on_progress) plan.on_progress(progress);
  for_each_index(study.rows.size(), plan.threads, [&](std::size_t index) {
    const Place place = place_of(index, plan);
    study.rows[index] = run_row(plan, place, prepared[place.trace * plan.seeds.size() + place.seed], instruments);
    MutexLock lock(progress_mutex);
    ++progress.done;
    if (plan.on_progress) plan.on_progress(progress);
  });
  study.plan = std::move(plan);
  return study;
}

}  // namespace pixelfleet::simulator
