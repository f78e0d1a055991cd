#include "simulator/figures.h"

#include <cmath>

#include "base/format.h"

namespace pixelfleet::simulator {
namespace {

using Where = FigureColumn::Where;

double p50_wait(const Metrics& m) { return m.p50_wait_s; }
double p95_wait(const Metrics& m) { return m.p95_wait_s; }
double foreground_seconds(const Metrics& m) { return m.foreground_load_s; }
double run_part(const Metrics& m) { return m.utilisation.run; }
double load_part(const Metrics& m) { return m.utilisation.load; }
double idle_with_queue(const Metrics& m) { return m.utilisation.idle_with_queue; }
double idle_empty(const Metrics& m) { return m.utilisation.idle_empty; }
double jain(const Metrics& m) { return m.fairness.jain; }
double worst_slowdown(const Metrics& m) { return m.fairness.worst_slowdown; }
double decision_mean(const Metrics& m) { return m.decision_us_mean; }
double decision_p99(const Metrics& m) { return m.decision_us_p99; }

}  // namespace

double mean_wait(const Metrics& metrics) { return metrics.mean_wait_s; }
double p99_wait(const Metrics& metrics) { return metrics.p99_wait_s; }
double max_wait(const Metrics& metrics) { return metrics.max_wait_s; }
double loads(const Metrics& metrics) { return metrics.loads; }
double foreground_loads(const Metrics& metrics) { return metrics.foreground_loads; }
double flow_over_bound(const Metrics& metrics) { return metrics.flow_over_bound; }
double makespan_over_bound(const Metrics& metrics) { return metrics.makespan_over_bound; }
double light_wait(const Metrics& metrics) { return metrics.promises.light_wait_s; }
double large_job(const Metrics& metrics) { return metrics.promises.large_job_s; }

const std::vector<FigureColumn>& figure_columns() {
  static const std::vector<FigureColumn> columns = {
      {"mean s", "mean wait", mean_wait},
      {"p50 s", "median wait", p50_wait},
      {"p95 s", "95 of 100 jobs wait at most so long", p95_wait},
      {"p99 s", "99 of 100 jobs wait at most so long", p99_wait},
      {"max s", "longest wait", max_wait},
      {"loads", "loads of a model, all", loads, Better::lower, Form::whole},
      {"fg", "foreground loads: their gpu ran nothing meanwhile", foreground_loads, Better::lower, Form::whole},
      {"fg s", "seconds in foreground loads, of all gpus", foreground_seconds, Better::lower, Form::whole},
      {"mk/bd", "makespan over its lower bound", makespan_over_bound, Better::lower, Form::thousandths},
      {"flow/bd", "mean time from arrival to end over its lower bound", flow_over_bound},
      {"run%", "gpu time that runs jobs", run_part, Better::neither, Form::percent},
      {"load%", "gpu time that loads and runs nothing", load_part, Better::neither, Form::percent},
      {"idle+q%", "gpu time idle while some job waits", idle_with_queue, Better::neither, Form::percent},
      {"idle%", "gpu time idle with an empty queue", idle_empty, Better::neither, Form::percent, Where::report_only},
      {"Jain", "evenness of the users' mean slowdowns; 1 is even", jain, Better::higher},
      {"worst user", "largest mean slowdown of a user", worst_slowdown, Better::lower, Form::number,
       Where::report_only},
      {"us", "mean time of a decision, in microseconds", decision_mean},
      {"us p99", "99th percentile of decisions, in microseconds", decision_p99},
  };
  return columns;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 99.95) return format("{:.0f}", value);
  if (size >= 9.995) return format("{:.1f}", value);
  if (size >= 0.9995 || size == 0.0) return format("{:.2f}", value);
  return format("{:.3f}", value);
}

std::string in_form(double value, Form form) {
  switch (form) {
    case Form::whole: return format("{:.0f}", value);
    case Form::thousandths: return format("{:.3f}", value);
    case Form::percent: return format("{:.1f}", 100.0 * value);
    case Form::number: break;
  }
  return short_number(value);
}

}  // namespace pixelfleet::simulator
