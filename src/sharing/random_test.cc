// Any events in any order, with values that make no sense: what must hold for what Sharing and the ledger say.
//
// The seed is printed; PIXELFLEET_SHARING_SEED=N repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <limits>
#include <set>

#include "base/format.h"
#include "base/rng.h"
#include "sharing/memory_ledger.h"
#include "sharing/test_rig.h"

namespace pixelfleet::sharing {
namespace {

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : rng_(seed) {}

  void run() {
    for (int i = 0; i < 3000 && !testing::Test::HasFailure(); ++i) {
      now_ += std::chrono::milliseconds{rng_.below(rng_.chance(0.05) ? 200'000 : 1500)};
      step(any_event());
    }
  }

 private:
  template <std::size_t N>
  std::int64_t one_of(const std::int64_t (&values)[N]) {
    return values[rng_.below(N)];
  }
  GpuUuid any_gpu() { return format("gpu-{}", rng_.below(4)); }
  WorkerId any_worker() { return WorkerId{static_cast<std::int64_t>(rng_.below(6))}; }
  JobId any_job() { return JobId{static_cast<std::int64_t>(rng_.below(6))}; }
  std::int64_t any_bytes() {
    return one_of({0, -1, kMiB, kGiB, 5 * kGiB, 12 * kGiB, kTotal, kTotal + 1, std::numeric_limits<std::int64_t>::max(),
                   std::numeric_limits<std::int64_t>::min()});
  }
  double any_number() {
    const double strange[] = {0,
                              -40,
                              255,
                              0.5,
                              1,
                              60,
                              85,
                              95,
                              std::numeric_limits<double>::quiet_NaN(),
                              std::numeric_limits<double>::infinity()};
    return strange[rng_.below(std::size(strange))];
  }
  template <class T>
  std::optional<T> perhaps(T value) {
    return rng_.chance(0.8) ? std::optional<T>(value) : std::nullopt;
  }

  Settings any_settings() {
    Settings settings;
    settings.multi_gpu = rng_.chance(0.2) ? Settings::MultiGpu::off : Settings::MultiGpu::on;
    if (rng_.chance(0.2)) settings.idle_memory_bytes = any_bytes();
    if (rng_.chance(0.2)) settings.quiet_time = seconds(static_cast<double>(rng_.below(100)) - 20);
    if (rng_.chance(0.2)) settings.margin_bytes = any_bytes();
    for (int i = 0; i < 3; ++i) {
      GpuSettings& gpu = settings.gpus[any_gpu()];
      gpu.share = perhaps(static_cast<Share>(rng_.below(3)));
      gpu.ceiling = perhaps(Ceiling{static_cast<Ceiling::Rule>(rng_.below(3)), any_number()});
      if (rng_.chance(0.2))
        gpu.quiet_hours = {{static_cast<int>(rng_.below(1440)), static_cast<int>(rng_.below(1440))}};
    }
    return settings;
  }
  GpuSample any_sample() {
    GpuSample sample;
    sample.uuid = any_gpu();
    sample.memory_used_bytes = perhaps(any_bytes());
    sample.memory_free_bytes = perhaps(any_bytes());
    sample.utilization_ratio = perhaps(any_number());
    sample.temperature_celsius = perhaps(any_number());
    sample.detail.temperature_slowdown_celsius = perhaps(any_number());
    sample.detail.display_active = perhaps(rng_.chance(0.05));
    if (rng_.chance(0.05)) sample.detail.driver_code = 15;
    if (rng_.chance(0.2)) return sample;
    sample.detail.processes.emplace();
    for (std::uint64_t i = rng_.below(4); i > 0; --i) {
      const auto kind = rng_.chance(0.3) ? GpuProcess::Kind::graphics : GpuProcess::Kind::compute;
      sample.detail.processes->push_back({static_cast<std::int64_t>(rng_.below(8)), kind, perhaps(any_bytes())});
    }
    return sample;
  }
  Event any_event() {
    switch (rng_.below(28)) {
      case 0: return SettingsChanged{any_settings()};
      case 1: return LocalTimeTold{seconds(static_cast<double>(rng_.below(90'000)) - 45'000)};
      case 2: return GpuArrived{{any_gpu(), 0, "", GpuKind::nvidia, one_of({0, kTotal, kTotal, 40 * kGiB})}};
      case 3: return GpuArrived{{any_gpu(), 0, "", GpuKind::amd, kTotal}};
      case 4: return GpuGone{any_gpu()};
      case 5: return WorkerStarted{any_worker(), any_gpu(), {any_bytes() / 4, kGiB, 300 * kMiB}};
      case 6: return WorkerSpawned{any_worker(), static_cast<std::int64_t>(rng_.below(8))};
      case 7: return WorkerReady{any_worker()};
      case 8: return WorkerMeasured{any_worker(), perhaps(any_bytes()), perhaps(any_bytes())};
      case 9: return WorkerEnded{any_worker()};
      case 10: return ChunkStarted{any_worker(), any_job()};
      case 11: return ChunkEnded{any_worker()};
      case 12: return GpuOverridden{any_gpu(), perhaps(now_ + seconds(static_cast<double>(rng_.below(600))))};
      case 13: return GpuOverrideEnded{any_gpu()};
      case 14: return TimerFired{};
      default: return GpuSampled{any_sample()};
    }
  }

  void step(const Event& event) {
    Sharing twin = sharing_;
    const auto actions = sharing_.step(event, now_);
    EXPECT_EQ(actions.size(), twin.step(event, now_).size()) << "a copy decides the same";
    if (const auto* gone = std::get_if<GpuGone>(&event)) open_.erase(gone->gpu);
    for (const Action& action : actions) {
      if (const auto* wake = std::get_if<WakeAt>(&action)) {
        EXPECT_GT(wake->at, now_);
      }
      if (const auto* open = std::get_if<Open>(&action)) {
        EXPECT_TRUE(open_.insert(open->gpu).second) << "opened twice";
      }
      if (const auto* close = std::get_if<Close>(&action)) open_.erase(close->gpu);
    }
    for (const Verdict& verdict : sharing_.gpus()) {
      const bool open = verdict.state == Verdict::State::open;
      EXPECT_EQ(open, open_.contains(verdict.gpu)) << verdict.gpu << " is what was told of it";
      EXPECT_EQ(open, verdict.reasons.empty());
      EXPECT_LE(verdict.since, now_);
      for (const Reason& reason : verdict.reasons) {
        const bool of_others = !std::holds_alternative<QuietHours>(reason) && !std::holds_alternative<TooHot>(reason);
        if (of_others) {
          EXPECT_NE(verdict.share, Share::always) << name(reason);
        }
      }
    }
    (void)ledger_.step(event, now_);
    for (const MemoryPlan& plan : ledger_.gpus()) {
      EXPECT_EQ(plan.plan_bytes.has_value(), plan.total_bytes > 0);
      EXPECT_GE(plan.plan_bytes.value_or(0), 0);
      EXPECT_LE(plan.plan_bytes.value_or(0), plan.total_bytes);
      EXPECT_GE(plan.others_bytes, 0);
      EXPECT_LE(plan.ours.least, plan.ours.most);
    }
  }

  Rng rng_;
  Instant now_ = kMonday;
  Sharing sharing_;
  MemoryLedger ledger_;
  std::set<GpuUuid> open_;
};

TEST(SharingAtRandom, WhatItSaysHoldsTogether) {
  const char* asked = std::getenv("PIXELFLEET_SHARING_SEED");
  const std::uint64_t first = asked != nullptr ? std::strtoull(asked, nullptr, 10) : random_seed() % 1'000'000;
  std::cout << "seeds from " << first << "\n";
  for (std::uint64_t seed = first; seed < first + 10 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(format("PIXELFLEET_SHARING_SEED={}", seed));
    Chaos(seed).run();
  }
}

}  // namespace
}  // namespace pixelfleet::sharing
