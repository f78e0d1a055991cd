#include "simulator/results.h"

#include "base/json_full.h"

namespace pixelfleet::simulator {

Json results_json(const Study& study) {
  Json results = Json::array();
  for (const Row& row : study.rows) {
    if (row.error) continue;
    const Metrics& m = row.metrics;
    results.push_back({{"trace", row.trace},
                       {"regime", name(row.regime)},
                       {"policy", row.contender},
                       {"seed", row.seed},
                       {"jobs", m.jobs},
                       {"mean_wait_s", m.mean_wait_s},
                       {"p50_wait_s", m.p50_wait_s},
                       {"p95_wait_s", m.p95_wait_s},
                       {"p99_wait_s", m.p99_wait_s},
                       {"max_wait_s", m.max_wait_s},
                       {"loads", m.loads},
                       {"foreground_loads", m.foreground_loads},
                       {"foreground_load_s", m.foreground_load_s},
                       {"makespan_over_bound", m.makespan_over_bound},
                       {"flow_over_bound", m.flow_over_bound},
                       {"utilisation_run", m.utilisation.run},
                       {"decision_us_mean", m.decision_us_mean},
                       {"decision_us_p99", m.decision_us_p99}});
  }
  return {{"results", std::move(results)}};
}

Json curves_json(const std::vector<LoadCurve>& curves, double limit_s) {
  Json list = Json::array();
  for (const LoadCurve& curve : curves) {
    if (curve.error) continue;
    Json points = Json::array();
    for (const LoadPoint& point : curve.points) {
      points.push_back({{"load", point.load}, {"p95_wait_s", point.p95_wait_s}, {"mean_wait_s", point.mean_wait_s}});
    }
    const bool within = curve.sustained.place == Sustained::Place::within;
    list.push_back({{"regime", name(curve.regime)},
                    {"policy", curve.contender},
                    {"p95_wait_limit_s", limit_s},
                    {"sustainable_load", within ? Json(curve.sustained.load) : Json(nullptr)},
                    {"points", std::move(points)}});
  }
  return list;
}

}  // namespace pixelfleet::simulator
