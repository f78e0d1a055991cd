#include "simulator/bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "base/format.h"
#include "base/rng.h"
#include "simulator/machine.h"
#include "simulator/traces.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

TraceModel sdxl() { return {"SDXL", 6.9e9}; }
TraceModel flux() { return {"FLUX8", 17e9}; }

// One image of 1024 x 1024 in 20 steps. On a 4090: SDXL 0.45 + 20 * 0.13 = 3.05 s, FLUX8 0.8 + 20 * 0.6 = 12.8 s.
TraceJob job(double arrival_s, int model) {
  TraceJob made;
  made.arrival_s = arrival_s;
  made.model = model;
  return made;
}

Trace trace_of(std::vector<std::string> gpus, std::vector<TraceModel> models, std::vector<TraceJob> jobs) {
  Trace trace;
  trace.machine.gpus = std::move(gpus);
  trace.models = std::move(models);
  trace.jobs = std::move(jobs);
  return trace;
}

Bounds slow_bounds(const Trace& trace) { return bounds_of(trace, Regime::slow, Capabilities::ideal); }

// Loads on a 4090, slow regime: an SDXL takes 5.6364 s from host memory (2.5 + 6.9 / 2.2) and 9.4 s from the disk, a
// FLUX8 11.7273 s (4 + 17 / 2.2) and 21 s
TEST(Bounds, OneGpuDoesAllWorkAndTheFirstLoadsOneAfterTheOther) {
  const Bounds bounds = slow_bounds(trace_of({"4090-24"}, {flux(), sdxl()}, {job(0, 0), job(0, 0), job(0, 1)}));
  EXPECT_NEAR(bounds.makespan_s, 12.8 + 12.8 + 3.05 + 11.7273 + 5.6364, 1e-3);
  EXPECT_NEAR(bounds.makespan_load_behind_s, 9.4 + 12.8 + 12.8 + 3.05, 1e-3);
  EXPECT_EQ(bounds.load_floor, 2);
  EXPECT_EQ(bounds.belady_loads, 2);
}

TEST(Bounds, TheLastArrivalNeedsItsOwnTimeAndAFirstLoadFromTheDisk) {
  const Bounds bounds = slow_bounds(trace_of({"4090-24"}, {flux(), sdxl()}, {job(0, 1), job(1000, 0)}));
  EXPECT_NEAR(bounds.makespan_s, 1000 + 21 + 12.8, 1e-3);
  const Bounds known = slow_bounds(trace_of({"4090-24"}, {flux()}, {job(0, 0), job(1000, 0)}));
  EXPECT_NEAR(known.makespan_s, 1000 + 12.8, 1e-3);
}

TEST(Bounds, EqualGpusShareTheWork) {
  const std::vector<TraceJob> jobs(20, job(0, 0));
  const Bounds bounds = slow_bounds(trace_of({"4090-24", "4090-24"}, {sdxl()}, jobs));
  EXPECT_NEAR(bounds.makespan_s, (20 * 3.05 + 5.6364) / 2, 1e-3);
}

// SDXL, 20 steps: 0.45 + 20 * 0.055 = 1.55 s on the H100 and 0.45 + 20 * 0.25 = 5.45 s on the V100, so S = 1.28440.
// A load costs least work on the V100: 0.28440 * (2.5 + 6.9 / 0.99).
TEST(Bounds, AnUnequalGpuCountsByItsSpeed) {
  const std::vector<TraceJob> jobs(50, job(0, 0));
  const Bounds bounds = slow_bounds(trace_of({"H100-80", "V100-16"}, {sdxl()}, jobs));
  EXPECT_NEAR(bounds.makespan_s, (50 * 1.55 + 0.28440 * 9.46970) / 1.28440, 1e-2);
}

// SD15 at 512 x 512: 0.25 + 20 * 0.020 = 0.65 s on the H100, 0.25 + 20 * 0.053 = 1.31 s on the V100, which is thus
// worth 0.49618 of the H100, more than for SDXL. Loads, SDXL and SD15: 3.89394 and 2.42424 s on the H100, 9.46970
// and 4.12121 s on the V100.
TEST(Bounds, AGpuCountsByTheJobThatSuitsItBest) {
  std::vector<TraceJob> jobs(50, job(0, 0));
  jobs[0].model = 1;
  jobs[0].pixels = 512.0 * 512.0;
  const Bounds bounds = slow_bounds(trace_of({"H100-80", "V100-16"}, {sdxl(), {"SD15", 2.1e9}}, jobs));
  const double loads_s = std::min(1.0 * 3.89394, 0.49618 * 9.46970) + std::min(1.0 * 2.42424, 0.49618 * 4.12121);
  EXPECT_NEAR(bounds.makespan_s, (49 * 1.55 + 0.65 + loads_s) / 1.49618, 1e-2);
}

// Four images take 1.125 + 1.1 * 3.76 = 5.261 s on the H100; but split into single ones, the V100 is worth 0.28440.
TEST(Bounds, AGpuCountsByTheChunkThatSuitsItBest) {
  std::vector<TraceJob> jobs(50, job(0, 0));
  for (TraceJob& each : jobs) each.images = 4;
  const Bounds bounds = slow_bounds(trace_of({"H100-80", "V100-16"}, {sdxl()}, jobs));
  EXPECT_NEAR(bounds.makespan_s, (50 * 5.261 + 0.28440 * 9.46970) / 1.28440, 1e-2);
}

TEST(Bounds, MeanFlowOfEqualJobsAtOnceIsThatOfTheirQueue) {
  const std::vector<TraceJob> jobs(10, job(5, 0));
  const Bounds bounds = slow_bounds(trace_of({"4090-24"}, {sdxl()}, jobs));
  EXPECT_NEAR(bounds.mean_flow_s, 3.05 * 5.5, 1e-6);  // (1 + ... + 10) / 10
}

// The long job runs 0-5, gives way to ten short ones until 35.5 and ends at 43.3. Its mean time of running is
// (5 * 2.5 + 7.8 * 39.4) / 12.8 = 24.9859, half of it after that 6.4; the short ones take 3.05 * (1 + ... + 10).
TEST(Bounds, ShortJobsInterruptALongOne) {
  std::vector<TraceJob> jobs(11, job(5, 1));
  jobs[0] = job(0, 0);
  const Bounds bounds = slow_bounds(trace_of({"4090-24"}, {flux(), sdxl()}, jobs));
  EXPECT_NEAR(bounds.mean_flow_s, (24.9859 + 6.4 + 167.75) / 11, 1e-3);
}

TEST(Bounds, AJobAloneTakesItsOwnTimeAndItsLoad) {
  const Bounds bounds = slow_bounds(trace_of({"4090-24", "4090-24"}, {sdxl()}, {job(3, 0)}));
  EXPECT_NEAR(bounds.mean_flow_s, 9.4 + 3.05, 1e-6);
}

// Two of four images: 0.45 * 1.5 + 20 * 0.13 * (0.08 + 0.92 * 2) = 5.667 s on each of two gpus.
TEST(Bounds, ASplitJobIsBoundedByItsLargestChunk) {
  Trace trace = trace_of({"4090-24", "4090-24"}, {sdxl()}, {job(0, 0)});
  trace.jobs[0].images = 4;
  const Bounds bounds = slow_bounds(trace);
  EXPECT_NEAR(bounds.mean_flow_split_s, 9.4 + 5.667, 1e-3);
  EXPECT_NEAR(bounds.makespan_s, 9.4 + 5.667, 1e-3);
  EXPECT_GT(bounds.mean_flow_s, bounds.mean_flow_split_s);
}

// Three SDXL fit 22.5 GB. A B C are loaded; D replaces C, which is needed last; C comes back; D is still there.
TEST(Bounds, BeladyDropsWhatIsNeededLast) {
  std::vector<TraceJob> jobs;
  for (int i = 0; i < 8; ++i) jobs.push_back(job(i, i % 4));
  const Bounds bounds = slow_bounds(trace_of({"4090-24"}, {sdxl(), sdxl(), sdxl(), sdxl()}, jobs));
  EXPECT_EQ(bounds.belady_loads, 5);
  EXPECT_EQ(bounds.load_floor, 4);
}

TEST(Bounds, BeladyMakesRoomForLargeModels) {
  const std::vector<TraceJob> jobs = {job(0, 1), job(1, 2), job(2, 0), job(3, 1), job(4, 0), job(5, 2)};
  const Bounds bounds = slow_bounds(trace_of({"4090-24"}, {flux(), sdxl(), sdxl()}, jobs));
  // B C, then A pushes out both (C, then B); B pushes out A, A comes back and pushes out B, C pushes out A.
  EXPECT_EQ(bounds.belady_loads, 6);
}

TEST(Bounds, AModelThatFitsNowhereIsLeftOut) {
  const Bounds bounds = slow_bounds(trace_of({"V100-16"}, {flux(), sdxl()}, {job(0, 0), job(0, 1)}));
  EXPECT_EQ(bounds.load_floor, 1);
  EXPECT_LT(bounds.makespan_s, 100.0);
  EXPECT_EQ(slow_bounds(trace_of({"V100-16"}, {flux()}, {job(0, 0)})).makespan_s, 0.0);
  EXPECT_EQ(slow_bounds(trace_of({"V100-16"}, {flux()}, {})).mean_flow_s, 0.0);
}

// Exhaustive search on tiny traces, on a machine that is kinder than ours: gpus hold any number of models, reading
// ahead from the disk starts when the first job for a model arrives and is as quick as for one reader.

struct Piece {
  std::size_t job = 0;
  int images = 1;
};

struct Best {
  double makespan_s = kNone;
  double mean_flow_s = kNone;
};

class Search {
 public:
  Search(const Trace& trace, Regime regime, std::vector<Piece> pieces)
      : trace_(trace),
        machine_(*Machine::make(trace.machine, trace.models, regime, Capabilities::ideal)),
        pieces_(std::move(pieces)) {
    for (const TraceJob& each : trace.jobs) first_arrival_s_.try_emplace(each.model, each.arrival_s);
  }

  enum class Loads { stop_their_gpu, behind_runs };

  Best best(Loads loads) {
    Best best;
    std::vector<std::size_t> order(pieces_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    do {
      for (std::size_t cut = 0; cut <= order.size(); ++cut) {
        if (machine_.gpu_count() == 1 && cut < order.size()) continue;
        try_one(order, cut, loads, best);
      }
    } while (std::ranges::next_permutation(order).found);
    return best;
  }

 private:
  double earliest_on_gpu_s(int model, int gpu) const {
    return first_arrival_s_.at(model) + machine_.load_from_disk_seconds(model, gpu, 0);
  }

  // The first `cut` pieces of the order on gpu 0, the others on gpu 1, each as early as it can be.
  void try_one(const std::vector<std::size_t>& order, std::size_t cut, Loads loads, Best& best) const {
    std::vector<double> ends(trace_.jobs.size(), 0.0);
    for (int gpu = 0; gpu < machine_.gpu_count(); ++gpu) {
      double free_s = 0.0;
      std::map<int, bool> held;
      for (std::size_t i = gpu == 0 ? 0 : cut; i < (gpu == 0 ? cut : order.size()); ++i) {
        const Piece& piece = pieces_[order[i]];
        const TraceJob& of = trace_.jobs[piece.job];
        if (!machine_.fits(of.model, gpu)) return;
        if (!std::exchange(held[of.model], true)) {
          const double begin_s = std::max(free_s, first_arrival_s_.at(of.model));
          const double stopped_s = begin_s + machine_.load_from_host_seconds(of.model, gpu);
          free_s = std::max(loads == Loads::stop_their_gpu ? stopped_s : free_s, earliest_on_gpu_s(of.model, gpu));
        }
        free_s = std::max(free_s, of.arrival_s) + machine_.run_seconds(of, gpu, piece.images);
        ends[piece.job] = std::max(ends[piece.job], free_s);
      }
    }
    double flow_s = 0.0;
    for (std::size_t i = 0; i < ends.size(); ++i) flow_s += ends[i] - trace_.jobs[i].arrival_s;
    best.makespan_s = std::min(best.makespan_s, std::ranges::max(ends));
    best.mean_flow_s = std::min(best.mean_flow_s, flow_s / static_cast<double>(ends.size()));
  }

  const Trace& trace_;
  Machine machine_;
  std::vector<Piece> pieces_;
  std::map<int, double> first_arrival_s_;
};

Trace tiny_trace(Rng& rng, int max_jobs, int max_images) {
  const std::vector<std::string> types = {"H100-80", "A100-40", "4090-24", "V100-16"};
  const std::vector<TraceModel> families = {{"SD15", 2.1e9}, sdxl(), flux()};
  Trace trace;
  const auto gpus = 1 + rng.below(2);
  for (std::uint64_t i = 0; i < gpus; ++i) trace.machine.gpus.push_back(types[rng.below(types.size())]);
  trace.machine.disk_bytes_per_second = rng.chance(0.5) ? 1e9 : 0.25e9;
  const auto models = 1 + rng.below(3);
  for (std::uint64_t i = 0; i < models; ++i) trace.models.push_back(families[rng.below(families.size())]);
  const auto jobs = 1 + rng.below(static_cast<std::uint64_t>(max_jobs));
  const double spread_s = rng.chance(0.3) ? 0.0 : 40.0;
  for (std::uint64_t i = 0; i < jobs; ++i) {
    TraceJob made = job(spread_s * rng.unit(), static_cast<int>(rng.below(models)));
    made.images = 1 + static_cast<int>(rng.below(static_cast<std::uint64_t>(max_images)));
    made.steps = 10 + static_cast<int>(rng.below(80));
    made.pixels = rng.chance(0.5) ? 1024.0 * 1024.0 : 512.0 * 768.0;
    trace.jobs.push_back(made);
  }
  std::ranges::sort(trace.jobs, {}, &TraceJob::arrival_s);
  return trace;
}

std::vector<Piece> whole(const Trace& trace) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) pieces.push_back({i, trace.jobs[i].images});
  return pieces;
}

std::vector<Piece> single_images(const Trace& trace) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i)
    pieces.insert(pieces.end(), static_cast<std::size_t>(trace.jobs[i].images), {i, 1});
  return pieces;
}

constexpr double kSlack = 1e-6;
constexpr std::array kRegimes = {Regime::slow, Regime::fast, Regime::sdcpp};

TEST(Bounds, AreNeverAboveTheBestScheduleOfWholeJobs) {
  const std::uint64_t base = random_seed() % 1'000'000;
  for (std::uint64_t seed = base; seed < base + 400; ++seed) {
    SCOPED_TRACE(format("seed {}", seed));
    Rng rng(seed);
    const Trace trace = tiny_trace(rng, 5, 4);
    const Regime regime = kRegimes[rng.below(kRegimes.size())];
    const Bounds bounds = bounds_of(trace, regime, Capabilities::ideal);
    Search search(trace, regime, whole(trace));
    const Best stopping = search.best(Search::Loads::stop_their_gpu);
    if (stopping.makespan_s == kNone) continue;  // a model that fits nowhere
    const Best behind = search.best(Search::Loads::behind_runs);
    ASSERT_LE(bounds.makespan_s, stopping.makespan_s + kSlack);
    ASSERT_LE(bounds.makespan_load_behind_s, behind.makespan_s + kSlack);
    ASSERT_LE(bounds.mean_flow_s, behind.mean_flow_s + kSlack);
  }
}

TEST(Bounds, AreNeverAboveTheBestScheduleOfSplitJobs) {
  const std::uint64_t base = random_seed() % 1'000'000;
  for (std::uint64_t seed = base; seed < base + 400; ++seed) {
    SCOPED_TRACE(format("seed {}", seed));
    Rng rng(seed);
    const Trace trace = tiny_trace(rng, 3, 2);
    const Regime regime = kRegimes[rng.below(kRegimes.size())];
    const Bounds bounds = bounds_of(trace, regime, Capabilities::ideal);
    Search search(trace, regime, single_images(trace));
    const Best stopping = search.best(Search::Loads::stop_their_gpu);
    if (stopping.makespan_s == kNone) continue;
    const Best behind = search.best(Search::Loads::behind_runs);
    ASSERT_LE(bounds.makespan_s, stopping.makespan_s + kSlack);
    ASSERT_LE(bounds.makespan_load_behind_s, behind.makespan_s + kSlack);
    ASSERT_LE(bounds.mean_flow_split_s, behind.mean_flow_s + kSlack);
  }
}

TEST(Bounds, OrderedBySoundAssumptionsOnEveryTrace) {
  for (const std::string& name : trace_names()) {
    const auto trace = make_trace(name, 1);
    if (!trace) continue;  // T10 without its file
    const Bounds bounds = slow_bounds(*trace);
    EXPECT_GE(bounds.makespan_s, trace->jobs.back().arrival_s) << name;
    EXPECT_GE(bounds.mean_flow_s, bounds.mean_flow_split_s) << name;
    EXPECT_GE(bounds.belady_loads, bounds.load_floor) << name;
  }
}

}  // namespace
}  // namespace pixelfleet::simulator
