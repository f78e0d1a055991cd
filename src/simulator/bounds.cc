#include "simulator/bounds.h"

#include <algorithm>
#include <limits>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "base/check.h"
#include "simulator/machine.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// What a bound needs of a job: when it comes, and the least it takes.
struct LeastJob {
  double arrival_s = 0.0;
  int model = 0;
  double run_s = 0.0;    // on its best gpu
  double chunk_s = 0.0;  // the largest chunk of an even split over all gpus, on its best gpu
  bool first_of_model = false;
};

struct LeastLoad {
  double from_disk_s = kNever;        // until a model that nobody has read is on a gpu
  double weighted_from_host_s = 0.0;  // gpu time x speed of that gpu: the work that a load displaces
};

struct Fleet {
  double speed = 0.0;  // S
  std::vector<LeastJob> jobs;
  std::vector<LeastLoad> loads;  // by model
};

// Gpus of one type, as far as costs go.
struct Kind {
  int gpu = 0;  // one of them
  int count = 0;
  double speed = 0.0;
};

std::vector<Kind> kinds_of(const Machine& machine) {
  std::vector<Kind> kinds;
  for (int gpu = 0; gpu < machine.gpu_count(); ++gpu) {
    const auto known =
        std::ranges::find(kinds, machine.gpu_type(gpu), [&](const Kind& kind) { return machine.gpu_type(kind.gpu); });
    if (known == kinds.end()) {
      kinds.push_back({gpu, 1, 0.0});
    } else {
      ++known->count;
    }
  }
  return kinds;
}

// The least time of `images` of a job; raises each kind's speed to what it is on them. Infinity: fits nowhere.
double least_run_s(const Machine& machine, const TraceJob& job, int images, std::vector<Kind>& kinds) {
  std::vector<std::pair<Kind*, double>> times;
  double least = kNever;
  for (Kind& kind : kinds) {
    if (!machine.fits(job.model, kind.gpu)) continue;
    times.emplace_back(&kind, machine.run_seconds(job, kind.gpu, images));
    least = std::min(least, times.back().second);
  }
  for (const auto& [kind, time] : times) kind->speed = std::max(kind->speed, least / time);
  return least;
}

LeastLoad least_load(const Machine& machine, int model, const std::vector<Kind>& kinds) {
  LeastLoad least;
  double weighted = kNever;
  for (const Kind& kind : kinds) {
    if (!machine.fits(model, kind.gpu)) continue;
    least.from_disk_s = std::min(least.from_disk_s, machine.load_from_disk_seconds(model, kind.gpu, 0));
    weighted = std::min(weighted, kind.speed * machine.load_from_host_seconds(model, kind.gpu));
  }
  if (weighted < kNever) least.weighted_from_host_s = weighted;
  return least;
}

Fleet fleet_of(const Trace& trace, const Machine& machine) {
  Fleet fleet;
  std::vector<Kind> kinds = kinds_of(machine);
  std::vector<bool> seen(trace.models.size(), false);
  for (const TraceJob& job : trace.jobs) {
    const int chunk = (job.images + machine.gpu_count() - 1) / machine.gpu_count();
    LeastJob least{job.arrival_s, job.model, least_run_s(machine, job, job.images, kinds), 0.0, false};
    if (least.run_s == kNever) continue;
    least.chunk_s = least_run_s(machine, job, chunk, kinds);
    // Speeds differ least on single images, where the overhead, the same on every gpu, weighs most.
    least_run_s(machine, job, 1, kinds);
    const auto model = static_cast<std::size_t>(job.model);
    least.first_of_model = !seen[model];
    seen[model] = true;
    fleet.jobs.push_back(least);
  }
  for (const Kind& kind : kinds) fleet.speed += kind.count * kind.speed;
  for (std::size_t model = 0; model < trace.models.size(); ++model) {
    fleet.loads.push_back(least_load(machine, static_cast<int>(model), kinds));
  }
  return fleet;
}

enum class Loads { stop_their_gpu, behind_runs };

double makespan_s(const Fleet& fleet, Loads loads) {
  double work_s = 0.0;
  double bound = 0.0;
  double first_load_s = kNever;
  for (auto job = fleet.jobs.rbegin(); job != fleet.jobs.rend(); ++job) {
    const LeastLoad& load = fleet.loads[static_cast<std::size_t>(job->model)];
    work_s += job->run_s;
    double own_s = job->chunk_s;
    if (job->first_of_model) {
      own_s += load.from_disk_s;
      first_load_s = std::min(first_load_s, load.from_disk_s);
      if (loads == Loads::stop_their_gpu) work_s += load.weighted_from_host_s;
    }
    bound = std::max({bound, job->arrival_s + work_s / fleet.speed, job->arrival_s + own_s});
  }
  // Before the quickest of all loads nothing can run; there is nothing that it could be behind.
  if (loads == Loads::behind_runs && !fleet.jobs.empty()) {
    bound = std::max(bound, fleet.jobs.front().arrival_s + first_load_s + work_s / fleet.speed);
  }
  return bound;
}

// Each job's mean time of being run, less its arrival, summed: preemptive shortest-total-first at speed S.
double mean_busy_times_s(const Fleet& fleet) {
  using Waiting = std::pair<double, std::size_t>;  // run_s, job
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting;
  std::vector<double> left_s;
  for (const LeastJob& job : fleet.jobs) left_s.push_back(job.run_s);
  double sum = 0.0;
  double now_s = 0.0;
  std::size_t next = 0;
  while (next < fleet.jobs.size() || !waiting.empty()) {
    if (waiting.empty()) now_s = std::max(now_s, fleet.jobs[next].arrival_s);
    for (; next < fleet.jobs.size() && fleet.jobs[next].arrival_s <= now_s; ++next) {
      waiting.emplace(fleet.jobs[next].run_s, next);
    }
    const auto [run_s, index] = waiting.top();
    const double until_s = next < fleet.jobs.size() ? fleet.jobs[next].arrival_s : kNever;
    const double end_s = now_s + left_s[index] / fleet.speed;
    const bool ends = end_s <= until_s;
    const double stop_s = ends ? end_s : until_s;
    const double part = (stop_s - now_s) * fleet.speed / run_s;
    sum += part * ((now_s + stop_s) / 2.0 - fleet.jobs[index].arrival_s);
    left_s[index] -= (stop_s - now_s) * fleet.speed;
    if (ends) waiting.pop();
    now_s = stop_s;
  }
  return sum;
}

enum class Jobs { whole, split };

double mean_flow_s(const Fleet& fleet, double busy_times_s, Jobs jobs) {
  double after_mean_s = 0.0;
  double own_s = 0.0;
  for (const LeastJob& job : fleet.jobs) {
    after_mean_s += job.run_s / 2.0 / (jobs == Jobs::whole ? 1.0 : fleet.speed);
    own_s += jobs == Jobs::whole ? job.run_s : job.chunk_s;
    if (job.first_of_model) own_s += fleet.loads[static_cast<std::size_t>(job.model)].from_disk_s;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(1, fleet.jobs.size()));
  return std::max(busy_times_s + after_mean_s, own_s) / count;
}

// For each job, the next one of its model; the number of jobs where there is none.
std::vector<std::size_t> next_uses(const std::vector<LeastJob>& jobs) {
  std::vector<std::size_t> next(jobs.size());
  std::map<int, std::size_t> later;
  for (std::size_t i = jobs.size(); i-- > 0;) {
    const auto found = later.find(jobs[i].model);
    next[i] = found == later.end() ? jobs.size() : found->second;
    later[jobs[i].model] = i;
  }
  return next;
}

int belady_loads(const std::vector<LeastJob>& jobs, const Machine& machine) {
  double room = 0.0;
  for (int gpu = 0; gpu < machine.gpu_count(); ++gpu) room += machine.memory_bytes(gpu);
  const auto bytes_of = [&](int model) { return machine.weight_bytes(model) + machine.worker_overhead_bytes(); };
  const std::vector<std::size_t> next = next_uses(jobs);
  std::set<std::pair<std::size_t, int>> held;  // next use, model
  int loads = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (held.erase({i, jobs[i].model}) == 0) {
      ++loads;
      room -= bytes_of(jobs[i].model);
      while (room < 0.0 && !held.empty()) {
        const auto last_needed = std::prev(held.end());
        room += bytes_of(last_needed->second);
        held.erase(last_needed);
      }
    }
    held.emplace(next[i], jobs[i].model);
  }
  return loads;
}

}  // namespace

Bounds bounds_of(const Trace& trace, Regime regime, Capabilities capabilities) {
  const auto machine = Machine::make(trace.machine, trace.models, regime, capabilities);
  CHECK(machine);
  const Fleet fleet = fleet_of(trace, *machine);
  const double busy_times_s = mean_busy_times_s(fleet);
  Bounds bounds;
  bounds.makespan_s = makespan_s(fleet, Loads::stop_their_gpu);
  bounds.makespan_load_behind_s = makespan_s(fleet, Loads::behind_runs);
  bounds.mean_flow_s = mean_flow_s(fleet, busy_times_s, Jobs::whole);
  bounds.mean_flow_split_s = mean_flow_s(fleet, busy_times_s, Jobs::split);
  bounds.load_floor = static_cast<int>(std::ranges::count_if(fleet.jobs, &LeastJob::first_of_model));
  bounds.belady_loads = belady_loads(fleet.jobs, *machine);
  return bounds;
}

}  // namespace pixelfleet::simulator
