#include "domain/live.h"

namespace pixelfleet {

std::optional<JobOutlook> outlook_of(const Job& job, const LiveState& live) {
  if (job.state != JobState::queued && job.state != JobState::held) return std::nullopt;
  if (live.outlooks) {
    const auto found = live.outlooks->jobs.find(job.id);
    const auto of_this_state = [&job](const WaitingReason& reason) {
      using Kind = WaitingReason::Kind;
      const bool of_a_held_job =
          reason.kind == Kind::held || reason.kind == Kind::no_gpu_fits || reason.kind == Kind::gpu_closed;
      return of_a_held_job == (job.state == JobState::held);
    };
    if (found != live.outlooks->jobs.end() && of_this_state(found->second.reason)) return found->second;
  }
  JobOutlook outlook;
  outlook.reason.model = job.settings.model;
  if (job.state == JobState::held) {
    outlook.reason.kind = WaitingReason::Kind::held;
    outlook.reason.held = job.held_reason;
    return outlook;
  }
  if (!live.outlooks || live.outlooks->complete) return std::nullopt;
  outlook.reason.kind = WaitingReason::Kind::behind_jobs;
  outlook.reason.jobs_ahead = static_cast<int>(live.outlooks->jobs.size());
  return outlook;
}

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::load: return "load";
    case Phase::text: return "text";
    case Phase::sample: return "sample";
    case Phase::decode: return "decode";
  }
  return "load";
}

std::optional<Phase> phase_from(std::string_view text) {
  for (const Phase phase : {Phase::load, Phase::text, Phase::sample, Phase::decode}) {
    if (text == name(phase)) return phase;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
