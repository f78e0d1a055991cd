// What a sample says of others, load and heat. Each is believed, and no longer believed, only after some time.
#include <algorithm>
#include <cmath>

#include "sharing/turn_internal.h"

namespace pixelfleet::sharing {
namespace {

constexpr double kLeastCelsius = -30, kMostCelsius = 130;
constexpr double kLeastSlowdown = 60;  // of a card that tells the truth
constexpr std::int64_t kMostUnexplained = std::int64_t{4} << 30;

std::optional<double> sane(std::optional<double> value, double least, double most) {
  if (!value || !std::isfinite(*value) || *value < least || *value > most) return std::nullopt;
  return value;
}

// True when what is doubted has been doubted for `lasts`.
bool doubted_for(Belief& belief, Duration lasts, Instant now) {
  if (!belief.doubted_since) belief.doubted_since = now;
  return now - *belief.doubted_since >= lasts;
}

}  // namespace

// Others are there now, and were not: they may have come back soon after we did.
void Turn::note_arrival(GpuMemory& gpu) {
  gpu.others_left.reset();
  if (!gpu.returned) return;
  const Duration stayed = now_ - *gpu.returned;
  if (stayed <= kSoon) ++gpu.returns;
  if (stayed >= kLongTime) gpu.returns = 0;
  gpu.returned.reset();
}

void Turn::note_departure(GpuMemory& gpu) {
  if (!gpu.others && !gpu.busy) gpu.others_left = now_;
}

// Memory that nobody has a name for, and that goes with our workers, was ours: the gpu opens again, and so much more
// is allowed for in future. It would close and open for ever otherwise.
void Turn::look_into_alarm(GpuMemory& gpu, std::int64_t bytes) {
  if (!gpu.alarm_bytes || memory_.holdings.remembers_any(gpu.gpu.uuid)) return;
  const std::int64_t alarm = *gpu.alarm_bytes;
  gpu.alarm_bytes.reset();
  if (bytes >= memory_.settings.idle_memory_bytes || alarm > kMostUnexplained) return;
  gpu.unexplained_bytes = std::max(gpu.unexplained_bytes, alarm);
  gpu.others.reset();
  gpu.others_left.reset();
}

void Turn::hear_of_others(GpuMemory& gpu, const Split& split) {
  if (!split.others) return;
  const bool by_figures = split.proof == Split::Proof::by_figures;
  OthersCompute others = *split.others;
  if (by_figures) others.bytes = std::max<std::int64_t>(0, others.bytes - gpu.unexplained_bytes);
  look_into_alarm(gpu, others.bytes);
  gpu.suspected.reset();
  const std::int64_t limit = memory_.settings.idle_memory_bytes;
  if (others.bytes < (gpu.others ? limit - limit / 4 : limit)) {
    gpu.others_belief.doubted_since.reset();
    if (!gpu.others) return;
    gpu.others.reset();
    return note_departure(gpu);
  }
  if (!gpu.others && by_figures && !doubted_for(gpu.others_belief, kFiguresAgree, now_)) {
    gpu.suspected = others;
    return;
  }
  gpu.others_belief.doubted_since.reset();
  const bool came = !gpu.others && !gpu.busy;
  if (!gpu.others && by_figures && memory_.holdings.any_on(gpu.gpu.uuid)) {
    gpu.alarm_bytes = others.bytes + gpu.unexplained_bytes;
  }
  gpu.others = others;
  if (came) note_arrival(gpu);
}

void Turn::hear_of_load(GpuMemory& gpu, const GpuSample& sample) {
  const auto load = sane(sample.utilization_ratio, 0, 1);
  if (!load) return;
  Belief& belief = gpu.busy_belief;
  // What runs of ours makes load: nothing is known of others.
  if (!memory_.holdings.rests(sample.uuid, kRestBeforeLoad, now_)) return belief.doubted_since.reset();
  belief.last_sample = now_;
  const double limit = memory_.settings.idle_utilization_ratio;
  const bool loaded = *load >= (gpu.busy ? limit / 2 : limit);
  if (loaded == gpu.busy.has_value()) {
    if (gpu.busy) gpu.busy->utilization_ratio = *load;
    return belief.doubted_since.reset();
  }
  if (!doubted_for(belief, kLoadLasts, now_)) return;
  belief.doubted_since.reset();
  if (!loaded) {
    gpu.busy.reset();
    return note_departure(gpu);
  }
  const bool came = !gpu.others;
  gpu.busy = BusyByOthers{*load};
  if (came) note_arrival(gpu);
}

std::optional<double> Turn::ceiling_of(const GpuMemory& gpu, const GpuSample& sample) const {
  const auto own = memory_.settings.gpus.find(gpu.gpu.uuid);
  const bool has_own = own != memory_.settings.gpus.end() && own->second.ceiling;
  const Ceiling& ceiling = has_own ? *own->second.ceiling : memory_.settings.ceiling;
  if (ceiling.rule == Ceiling::Rule::off) return std::nullopt;
  if (ceiling.rule == Ceiling::Rule::fixed) return ceiling.celsius;
  const auto slowdown = sane(sample.detail.temperature_slowdown_celsius, kLeastSlowdown, kMostCelsius);
  return slowdown ? std::optional(*slowdown - kBelowSlowdownCelsius) : std::nullopt;
}

void Turn::hear_of_heat(GpuMemory& gpu, const GpuSample& sample) {
  const auto celsius = sane(sample.temperature_celsius, kLeastCelsius, kMostCelsius);
  const auto ceiling = ceiling_of(gpu, sample);
  if (!ceiling) {
    gpu.heat.reset();
    return gpu.heat_belief.doubted_since.reset();
  }
  if (!celsius) return;
  gpu.heat_belief.last_sample = now_;
  const bool hot = *celsius >= (gpu.heat ? *ceiling - kCoolDownCelsius : *ceiling);
  if (gpu.heat) gpu.heat = TooHot{*celsius, *ceiling};
  if (hot == gpu.heat.has_value()) return gpu.heat_belief.doubted_since.reset();
  if (!doubted_for(gpu.heat_belief, hot ? kHeatLasts : kCoolLasts, now_)) return;
  if (!hot && now_ - gpu.hot_since < kLeastCoolDown) return;
  gpu.heat_belief.doubted_since.reset();
  gpu.hot_since = now_;
  gpu.heat = hot ? std::optional(TooHot{*celsius, *ceiling}) : std::nullopt;
}

void Turn::forget_old_readings(GpuMemory& gpu) {
  const auto is_old = [&](const Belief& belief) {
    return belief.last_sample && now_ - *belief.last_sample >= kReadingExpires;
  };
  if (gpu.heat && is_old(gpu.heat_belief)) gpu.heat.reset();
  if (gpu.suspected && now_ - *gpu.others_belief.doubted_since >= kReadingExpires) gpu.suspected.reset();
  if (!gpu.busy || !is_old(gpu.busy_belief)) return;
  gpu.busy.reset();
  note_departure(gpu);
}

}  // namespace pixelfleet::sharing
