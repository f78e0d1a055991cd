// Rig: a Sharing with a clock in seconds, gpus with 24 GiB, and the few events that tests are made of.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sharing/sharing.h"

namespace pixelfleet::sharing {

inline constexpr std::int64_t kMiB = std::int64_t{1} << 20;
inline constexpr std::int64_t kGiB = std::int64_t{1} << 30;
inline constexpr std::int64_t kTotal = 24 * kGiB;

// Monday, 5 January 1970, 0:00.
inline constexpr Instant kMonday{std::chrono::hours{4 * 24}};

inline Duration seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

inline Gpu make_gpu(const GpuUuid& uuid, GpuKind kind = GpuKind::nvidia) { return {uuid, 0, uuid, kind, kTotal}; }

// A calm gpu whose driver lists processes: none.
inline GpuSample calm(const GpuUuid& uuid) {
  GpuSample sample;
  sample.uuid = uuid;
  sample.memory_used_bytes = 0;
  sample.memory_free_bytes = kTotal;
  sample.utilization_ratio = 0;
  sample.temperature_celsius = 50;
  sample.detail.temperature_slowdown_celsius = 90;
  sample.detail.processes.emplace();
  return sample;
}

inline GpuSample& add_process(GpuSample& sample, std::int64_t pid, std::int64_t bytes,
                              GpuProcess::Kind kind = GpuProcess::Kind::compute, std::string name = "") {
  sample.detail.processes->push_back({pid, kind, bytes, std::move(name)});
  *sample.memory_used_bytes += bytes;
  *sample.memory_free_bytes -= bytes;
  return sample;
}

inline Settings fleet() {
  Settings settings;
  settings.multi_gpu = Settings::MultiGpu::on;
  return settings;
}

class Rig {
 public:
  explicit Rig(Settings first = fleet(), std::vector<GpuUuid> gpus = {"a"}) : settings(first), sharing(first) {
    for (const GpuUuid& gpu : gpus) {
      step(GpuArrived{make_gpu(gpu)});
      step(GpuSampled{calm(gpu)});
    }
  }

  std::vector<Action> step(const Event& event) {
    last = sharing.step(event, now);
    for (const Action& action : last) {
      if (const auto* close = std::get_if<Close>(&action)) closes.push_back(*close);
      if (const auto* open = std::get_if<Open>(&action)) opens.push_back(open->gpu);
      if (const auto* wake = std::get_if<WakeAt>(&action)) wake_at = wake->at;
    }
    return last;
  }
  void set() { step(SettingsChanged{settings}); }
  void sampled(const GpuSample& sample) { step(GpuSampled{sample}); }

  // The same sample each second for so long.
  void stays(const GpuSample& sample, int for_seconds) {
    for (int i = 0; i < for_seconds; ++i) {
      now += seconds(1);
      sampled(sample);
    }
  }
  // Nothing is told but the timer, when it was asked for.
  void passes(double for_seconds) {
    const Instant end = now + seconds(for_seconds);
    while (wake_at && *wake_at > now && *wake_at <= end) {
      now = *wake_at;
      step(TimerFired{});
    }
    now = end;
  }

  // A worker that holds 8 GiB at rest and 11 GiB at its peak.
  void start_worker(int worker, std::optional<std::int64_t> pid, const GpuUuid& gpu = "a") {
    step(WorkerStarted{WorkerId{worker}, gpu, {7 * kGiB, 3 * kGiB, kGiB}});
    if (pid) step(WorkerSpawned{WorkerId{worker}, *pid});
    step(WorkerReady{WorkerId{worker}});
    step(WorkerMeasured{WorkerId{worker}, 8 * kGiB, 11 * kGiB});
  }

  Verdict verdict(const GpuUuid& gpu = "a") const {
    for (const Verdict& verdict : sharing.gpus()) {
      if (verdict.gpu == gpu) return verdict;
    }
    return {};
  }
  bool is_open(const GpuUuid& gpu = "a") const { return verdict(gpu).state == Verdict::State::open; }
  // The codes of all reasons, "others_compute too_hot".
  std::string why(const GpuUuid& gpu = "a") const {
    std::string codes;
    for (const Reason& reason : verdict(gpu).reasons) {
      codes += (codes.empty() ? "" : " ") + std::string(name(reason));
    }
    return codes;
  }
  template <class Wanted>
  Wanted reason(const GpuUuid& gpu = "a") const {
    for (const Reason& reason : verdict(gpu).reasons) {
      if (const auto* wanted = std::get_if<Wanted>(&reason)) return *wanted;
    }
    return {};
  }
  double seconds_until(Instant instant) const { return std::chrono::duration<double>(instant - now).count(); }

  Settings settings;
  Sharing sharing;
  Instant now = kMonday;
  std::vector<Action> last;
  std::vector<Close> closes;
  std::vector<GpuUuid> opens;
  std::optional<Instant> wake_at;
};

}  // namespace pixelfleet::sharing
