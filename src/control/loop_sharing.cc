// Loop: sharing gpus with others: what is told of ours, and what becomes of a verdict.
#include <ctime>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "control/loop.h"

namespace pixelfleet::control {
namespace {

// How often the local time is compared with ours: daylight saving begins, or somebody sets the clock.
constexpr auto kLocalTimeInterval = std::chrono::minutes(1);

Duration local_time_ahead(Instant now) {
  const std::time_t seconds = to_unix_ms(now) / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return std::chrono::seconds(local.tm_gmtoff);
}

}  // namespace

void Loop::start_sharing() {
  tell_local_time();
  // Loop::open has read them once.
  if (auto settings = sharing_settings(this->settings(), options_.sharing)) {
    tell_sharing(sharing::SettingsChanged{std::move(*settings)});
  }
}

void Loop::tell_sharing(sharing::Event event) {
  observations_.emplace_back(std::move(event));
  if (!stepping_) carry_out_observations();
}

void Loop::pass_sharing_time() {
  if (!sharing_wake_at_ || now_ < *sharing_wake_at_) return;
  sharing_wake_at_.reset();
  tell_sharing(sharing::TimerFired{});
}

void Loop::tell_local_time() {
  if (local_time_ahead_ && now_ - local_time_told_ < kLocalTimeInterval) return;
  local_time_told_ = now_;
  const Duration ahead = local_time_ahead(now_);
  if (local_time_ahead_ == ahead) return;
  local_time_ahead_ = ahead;
  tell_sharing(sharing::LocalTimeTold{ahead});
}

// Whether others may be told from ours on every gpu: before, jobs would be held only to be released a moment later.
bool Loop::all_gpus_seen() const {
  for (const sharing::Verdict& verdict : sharing_.gpus()) {
    for (const sharing::Reason& reason : verdict.reasons) {
      if (std::holds_alternative<sharing::NotSeenYet>(reason)) return false;
    }
  }
  return true;
}

void Loop::tell_worker_to_sharing(WorkerId worker, const GpuUuid& gpu, const scheduler::ModelFacts& model) {
  tell_sharing(sharing::WorkerStarted{worker, gpu,
                                      sharing::Claim{model.memory_bytes - model.workspace_bytes, model.workspace_bytes,
                                                     told_policy_.worker_overhead_bytes}});
}

void Loop::handle(WorkerIsSpawned& message) { tell_sharing(sharing::WorkerSpawned{message.worker, message.pid}); }

void Loop::handle(WorkerHasEnded& message) { tell_sharing(sharing::WorkerEnded{message.worker}); }

void Loop::handle(OverrideGpu& message) {
  const auto gpu = find_gpu_called(message.gpu);
  if (!gpu) return message.reply(fail(gpu.error()));
  if (message.minutes.count() > 0) {
    tell_sharing(sharing::GpuOverridden{*gpu, now_ + message.minutes});
  } else {
    tell_sharing(sharing::GpuOverrideEnded{*gpu});
  }
  after_commit([reply = std::move(message.reply), answer = status_of(*gpu)] { reply(answer); });
}

void Loop::carry_out(const sharing::Close& action) {
  log::info("sharing", "gpu {} gets no work: {}", action.gpu, describe(action.reason));
  auto verdict = GpuTerms::Verdict::finish;
  if (action.running == sharing::Running::abandon) {
    verdict = GpuTerms::Verdict::abandon;
  } else if (action.workers == sharing::Workers::keep) {
    verdict = GpuTerms::Verdict::rest;
  }
  set_terms(GpuTerms::Voice::sharing, action.gpu, verdict);
  put_off_canary_of(action.gpu);
}

void Loop::carry_out(const sharing::Open& action) {
  log::info("sharing", "gpu {} may get work", action.gpu);
  set_terms(GpuTerms::Voice::sharing, action.gpu, GpuTerms::Verdict::full);
}

void Loop::carry_out(const sharing::WakeAt& action) { sharing_wake_at_ = action.at; }

void Loop::carry_out(const sharing::PlanChanged& action) {
  step(scheduler::GpuMemoryPlanned{action.gpu, action.plan_bytes});
}

void Loop::carry_out(const sharing::DiscrepancyFound& action) {
  log::warn("sharing",
            "gpu {}: the driver says that our workers hold {:.1f} GiB, by their own figures it is {:.1f} GiB",
            action.gpu, static_cast<double>(action.driver_bytes) / (1 << 30),
            static_cast<double>(action.believed_bytes) / (1 << 30));
}

void Loop::carry_out(const sharing::DiscrepancyEnded& action) {
  log::info("sharing", "gpu {}: the driver's figures for our workers and their own agree again", action.gpu);
}

}  // namespace pixelfleet::control
