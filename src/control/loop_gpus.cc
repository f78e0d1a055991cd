// Loop: the gpus: what is heard of them, and what the operator wants.
#include <algorithm>
#include <utility>

#include "base/format.h"
#include "control/gpu_rows.h"
#include "control/loop.h"

namespace pixelfleet::control {
namespace {

// Of the driver's reasons to slow a gpu down those that are not of its own choice.
bool is_forced(std::string_view throttle_reason) {
  return throttle_reason.starts_with("hw_") || throttle_reason.find("thermal") != std::string_view::npos;
}

}  // namespace

// --- what is heard --------------------------------------------------------------------------------------------

void Loop::handle(GpusSeen& message) {
  const std::vector<Gpu> before = gpus_;
  const auto listed = [](const std::vector<Gpu>& gpus, const GpuUuid& uuid) {
    return std::any_of(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.uuid == uuid; });
  };
  // One by one: what the scheduler orders after each loss may still name a gpu whose loss comes next.
  for (const Gpu& gpu : before) {
    if (listed(message.gpus, gpu.uuid)) continue;
    step(scheduler::GpuLost{gpu.uuid});
    tell_health(health::GpuLost{gpu.uuid});
    tell_sharing(sharing::GpuGone{gpu.uuid});
    std::erase_if(gpus_, [&](const Gpu& other) { return other.uuid == gpu.uuid; });
    samples_.erase(gpu.uuid);
    if (gpu.kind != GpuKind::cpu) lost_gpus_[gpu.uuid] = gpu;  // that one only stands in for others
  }
  gpus_ = std::move(message.gpus);
  for (const Gpu& gpu : gpus_) lost_gpus_.erase(gpu.uuid);
  tell_policy();
  trace_.set_gpus(gpus_);
  // These first: what is not trusted, or belongs to others, must be closed when it arrives.
  for (const Gpu& gpu : gpus_) {
    if (!listed(before, gpu.uuid)) {
      tell_health(health::GpuSeen{gpu.uuid});
      set_terms(GpuTerms::Voice::sharing, gpu.uuid, GpuTerms::Verdict::finish);  // until it is opened
    }
    if (std::find(before.begin(), before.end(), gpu) == before.end()) tell_sharing(sharing::GpuArrived{gpu});
  }
  for (const Gpu& gpu : gpus_) {
    if (std::find(before.begin(), before.end(), gpu) == before.end()) step(scheduler::GpuArrived{gpu});
  }
  gpus_listed_ = true;
  if (before == gpus_) return;
  warn_of_gpus_not_here();
  gpus_changed_ = true;
}

void Loop::handle(GpuSamples& message) {
  for (GpuSample& sample : message.samples) {
    // The errors first: they say more than that the gpu is gone, which may be in the same sample.
    for (const GpuXid& xid : sample.detail.xids) tell_health(health::XidReported{sample.uuid, xid.code});
    tell_health(seen_of(sample));
    note_throttling(sample);
    tell_sharing(sharing::GpuSampled{sample});
    samples_[sample.uuid] = std::move(sample);
  }
  tell_local_time();
}

void Loop::note_throttling(const GpuSample& sample) {
  const auto forced = [](const GpuSample& of) {
    std::string text;
    for (const std::string& reason : of.detail.throttle_reasons.value_or(std::vector<std::string>())) {
      if (is_forced(reason)) text += (text.empty() ? "" : ", ") + reason;
    }
    return text;
  };
  const auto before = samples_.find(sample.uuid);
  const std::string now = forced(sample);
  if (now.empty() || (before != samples_.end() && forced(before->second) == now)) return;
  tell_health(health::Throttled{sample.uuid, now});
}

void Loop::handle(TelemetryChanged& message) {
  if (telemetry_ == message.telemetry) return;
  telemetry_ = std::move(message.telemetry);
  if (!telemetry_.available) samples_.clear();
}

void Loop::handle(GpuReaped& message) { tell_health(health::WorkersReaped{message.gpu}); }

// --- what the operator wants ----------------------------------------------------------------------------------

const Gpu* Loop::find_gpu(const GpuUuid& uuid) const {
  const auto found = std::find_if(gpus_.begin(), gpus_.end(), [&](const Gpu& gpu) { return gpu.uuid == uuid; });
  return found == gpus_.end() ? nullptr : &*found;
}

Result<GpuUuid> Loop::find_gpu_called(const std::string& text) const {
  std::set<GpuUuid> meant;
  for (const Gpu& gpu : gpus_) {
    if (is_called(gpu, text)) meant.insert(gpu.uuid);
  }
  if (gpu_health_.contains(text)) meant.insert(text);
  for (const auto& [uuid, gpu] : lost_gpus_) {
    if (meant.empty() && is_called(gpu, text)) meant.insert(uuid);  // its number may be another's by now
  }
  if (meant.size() == 1) return *meant.begin();
  std::vector<std::string> known;
  for (const Gpu& gpu : gpus_) known.push_back(format("{} ({})", gpu.uuid, gpu.index));
  const auto here = known.empty() ? std::string("none") : format("{}", join(known, ", "));
  if (meant.empty()) return fail(ErrorCode::not_found, format("no gpu is called {}; here are {}", text, here));
  return fail(ErrorCode::conflict, format("more than one gpu is called {}; here are {}", text, here));
}

GpuStatus Loop::status_of(const GpuUuid& gpu) const {
  for (const GpuStatus& status : gpu_statuses()) {
    if (status.gpu.uuid == gpu) return status;
  }
  GpuStatus lost;
  lost.gpu.uuid = gpu;
  lost.state = GpuState::offline;
  if (const auto known = gpu_health_.find(gpu); known != gpu_health_.end()) lost.health = known->second;
  return lost;
}

void Loop::handle(OrderGpu& message) {
  const auto gpu = find_gpu_called(message.gpu);
  if (!gpu) return message.reply(fail(gpu.error()));
  refusal_.reset();
  switch (message.wish) {
    case OrderGpu::Wish::drain: tell_health(health::OperatorDrained{*gpu}); break;
    case OrderGpu::Wish::retire: tell_health(health::OperatorRetired{*gpu}); break;
    case OrderGpu::Wish::resume: tell_health(health::OperatorResumed{*gpu}); break;
  }
  if (refusal_) return message.reply(fail(ErrorCode::conflict, *refusal_));
  after_commit([reply = std::move(message.reply), answer = status_of(*gpu)] { reply(answer); });
}

void Loop::handle(EnableModel& message) {
  const Model* model = scanned_catalog_->find_model(message.model);
  if (model == nullptr) return message.reply(fail(invalid_fields({catalog()->unknown_model(message.model)})));
  if (disabled_models_.erase(model->key) == 0) {
    return message.reply(fail(ErrorCode::conflict, format("model {} is not disabled", model->key)));
  }
  change(DropDisabledModel{model->key});
  tell_health(health::ModelReplaced{model->key});
  use_catalog(with_disabled_models(scanned_catalog_));
  after_commit([reply = std::move(message.reply), answer = *model] { reply(answer); });
}

}  // namespace pixelfleet::control
