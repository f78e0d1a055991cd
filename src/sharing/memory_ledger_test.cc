// The plan for a gpu's memory: by hand, and against random neighbours.
#include "sharing/memory_ledger.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <deque>
#include <iostream>

#include "base/format.h"
#include "base/rng.h"
#include "sharing/test_rig.h"

namespace pixelfleet::sharing {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kMargin = 512 * kMiB;
constexpr std::int64_t kAll = kTotal - kMargin;

class Ledger {
 public:
  explicit Ledger(Gpu gpu = make_gpu("a")) { step(GpuArrived{std::move(gpu)}); }

  void step(const Event& event) {
    for (const LedgerAction& action : ledger.step(event, now)) {
      if (const auto* changed = std::get_if<PlanChanged>(&action)) plans.push_back(changed->plan_bytes);
      if (const auto* found = std::get_if<DiscrepancyFound>(&action)) found_.push_back(*found);
      ended += std::holds_alternative<DiscrepancyEnded>(action) ? 1 : 0;
    }
  }
  void stays(const GpuSample& sample, int for_seconds) {
    for (int i = 0; i < for_seconds; ++i) {
      now += seconds(1);
      step(GpuSampled{sample});
    }
  }
  void start_worker(int worker, std::optional<std::int64_t> pid) {
    step(WorkerStarted{WorkerId{worker}, "a", {7 * kGiB, 3 * kGiB, kGiB}});
    if (pid) step(WorkerSpawned{WorkerId{worker}, *pid});
    step(WorkerReady{WorkerId{worker}});
    step(WorkerMeasured{WorkerId{worker}, 8 * kGiB, 11 * kGiB});
  }
  MemoryPlan account() const { return ledger.gpus().at(0); }
  std::int64_t plan() const { return account().plan_bytes.value_or(-1); }

  MemoryLedger ledger;
  Instant now = kMonday;
  std::vector<std::int64_t> plans;
  std::vector<DiscrepancyFound> found_;
  int ended = 0;
};

// A driver that lists nobody.
GpuSample used(std::int64_t bytes) {
  GpuSample sample = calm("a");
  sample.detail.processes.reset();
  sample.memory_used_bytes = bytes;
  sample.memory_free_bytes = kTotal - bytes;
  return sample;
}

TEST(MemoryLedger, AnEmptyGpuIsPlannedWithUpToTheMargin) {
  Ledger ledger;
  EXPECT_THAT(ledger.plans, ElementsAre(kAll));
  ledger.stays(calm("a"), 100);
  EXPECT_EQ(ledger.plans.size(), 1u);
}

TEST(MemoryLedger, WhatOthersTakeIsGoneAtOnce) {
  Ledger ledger;
  ledger.start_worker(1, 100);
  GpuSample sample = calm("a");
  add_process(sample, 100, 8 * kGiB);
  ledger.stays(sample, 5);
  EXPECT_EQ(ledger.plan(), kAll) << "ours is ours to plan with";
  ledger.stays(add_process(sample, 900, 10 * kGiB), 1);
  EXPECT_EQ(ledger.plan(), kAll - 10 * kGiB);
  EXPECT_EQ(ledger.account().others_bytes, 10 * kGiB);
  EXPECT_EQ(ledger.account().over_bytes, 0) << "13.5 GiB, of which ours may take 11";
  ledger.stays(add_process(sample, 901, 3 * kGiB), 1);
  EXPECT_EQ(ledger.account().over_bytes, kGiB / 2);
}

TEST(MemoryLedger, GraphicsAndWhatNobodyAccountsForCountToo) {
  Ledger ledger;
  GpuSample sample = calm("a");
  add_process(sample, 900, 2 * kGiB, GpuProcess::Kind::graphics);
  *sample.memory_used_bytes += kGiB;
  *sample.memory_free_bytes -= kGiB;
  ledger.stays(sample, 1);
  EXPECT_EQ(ledger.plan(), kAll - 3 * kGiB);
}

TEST(MemoryLedger, ItGrowsBackAfterHalfAMinuteByWhatWasThereAllTheTime) {
  Ledger ledger;
  ledger.stays(used(10 * kGiB), 1);
  ledger.stays(used(4 * kGiB), 20);
  ledger.stays(used(6 * kGiB), 10);
  EXPECT_EQ(ledger.plan(), kAll - 10 * kGiB);
  ledger.stays(used(4 * kGiB), 1);
  EXPECT_EQ(ledger.plan(), kAll - 6 * kGiB);
  EXPECT_THAT(ledger.plans, ElementsAre(kAll, kAll - 10 * kGiB, kAll - 6 * kGiB));
}

TEST(MemoryLedger, SmallChangesAreTheMarginsBusiness) {
  Ledger ledger;
  ledger.stays(used(10 * kGiB), 1);
  for (int i = 0; i < 100; ++i) {
    ledger.stays(used(10 * kGiB + 60 * kMiB), 1);
    ledger.stays(used(10 * kGiB - 60 * kMiB), 1);
  }
  EXPECT_EQ(ledger.plans.size(), 2u);
  ledger.stays(used(10 * kGiB + 65 * kMiB), 1);
  EXPECT_EQ(ledger.plan(), kAll - 10 * kGiB - 65 * kMiB);
}

TEST(MemoryLedger, WithoutAMarginEveryByteCounts) {
  Ledger ledger;
  Settings settings;
  settings.margin_bytes = 0;
  ledger.step(SettingsChanged{settings});
  EXPECT_EQ(ledger.plan(), kTotal);
  ledger.stays(used(1), 1);
  EXPECT_EQ(ledger.plan(), kTotal - 1);
}

TEST(MemoryLedger, HiddenWorkersAreTakenOffByTheirFigures) {
  Ledger ledger;
  ledger.start_worker(1, std::nullopt);
  ledger.stays(used(8 * kGiB), 10);
  EXPECT_EQ(ledger.plan(), kAll);
  ledger.step(ChunkStarted{WorkerId{1}, JobId{7}});
  ledger.stays(used(11 * kGiB), 20);
  EXPECT_EQ(ledger.plan(), kAll) << "3 GiB more are the chunk's";
  ledger.stays(used(13 * kGiB), 1);
  EXPECT_EQ(ledger.plan(), kAll - 2 * kGiB) << "at least 2 are somebody else's";
  ledger.step(ChunkEnded{WorkerId{1}});
  ledger.stays(used(13 * kGiB), 6);
  EXPECT_EQ(ledger.plan(), kAll - 5 * kGiB) << "at rest it is told exactly";
}

TEST(MemoryLedger, AWorkerThatLoadsUnseenChangesNothing) {
  Ledger ledger;
  ledger.stays(used(5 * kGiB), 1);
  ledger.step(WorkerStarted{WorkerId{1}, "a", {7 * kGiB, 3 * kGiB, kGiB}});
  for (int gib = 5; gib <= 13; ++gib) ledger.stays(used(gib * kGiB), 1);
  EXPECT_EQ(ledger.plan(), kAll - 5 * kGiB);
}

TEST(MemoryLedger, NonsenseAndSilenceChangeNothing) {
  Ledger ledger;
  ledger.stays(used(10 * kGiB), 1);
  GpuSample sample = used(0);
  for (const std::int64_t garbage : {std::int64_t{-1}, kTotal + kGiB, INT64_MAX, INT64_MIN}) {
    sample.memory_used_bytes = garbage;
    sample.memory_free_bytes = garbage;
    ledger.stays(sample, 40);
  }
  sample.memory_used_bytes = 2 * kGiB;
  sample.memory_free_bytes = 0;  // contradicts
  ledger.stays(sample, 40);
  sample.memory_used_bytes.reset();
  sample.memory_free_bytes.reset();
  ledger.stays(sample, 40);
  EXPECT_EQ(ledger.plan(), kAll - 10 * kGiB);
}

TEST(MemoryLedger, OthersThatAreListedCountWhenTheTotalIsNonsense) {
  Ledger ledger;
  GpuSample sample = calm("a");
  add_process(sample, 900, 10 * kGiB);
  sample.memory_used_bytes = INT64_MAX;
  ledger.stays(sample, 1);
  EXPECT_EQ(ledger.plan(), kAll - 10 * kGiB);
}

TEST(MemoryLedger, ADriverThatNeverTellsMemoryLeavesAllButTheMargin) {
  Ledger ledger;
  GpuSample sample = calm("a");
  sample.memory_used_bytes.reset();
  sample.memory_free_bytes.reset();
  ledger.stays(sample, 40);
  EXPECT_EQ(ledger.plan(), kAll);
}

TEST(MemoryLedger, OldDriversCountWhatTheyKeepAsUsed) {
  Ledger ledger;
  GpuSample sample = used(kTotal);
  sample.memory_free_bytes = 0;
  ledger.stays(sample, 1);
  EXPECT_EQ(ledger.plan(), 0) << "others really hold all";
}

TEST(MemoryLedger, AGpuOfUnknownSizeHasNoPlan) {
  Gpu gpu = make_gpu("a");
  gpu.memory_total_bytes = 0;
  Ledger ledger(gpu);
  ledger.stays(used(kGiB), 5);
  EXPECT_FALSE(ledger.account().plan_bytes);
  EXPECT_THAT(ledger.plans, IsEmpty());
}

TEST(MemoryLedger, CpuAndVirtualGpusAreOursAlone) {
  Ledger ledger(make_gpu("a", GpuKind::cpu));
  ledger.stays(used(20 * kGiB), 5);
  EXPECT_EQ(ledger.plan(), kTotal);
}

TEST(MemoryLedger, AGpuThatReturnsIsToldAgain) {
  Ledger ledger;
  ledger.stays(used(10 * kGiB), 1);
  ledger.step(GpuGone{"a"});
  EXPECT_THAT(ledger.ledger.gpus(), IsEmpty());
  ledger.plans.clear();
  ledger.step(GpuArrived{make_gpu("a")});
  EXPECT_THAT(ledger.plans, ElementsAre(kAll - 10 * kGiB));
}

TEST(MemoryLedger, AWorkerThatHoldsMoreThanItSaysIsTold) {
  Ledger ledger;
  ledger.start_worker(1, 100);
  GpuSample sample = calm("a");
  add_process(sample, 100, 13 * kGiB);
  ledger.stays(sample, 10);
  EXPECT_THAT(ledger.found_, IsEmpty());
  ledger.stays(sample, 1);
  ASSERT_EQ(ledger.found_.size(), 1u);
  EXPECT_EQ(ledger.found_[0].believed_bytes, 8 * kGiB);
  EXPECT_EQ(ledger.found_[0].driver_bytes, 13 * kGiB);
  EXPECT_EQ(ledger.account().discrepancy_bytes, 5 * kGiB);
  ledger.step(WorkerMeasured{WorkerId{1}, 13 * kGiB, 14 * kGiB});
  ledger.stays(sample, 11);
  EXPECT_EQ(ledger.ended, 1);
}

TEST(MemoryLedger, AWorkerThatHoldsLessThanItSaysIsToldEvenWhenHidden) {
  Ledger ledger;
  ledger.start_worker(1, std::nullopt);
  ledger.stays(used(5 * kGiB), 20);
  ASSERT_EQ(ledger.found_.size(), 1u);
  EXPECT_EQ(ledger.account().discrepancy_bytes, -3 * kGiB);
}

TEST(MemoryLedger, ATenthIsNoDiscrepancyNorIsAPeakInAChunk) {
  Ledger ledger;
  ledger.start_worker(1, 100);
  GpuSample resting = calm("a");
  ledger.stays(add_process(resting, 100, 8 * kGiB + 8 * kGiB / 10), 60);
  ledger.step(ChunkStarted{WorkerId{1}, JobId{7}});
  GpuSample running = calm("a");
  ledger.stays(add_process(running, 100, 11 * kGiB), 60);
  EXPECT_THAT(ledger.found_, IsEmpty());
}

// --- random neighbours ---

// A gpu in the physical sense: workers that follow the plan, and others who take and give back as they like.
class Neighbourhood {
 public:
  enum class Pids { visible, hidden };
  Neighbourhood(std::uint64_t seed, Pids pids) : rng_(seed), pids_(pids) {}

  void run() {
    for (int second = 0; second < 1500 && !testing::Test::HasFailure(); ++second) {
      ledger_.now += seconds(1);
      others_move();
      workers_move();
      sample();
      keep_to_the_plan();
    }
  }
  int starts = 0;
  int evictions = 0;

 private:
  struct Worker {
    int id = 0;
    std::int64_t resting = 0, peak = 0;
    enum class Stage { loading, ready, running, ending } stage = Stage::loading;
    int seconds_left = 0;
    int calm_for = 0;

    std::int64_t holds() const {
      if (stage == Stage::loading) return resting / 2;
      return stage == Stage::running ? peak : resting;
    }
  };

  std::int64_t mebibytes(int from, int to) {
    return (from + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(to - from)))) * kMiB;
  }
  std::int64_t held() const {
    std::int64_t sum = 0;
    for (const Worker& worker : workers_) sum += worker.holds();
    return sum;
  }
  std::int64_t peaks() const {
    std::int64_t sum = 0;
    for (const Worker& worker : workers_) sum += worker.peak;
    return sum;
  }
  void others_move() {
    if (rng_.chance(0.08)) others_ = std::min(others_ + mebibytes(50, 20'000), std::max(others_, kTotal - held()));
    if (rng_.chance(0.08)) others_ = std::max<std::int64_t>(0, others_ - mebibytes(50, 20'000));
    if (rng_.chance(0.01)) others_ = 0;
  }
  void workers_move() {
    ++ended_for_;
    for (Worker& worker : workers_) {
      ++worker.calm_for;
      if (worker.stage == Worker::Stage::ready && rng_.chance(0.1)) {
        if (worker.peak - worker.resting + held() + others_ > kTotal) continue;  // it would run out of memory
        worker.stage = Worker::Stage::running;
        worker.seconds_left = 1 + static_cast<int>(rng_.below(12));
        ledger_.step(ChunkStarted{WorkerId{worker.id}, JobId{1}});
      }
      if (--worker.seconds_left > 0 || worker.stage == Worker::Stage::ready) continue;
      worker.calm_for = 0;
      const bool fits = held() - worker.holds() + worker.resting + others_ <= kTotal;
      if (worker.stage == Worker::Stage::loading && fits) {
        ledger_.step(WorkerReady{WorkerId{worker.id}});
        ledger_.step(WorkerMeasured{WorkerId{worker.id}, worker.resting, {}});
      } else if (worker.stage == Worker::Stage::running) {
        ledger_.step(ChunkEnded{WorkerId{worker.id}});
      } else {
        ledger_.step(WorkerEnded{WorkerId{worker.id}});
        worker.peak = worker.resting = 0;
        ended_for_ = 0;
      }
      if (worker.peak > 0) worker.stage = Worker::Stage::ready;
    }
    std::erase_if(workers_, [](const Worker& worker) { return worker.peak == 0; });
  }
  void sample() {
    GpuSample sample = calm("a");
    for (const Worker& worker : workers_) add_process(sample, pid_of(worker), worker.holds());
    if (others_ > 0) add_process(sample, 900, others_);
    if (pids_ == Pids::hidden && rng_.chance(0.5)) sample.detail.processes.reset();
    if (rng_.chance(0.02)) sample.memory_used_bytes = INT64_MAX;
    if (rng_.chance(0.02)) sample.memory_free_bytes.reset();
    const bool tells = sample.memory_used_bytes != INT64_MAX;
    ledger_.step(GpuSampled{sample});
    sees_all_ = tells && (pids_ == Pids::visible || all_rest());
  }
  std::int64_t pid_of(const Worker& worker) const { return worker.id + (pids_ == Pids::hidden ? 50'000 : 0); }
  bool all_rest() const {
    return ended_for_ > 5 && std::all_of(workers_.begin(), workers_.end(), [](const Worker& worker) {
             return worker.stage == Worker::Stage::ready && worker.calm_for > 5;
           });
  }
  void keep_to_the_plan() {
    std::int64_t staying = peaks();
    for (Worker& worker : workers_) {
      if (worker.stage == Worker::Stage::ending) staying -= worker.peak;
    }
    for (Worker& worker : workers_) {
      if (staying <= ledger_.plan() || worker.stage == Worker::Stage::ending) continue;
      staying -= worker.peak;
      if (worker.stage == Worker::Stage::running) ledger_.step(ChunkEnded{WorkerId{worker.id}});
      worker.stage = Worker::Stage::ending;
      worker.seconds_left = 1;
      ++evictions;
    }
    if (sees_all_) {
      EXPECT_LE(staying + others_, kTotal) << "after those left that the plan has no room for";
    }
    if (!rng_.chance(0.2)) return;
    Worker worker;
    worker.resting = mebibytes(500, 9'000);
    worker.peak = worker.resting + mebibytes(0, 4'000);
    if (peaks() + worker.peak > ledger_.plan() || held() + worker.holds() + others_ > kTotal) return;
    worker.id = next_id_++;
    worker.seconds_left = 1 + static_cast<int>(rng_.below(8));
    ledger_.step(WorkerStarted{
        WorkerId{worker.id}, "a", {worker.resting - 300 * kMiB, worker.peak - worker.resting, 300 * kMiB}});
    ledger_.step(WorkerSpawned{WorkerId{worker.id}, worker.id});
    workers_.push_back(worker);
    ++starts;
    if (sees_all_) {
      EXPECT_LE(peaks() + others_, kTotal) << "started where there was no room";
    }
  }

  Rng rng_;
  const Pids pids_;
  Ledger ledger_;
  std::deque<Worker> workers_;
  std::int64_t others_ = 0;
  int next_id_ = 100;
  int ended_for_ = 0;
  bool sees_all_ = false;
};

void live_with_random_neighbours(Neighbourhood::Pids pids) {
  const char* asked = std::getenv("PIXELFLEET_SHARING_SEED");
  const std::uint64_t first = asked != nullptr ? std::strtoull(asked, nullptr, 10) : random_seed() % 1'000'000;
  int starts = 0, evictions = 0;
  for (std::uint64_t seed = first; seed < first + 20 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(format("PIXELFLEET_SHARING_SEED={}", seed));
    Neighbourhood neighbourhood(seed, pids);
    neighbourhood.run();
    starts += neighbourhood.starts;
    evictions += neighbourhood.evictions;
  }
  std::cout << "seeds from " << first << ": " << starts << " starts, " << evictions << " evictions\n";
  EXPECT_GT(starts, 200);
  EXPECT_GT(evictions, 100);
}

TEST(MemoryLedgerAtRandom, NeverOversellsWhatWasSeen) { live_with_random_neighbours(Neighbourhood::Pids::visible); }
TEST(MemoryLedgerAtRandom, NeverOversellsWhatWasSeenAtRestWithHiddenWorkers) {
  live_with_random_neighbours(Neighbourhood::Pids::hidden);
}

}  // namespace
}  // namespace pixelfleet::sharing
