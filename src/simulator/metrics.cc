#include "simulator/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"

namespace pixelfleet::simulator {
namespace {

struct Span {
  double from = 0.0;
  double to = 0.0;
};

// Disjoint and ascending.
using Spans = std::vector<Span>;

Spans united(Spans spans) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.from < b.from; });
  Spans merged;
  for (const Span& span : spans) {
    if (span.to <= span.from) continue;
    if (!merged.empty() && span.from <= merged.back().to) {
      merged.back().to = std::max(merged.back().to, span.to);
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

double length(const Spans& spans) {
  double sum = 0.0;
  for (const Span& span : spans) sum += span.to - span.from;
  return sum;
}

Spans joined(Spans a, const Spans& b) {
  a.insert(a.end(), b.begin(), b.end());
  return united(std::move(a));
}

Utilisation utilisation_of(const RunRecord& record, double makespan_s, int gpu_count) {
  Utilisation part;
  if (makespan_s <= 0.0 || gpu_count <= 0) return part;
  std::map<int, Spans> runs;
  std::map<int, Spans> loads;
  for (const Operation& operation : record.operations) {
    auto& spans = operation.kind == Operation::Kind::run ? runs : loads;
    spans[operation.gpu].push_back({operation.start_s, std::min(operation.end_s, makespan_s)});
  }
  Spans queued;
  for (const JobRecord& job : record.jobs) queued.push_back({job.arrival_s, job.start_s});
  queued = united(std::move(queued));

  // Lengths of unions say all: |A without B| = |A or B| - |B|.
  double run = 0.0, load = 0.0, waited_for = 0.0;
  for (int gpu = 0; gpu < gpu_count; ++gpu) {
    const Spans running = united(runs[gpu]);
    const Spans busy = joined(united(loads[gpu]), running);
    run += length(running);
    load += length(busy) - length(running);
    waited_for += length(joined(busy, queued)) - length(busy);
  }
  const double total = makespan_s * gpu_count;
  part.run = run / total;
  part.load = load / total;
  part.idle_with_queue = waited_for / total;
  part.idle_empty = std::max(0.0, 1.0 - part.run - part.load - part.idle_with_queue);
  return part;
}

Fairness fairness_of(const RunRecord& record) {
  struct Sum {
    double slowdown = 0.0;
    int jobs = 0;
  };
  std::map<int, Sum> users;
  for (const JobRecord& job : record.jobs) {
    if (job.ideal_run_s <= 0.0) continue;
    users[job.user].slowdown += (job.end_s - job.arrival_s) / job.ideal_run_s;
    ++users[job.user].jobs;
  }
  Fairness fairness;
  double sum = 0.0, squares = 0.0;
  for (const auto& [user, total] : users) {
    const double mean = total.slowdown / total.jobs;
    sum += mean;
    squares += mean * mean;
    if (mean > fairness.worst_slowdown) {
      fairness.worst_slowdown = mean;
      fairness.worst_user = user;
    }
  }
  if (squares > 0.0) fairness.jain = sum * sum / (static_cast<double>(users.size()) * squares);
  return fairness;
}

double light_wait_s(const RunRecord& record) {
  std::map<int, std::vector<double>> waits;
  for (const JobRecord& job : record.jobs) waits[job.user].push_back(job.start_s - job.arrival_s);
  std::vector<std::pair<std::size_t, int>> users;
  for (const auto& [user, of_user] : waits) users.emplace_back(of_user.size(), user);
  std::sort(users.begin(), users.end());
  double sum = 0.0;
  std::size_t jobs = 0;
  for (const auto& [sent, user] : users) {
    if (2 * (jobs + sent) > record.jobs.size()) break;
    jobs += sent;
    for (const double wait : waits[user]) sum += wait;
  }
  return jobs == 0 ? 0.0 : sum / static_cast<double>(jobs);
}

double large_job_s(const RunRecord& record) {
  std::vector<std::pair<double, double>> jobs;  // by itself, here
  for (const JobRecord& job : record.jobs) jobs.emplace_back(job.ideal_run_s, job.end_s - job.start_s);
  std::sort(jobs.rbegin(), jobs.rend());
  jobs.resize((jobs.size() + 9) / 10);
  double sum = 0.0;
  for (const auto& [alone, here] : jobs) sum += here;
  return jobs.empty() ? 0.0 : sum / static_cast<double>(jobs.size());
}

double over(double value, double bound) { return bound > 0.0 ? value / bound : 0.0; }

void add_waits(Metrics& metrics, const RunRecord& record) {
  const std::vector<double> waits = sorted_waits(record);
  if (waits.empty()) return;
  double sum = 0.0;
  for (const double wait : waits) sum += wait;
  metrics.mean_wait_s = sum / static_cast<double>(waits.size());
  metrics.p50_wait_s = percentile(waits, 0.50);
  metrics.p95_wait_s = percentile(waits, 0.95);
  metrics.p99_wait_s = percentile(waits, 0.99);
  metrics.max_wait_s = waits.back();
}

void add_loads(Metrics& metrics, const RunRecord& record) {
  for (const Operation& operation : record.operations) {
    if (operation.kind == Operation::Kind::run) continue;
    ++metrics.loads;
    if (operation.kind != Operation::Kind::load) continue;
    ++metrics.foreground_loads;
    metrics.foreground_load_s += operation.end_s - operation.start_s;
  }
}

}  // namespace

std::vector<double> sorted_waits(const RunRecord& record) {
  std::vector<double> waits;
  waits.reserve(record.jobs.size());
  for (const JobRecord& job : record.jobs) waits.push_back(job.start_s - job.arrival_s);
  std::sort(waits.begin(), waits.end());
  return waits;
}

double percentile(const std::vector<double>& sorted, double part) {
  CHECK(!sorted.empty());
  const double count = static_cast<double>(sorted.size());
  // A hair less, so that 0.95 * 20 means the 19th and not, by rounding, the 20th.
  const double rank = std::ceil(part * count - 1e-9);
  return sorted[static_cast<std::size_t>(std::clamp(rank, 1.0, count)) - 1];
}

Metrics metrics_of(const RunRecord& record, const Bounds& bounds, int gpu_count) {
  Metrics metrics;
  metrics.jobs = static_cast<int>(record.jobs.size());
  metrics.decision_us_mean = record.decision_us_mean;
  metrics.decision_us_p99 = record.decision_us_p99;
  add_waits(metrics, record);
  add_loads(metrics, record);
  double last_end = 0.0, flow = 0.0;
  for (const JobRecord& job : record.jobs) {
    last_end = std::max(last_end, job.end_s);
    flow += job.end_s - job.arrival_s;
  }
  metrics.makespan_over_bound = over(last_end, bounds.makespan_s);
  if (metrics.jobs > 0) metrics.flow_over_bound = over(flow / metrics.jobs, bounds.mean_flow_s);
  metrics.utilisation = utilisation_of(record, last_end, gpu_count);
  metrics.fairness = fairness_of(record);
  metrics.promises = {light_wait_s(record), large_job_s(record)};
  return metrics;
}

}  // namespace pixelfleet::simulator
