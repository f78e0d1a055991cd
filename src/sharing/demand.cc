// What follows for a gpu from what is remembered, and when to look again.
#include <algorithm>

#include "sharing/turn_internal.h"

namespace pixelfleet::sharing {
namespace {

using Demand = GpuMemory::Demand;

constexpr int kMostReturns = 20;

const std::vector<QuietWindow>& windows_of(const Memory& memory, const GpuMemory& gpu) {
  static const std::vector<QuietWindow> kNone;
  const auto own = memory.settings.gpus.find(gpu.gpu.uuid);
  return own == memory.settings.gpus.end() ? kNone : own->second.quiet_hours;
}

std::optional<Instant> return_at(const Memory& memory, const GpuMemory& gpu) {
  if (!gpu.others_left || gpu.returned) return std::nullopt;
  return *gpu.others_left + quiet_time_of(memory, gpu);
}

std::optional<Instant> quiet_until(const Memory& memory, const GpuMemory& gpu, Instant now) {
  if (!memory.local_ahead) return std::nullopt;
  const auto until = quiet_until(windows_of(memory, gpu), now.time_since_epoch() + *memory.local_ahead);
  return until ? std::optional(Instant(*until - *memory.local_ahead)) : std::nullopt;
}

bool yields_to_override(const Reason& reason) { return !std::holds_alternative<TooHot>(reason); }

}  // namespace

Share share_of(const Memory& memory, const GpuMemory& gpu) {
  const auto own = memory.settings.gpus.find(gpu.gpu.uuid);
  if (own != memory.settings.gpus.end() && own->second.share) return *own->second.share;
  if (memory.settings.share) return *memory.settings.share;
  const bool shared = gpu.gpu.kind == GpuKind::nvidia || gpu.gpu.kind == GpuKind::amd;
  const bool desk = memory.settings.multi_gpu == Settings::MultiGpu::off || gpu.display == GpuMemory::Display::drives;
  return desk || !shared ? Share::always : Share::polite;
}

Duration quiet_time_of(const Memory& memory, const GpuMemory& gpu) {
  const Settings& settings = memory.settings;
  Duration time = settings.quiet_time;
  for (int i = 0; i < std::min(gpu.returns, kMostReturns) && time < settings.longest_quiet_time; ++i) time += time / 2;
  return std::min(time, std::max(settings.quiet_time, settings.longest_quiet_time));
}

bool overridden(const GpuMemory& gpu, Instant now) {
  return gpu.override_ && (!gpu.override_->until || *gpu.override_->until > now);
}

std::vector<Reason> reasons_for(const Memory& memory, const GpuMemory& gpu, Instant now) {
  std::vector<Reason> reasons;
  const bool shares = share_of(memory, gpu) != Share::always;
  if (shares && gpu.others) reasons.emplace_back(*gpu.others);
  if (shares && gpu.suspected) reasons.emplace_back(*gpu.suspected);
  if (shares && gpu.busy) reasons.emplace_back(*gpu.busy);
  const auto back_at = return_at(memory, gpu);
  if (shares && back_at && now < *back_at) reasons.emplace_back(OthersLeft{*back_at});
  if (const auto until = quiet_until(memory, gpu, now)) reasons.emplace_back(QuietHours{*until});
  if (gpu.heat) reasons.emplace_back(*gpu.heat);
  const Instant first_look = gpu.arrived + kFirstLook;
  const bool unseen = gpu.look == GpuMemory::Look::none && now < first_look;
  if (shares && unseen) reasons.emplace_back(NotSeenYet{first_look});
  if (overridden(gpu, now)) std::erase_if(reasons, yields_to_override);
  return reasons;
}

Demand demand_of(const GpuMemory& gpu, const std::vector<Reason>& reasons, Share share) {
  Demand demand = Demand::none;
  for (const Reason& reason : reasons) {
    Demand by_this = Demand::finish_and_end;
    const bool others = std::holds_alternative<OthersCompute>(reason);
    if (std::holds_alternative<TooHot>(reason) || std::holds_alternative<NotSeenYet>(reason) ||
        (others && !gpu.others)) {
      by_this = Demand::finish_and_keep;
    } else if (others && share == Share::idle_only) {
      by_this = Demand::abandon_and_end;
    }
    demand = std::max(demand, by_this);
  }
  return demand;
}

void Turn::pass_time(GpuMemory& gpu) {
  forget_old_readings(gpu);
  if (gpu.override_ && !overridden(gpu, now_)) gpu.override_.reset();
  const auto back_at = return_at(memory_, gpu);
  if (back_at && now_ >= *back_at) gpu.returned = now_;
}

void Turn::settle(GpuMemory& gpu) {
  pass_time(gpu);
  gpu.wake_at = next_change(gpu);
  if (gpu.presence == GpuMemory::Presence::gone) return;
  const std::vector<Reason> reasons = reasons_for(memory_, gpu, now_);
  const Demand demand = demand_of(gpu, reasons, share_of(memory_, gpu));
  if (demand == Demand::none) {
    if (gpu.told == Demand::none) return;
    gpu.told = demand;
    gpu.since = now_;
    actions_.push_back(Open{gpu.gpu.uuid});
    return;
  }
  if (gpu.told == Demand::none) gpu.since = now_;
  // Less than before asks for nothing new: what was to end has ended. A gpu of which nothing was told is closed.
  if (gpu.told.value_or(Demand::finish_and_keep) >= demand) return;
  gpu.told = demand;
  actions_.push_back(Close{gpu.gpu.uuid, demand == Demand::abandon_and_end ? Running::abandon : Running::finish,
                           demand == Demand::finish_and_keep ? Workers::keep : Workers::end, reasons.front()});
}

std::optional<Instant> Turn::next_change(const GpuMemory& gpu) const {
  std::optional<Instant> earliest;
  const auto also = [&](std::optional<Instant> at) {
    if (at && *at > now_ && (!earliest || *at < *earliest)) earliest = at;
  };
  if (gpu.presence == GpuMemory::Presence::gone) return earliest;
  also(return_at(memory_, gpu));
  if (gpu.override_) also(gpu.override_->until);
  if (gpu.look == GpuMemory::Look::none) also(gpu.arrived + kFirstLook);
  if (gpu.suspected) also(*gpu.others_belief.doubted_since + kReadingExpires);
  if (gpu.heat && gpu.heat_belief.last_sample) also(*gpu.heat_belief.last_sample + kReadingExpires);
  if (gpu.busy && gpu.busy_belief.last_sample) also(*gpu.busy_belief.last_sample + kReadingExpires);
  const auto& windows = windows_of(memory_, gpu);
  if (windows.empty() || !memory_.local_ahead) return earliest;
  also(quiet_until(memory_, gpu, now_));
  const auto next = next_quiet(windows, now_.time_since_epoch() + *memory_.local_ahead);
  if (next) also(Instant(*next - *memory_.local_ahead));
  return earliest;
}

void Turn::ask_to_wake() {
  std::optional<Instant> earliest;
  for (const auto& [uuid, gpu] : memory_.gpus) {
    if (gpu.wake_at && (!earliest || *gpu.wake_at < *earliest)) earliest = gpu.wake_at;
  }
  // An earlier wish that is still to come serves as well, so that readings do not move it each second.
  const bool waits = memory_.wake_at && *memory_.wake_at > now_;
  if (!earliest || (waits && *memory_.wake_at <= *earliest)) return;
  memory_.wake_at = earliest;
  actions_.push_back(WakeAt{*earliest});
}

}  // namespace pixelfleet::sharing
