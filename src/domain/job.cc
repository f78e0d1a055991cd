#include "domain/job.h"

#include <algorithm>

namespace pixelfleet {

int JobSettings::sampled_steps() const {
  if (mode == Mode::txt2img) return steps;
  // In single precision, as stable-diffusion.cpp does this sum.
  return std::min(steps, static_cast<int>(static_cast<float>(steps) * static_cast<float>(strength)) + 1);
}

std::string_view name(JobState state) {
  switch (state) {
    case JobState::queued: return "queued";
    case JobState::held: return "held";
    case JobState::running: return "running";
    case JobState::done: return "done";
    case JobState::failed: return "failed";
    case JobState::cancelled: return "cancelled";
  }
  return "queued";
}

std::string_view name(HeldReason reason) {
  switch (reason) {
    case HeldReason::user: return "user";
    case HeldReason::paused: return "paused";
    case HeldReason::model_disabled: return "model_disabled";
    case HeldReason::no_gpu: return "no_gpu";
    case HeldReason::window: return "window";
    case HeldReason::quota: return "quota";
  }
  return "user";
}

std::string_view name(ImageState state) { return state == ImageState::published ? "published" : "pending"; }

std::optional<JobState> job_state_from(std::string_view text) {
  for (const JobState state :
       {JobState::queued, JobState::held, JobState::running, JobState::done, JobState::failed, JobState::cancelled}) {
    if (text == name(state)) return state;
  }
  return std::nullopt;
}

std::optional<HeldReason> held_reason_from(std::string_view text) {
  for (const HeldReason reason : {HeldReason::user, HeldReason::paused, HeldReason::model_disabled, HeldReason::no_gpu,
                                  HeldReason::window, HeldReason::quota}) {
    if (text == name(reason)) return reason;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
