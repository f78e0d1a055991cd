// Rig: a Health with a clock in seconds and the few events that tests are made of.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "health/health.h"

namespace pixelfleet::health {

inline constexpr double kHour = 3600.0;

class Rig {
 public:
  explicit Rig(std::vector<GpuUuid> gpus = {"a", "b", "c", "d"}) {
    for (const GpuUuid& gpu : gpus) seen(gpu);
  }

  void at(double seconds) {
    now_ = kStart + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }
  void later(double seconds) { now_ += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)); }
  double seconds(Instant instant) const { return std::chrono::duration<double>(instant - kStart).count(); }
  Instant instant() const { return now_; }

  std::vector<Action> step(const Event& event) {
    std::vector<Action> actions = health_.step(event, now_);
    for (const Action& action : actions) {
      if (const auto* changed = std::get_if<StateChanged>(&action)) rows_.push_back(*changed);
      canaries_ += std::holds_alternative<RunCanary>(action) ? 1 : 0;
      if (const auto* wake = std::get_if<WakeAt>(&action)) wake_at_ = wake->at;
    }
    last_ = actions;
    return actions;
  }
  void timer() { step(TimerFired{}); }

  // Lets time pass until then, with a timer whenever one is wanted.
  void pass(double seconds) {
    const Instant end = now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    while (wake_at_ && *wake_at_ > now_ && *wake_at_ <= end) {
      now_ = *wake_at_;
      timer();
    }
    now_ = end;
    timer();
  }

  void seen(const GpuUuid& gpu, RecoveryAction recovery = RecoveryAction::none) { step(GpuSeen{gpu, recovery}); }
  std::vector<Action> start(const GpuUuid& gpu, int job, const ModelKey& model = "m") {
    return step(ChunkStarted{gpu, JobId{job}, model});
  }
  std::vector<Action> done(const GpuUuid& gpu, int job, const ModelKey& model = "m") {
    return step(ChunkDone{gpu, JobId{job}, model});
  }
  std::vector<Action> fail(const GpuUuid& gpu, int job, Exit exit = Exit::crash, const ModelKey& model = "m") {
    return step(WorkerFailed{gpu, JobId{job}, model, Phase::running, exit, {"signal SIGSEGV"}});
  }
  std::vector<Action> fail_load(const GpuUuid& gpu, const ModelKey& model, int job = 0, Exit exit = Exit::crash) {
    WorkerFailed failure{gpu, {}, model, Phase::loading, exit, {}};
    if (job != 0) failure.job = JobId{job};
    return step(failure);
  }
  // Two jobs that nobody else has trouble with.
  void take_out(const GpuUuid& gpu) {
    fail(gpu, next_job_++);
    fail(gpu, next_job_++);
  }
  std::vector<Action> canary(const GpuUuid& gpu, Canary result) { return step(CanaryEnded{gpu, result, {}}); }
  void prove(const GpuUuid& gpu) {
    for (int i = 0; i < 3; ++i) done(gpu, next_job_++);
  }

  State state(const GpuUuid& gpu) const { return record(gpu).state; }
  Reason reason(const GpuUuid& gpu) const { return record(gpu).reason; }
  GpuRecord record(const GpuUuid& gpu) const {
    for (const GpuRecord& record : health_.gpus()) {
      if (record.gpu == gpu) return record;
    }
    return {};
  }
  // Of the back-off, from now.
  double waits(const GpuUuid& gpu) const { return seconds(record(gpu).until.value_or(now_)) - seconds(now_); }

  template <class Wanted>
  static std::vector<Wanted> only(const std::vector<Action>& actions) {
    std::vector<Wanted> found;
    for (const Action& action : actions) {
      if (const auto* wanted = std::get_if<Wanted>(&action)) found.push_back(*wanted);
    }
    return found;
  }
  template <class Wanted>
  std::vector<Wanted> last() const {
    return only<Wanted>(last_);
  }

  const std::vector<StateChanged>& rows() const { return rows_; }
  int canaries() const { return canaries_; }
  std::optional<Instant> wake_at() const { return wake_at_; }
  Health& health() { return health_; }

  // As a restart finds it: each gpu's last row.
  void restart() {
    std::map<GpuUuid, GpuRecord> last;
    for (const StateChanged& row : rows_) last[row.record.gpu] = row.record;
    std::vector<GpuRecord> records;
    for (const auto& [gpu, record] : last) records.push_back(record);
    health_ = Health(records);
    wake_at_.reset();
  }

 private:
  static constexpr Instant kStart{std::chrono::hours{500000}};
  Health health_;
  Instant now_ = kStart;
  std::vector<StateChanged> rows_;
  std::vector<Action> last_;
  std::optional<Instant> wake_at_;
  int next_job_ = 1000;
  int canaries_ = 0;
};

}  // namespace pixelfleet::health
