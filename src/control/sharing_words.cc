#include "control/sharing_words.h"

#include <algorithm>
#include <cstdlib>

#include "base/format.h"
#include "sharing/quiet_hours.h"

namespace pixelfleet::control {
namespace {

using sharing::Ceiling;

std::optional<Ceiling> ceiling_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "auto") return Ceiling{};
  if (text == "off") return Ceiling{Ceiling::Rule::off, 0.0};
  return Ceiling{Ceiling::Rule::fixed, std::strtod(text.c_str(), nullptr)};
}

// Absent: by the rule for desks.
std::optional<sharing::Share> share_of(const std::string& text) {
  return text.empty() || text == "auto" ? std::nullopt : sharing::share_from(text);
}

struct ToShown {
  GpuSharing::Reason& out;
  void operator()(const sharing::OthersCompute& reason) const {
    out.pid = reason.pid;
    out.name = reason.name;
    out.bytes = reason.bytes;
  }
  void operator()(const sharing::BusyByOthers& reason) const { out.utilization_ratio = reason.utilization_ratio; }
  void operator()(const sharing::OthersLeft& reason) const { out.until = reason.until; }
  void operator()(const sharing::QuietHours& reason) const { out.until = reason.until; }
  void operator()(const sharing::TooHot& reason) const {
    out.celsius = reason.celsius;
    out.ceiling_celsius = reason.ceiling_celsius;
  }
  void operator()(const sharing::NotSeenYet& reason) const { out.until = reason.until; }
};

GpuSharing::Reason shown(const sharing::Reason& reason) {
  GpuSharing::Reason out{std::string(name(reason))};
  std::visit(ToShown{out}, reason);
  return out;
}

}  // namespace

Result<sharing::Settings> sharing_settings(const LiveSettings& settings, const SharingLimits& limits) {
  sharing::Settings out;
  out.multi_gpu = settings.multi_gpu_enabled ? sharing::Settings::MultiGpu::on : sharing::Settings::MultiGpu::off;
  out.idle_memory_bytes = limits.idle_memory_bytes;
  out.idle_utilization_ratio = limits.idle_utilization_ratio;
  out.margin_bytes = limits.margin_bytes;
  out.quiet_time = std::chrono::seconds(settings.quiet_seconds);
  out.longest_quiet_time = std::max(out.longest_quiet_time, out.quiet_time);
  out.ceiling = ceiling_of(settings.temperature_ceiling).value_or(Ceiling{});
  out.share = share_of(settings.share);
  for (const auto& [uuid, wishes] : settings.sharing_gpus) {
    sharing::GpuSettings& gpu = out.gpus[uuid];
    gpu.share = share_of(wishes.share);
    gpu.ceiling = ceiling_of(wishes.temperature_ceiling);
    auto quiet = sharing::quiet_hours_from(wishes.quiet_hours);
    if (!quiet) {
      return fail(invalid_fields({{"sharing.gpus", wishes.quiet_hours, format("{}: {}", uuid, quiet.error().message),
                                   "times such as \"Mon-Fri 8:00-18:00; 22:00-7:00\""}}));
    }
    gpu.quiet_hours = std::move(*quiet);
  }
  return out;
}

GpuSharing shown(const sharing::Verdict& verdict) {
  GpuSharing out;
  out.share = name(verdict.share);
  out.verdict = name(verdict.state);
  for (const sharing::Reason& reason : verdict.reasons) out.reasons.push_back(shown(reason));
  out.since = verdict.since;
  if (verdict.overridden_since) out.overridden = GpuSharing::Override::yes;
  out.override_until = verdict.overridden_until;
  return out;
}

GpuMemoryAccount shown(const sharing::MemoryPlan& plan) {
  GpuMemoryAccount out;
  out.plan_bytes = plan.plan_bytes;
  if (plan.total_bytes > 0) out.others_bytes = plan.others_bytes;
  out.believed_bytes = plan.believed_bytes;
  if (plan.discrepancy_since) out.discrepancy_bytes = plan.discrepancy_bytes;
  return out;
}

std::string describe(const sharing::Reason& reason) {
  const GpuSharing::Reason words = shown(reason);
  std::string text = words.kind;
  if (words.pid) text += format(", {} (pid {})", words.name.empty() ? "a process" : words.name, *words.pid);
  if (words.bytes) text += format(", {:.1f} GiB", static_cast<double>(*words.bytes) / (1 << 30));
  if (words.utilization_ratio) text += format(", {:.0f} % busy", *words.utilization_ratio * 100);
  if (words.celsius) text += format(", {:.0f} degrees, ceiling {:.0f}", *words.celsius, *words.ceiling_celsius);
  return text;
}

}  // namespace pixelfleet::control
