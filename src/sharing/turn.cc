// What each event means.
#include <algorithm>

#include "sharing/turn_internal.h"

namespace pixelfleet::sharing {

Settings sane(Settings settings) {
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 48;
  settings.idle_memory_bytes = std::clamp<std::int64_t>(settings.idle_memory_bytes, 1, kMostBytes);
  settings.idle_utilization_ratio = std::clamp(settings.idle_utilization_ratio, 0.01, 1.0);
  settings.quiet_time = std::max(settings.quiet_time, Duration::zero());
  settings.margin_bytes = std::clamp<std::int64_t>(settings.margin_bytes, 0, kMostBytes);
  return settings;
}

void Turn::run(const Event& event) {
  memory_.holdings.apply(event, now_);
  std::visit([this](const auto& happened) { on(happened); }, event);
  if (memory_.wake_at && *memory_.wake_at <= now_) all_touched_ = All::touched;
  if (all_touched_ == All::touched) {
    for (auto& [uuid, gpu] : memory_.gpus) settle(gpu);
  } else if (touched_ != nullptr) {
    settle(*touched_);
  }
  ask_to_wake();
}

GpuMemory* Turn::find(const GpuUuid& gpu) {
  const auto found = memory_.gpus.find(gpu);
  return touched_ = found == memory_.gpus.end() ? nullptr : &found->second;
}

void Turn::on(const SettingsChanged& event) {
  memory_.settings = sane(event.settings);
  all_touched_ = All::touched;
}

void Turn::on(const LocalTimeTold& event) {
  memory_.local_ahead = event.ahead;
  all_touched_ = All::touched;
}

void Turn::on(const GpuArrived& event) {
  const auto [found, is_new] = memory_.gpus.try_emplace(event.gpu.uuid);
  GpuMemory& gpu = found->second;
  touched_ = &gpu;
  gpu.gpu = event.gpu;
  if (!is_new && gpu.presence == GpuMemory::Presence::there) return;
  gpu.presence = GpuMemory::Presence::there;
  gpu.look = GpuMemory::Look::none;
  gpu.arrived = now_;
  gpu.since = now_;
}

void Turn::on(const GpuGone& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  gpu->presence = GpuMemory::Presence::gone;
  gpu->told.reset();
}

void Turn::on(const GpuSampled& event) {
  GpuMemory* gpu = find(event.sample.uuid);
  if (gpu == nullptr || gpu->presence == GpuMemory::Presence::gone) return;
  if (event.sample.detail.driver_code) return;  // it does not answer: that is Health's
  if (event.sample.detail.display_active.value_or(false)) gpu->display = GpuMemory::Display::drives;
  hear_of_others(*gpu, memory_.holdings.split(event.sample, gpu->gpu.memory_total_bytes, now_));
  hear_of_load(*gpu, event.sample);
  hear_of_heat(*gpu, event.sample);
  gpu->look = GpuMemory::Look::sampled;
}

void Turn::on(const GpuOverridden& event) {
  GpuMemory* gpu = find(event.gpu);
  if (gpu == nullptr) return;
  const Instant since = gpu->override_ ? gpu->override_->since : now_;
  gpu->override_ = GpuMemory::Override{since, event.until};
}

void Turn::on(const GpuOverrideEnded& event) {
  if (GpuMemory* gpu = find(event.gpu)) gpu->override_.reset();
}

}  // namespace pixelfleet::sharing
