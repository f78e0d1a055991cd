#include "domain/gpu_json.h"

#include "base/json_full.h"

namespace pixelfleet {
namespace {

Json time_or_null(const std::optional<Instant>& at) { return at ? Json(to_unix_ms(*at)) : Json(nullptr); }

}  // namespace

Json to_json(const GpuStatus& status) {
  return {{"uuid", status.gpu.uuid},
          {"index", status.gpu.index},
          {"name", status.gpu.name},
          {"kind", name(status.gpu.kind)},
          {"state", name(status.state)},
          {"memory_total_bytes", status.gpu.memory_total_bytes},
          {"memory_used_bytes", or_null(status.sample.memory_used_bytes)},
          {"memory_free_bytes", or_null(status.sample.memory_free_bytes)},
          {"utilization_ratio", or_null(status.sample.utilization_ratio)},
          {"temperature_celsius", or_null(status.sample.temperature_celsius)},
          {"power_watts", or_null(status.sample.power_watts)},
          {"resident_models", status.resident_models},
          {"loading_model", or_null(status.loading_model)},
          {"job", status.job ? Json(status.job->value) : Json(nullptr)},
          {"health", to_json(status.health)},
          {"sharing", to_json(status.sharing)},
          {"memory", to_json(status.memory)},
          {"detail", to_json(status.sample.detail)}};
}

Json to_json(const GpuDetail& detail) {
  Json json = {{"pci_bus_id", detail.pci_bus_id.empty() ? Json(nullptr) : Json(detail.pci_bus_id)},
               {"throttle_reasons", or_null(detail.throttle_reasons)},
               {"processes", to_json(detail.processes)},
               {"recovery_action", detail.recovery_action ? Json(name(*detail.recovery_action)) : Json(nullptr)},
               {"xids", to_json(detail.xids)},
               {"driver_code", or_null(detail.driver_code)}};
  for_each_value(detail, [&](const char* key, const auto& value) { json[key] = or_null(value); });
  return json;
}

Json to_json(const GpuHealth& health) {
  return {{"state", health.state},
          {"reason", health.reason.empty() ? Json(nullptr) : Json(health.reason)},
          {"since_ms", time_or_null(health.since)},
          {"until_ms", time_or_null(health.until)},
          {"evidence", health.evidence}};
}

Json to_json(const GpuSharing& sharing) {
  Json reasons = Json::array();
  for (const GpuSharing::Reason& reason : sharing.reasons) {
    reasons.push_back({{"kind", reason.kind},
                       {"pid", or_null(reason.pid)},
                       {"name", reason.name.empty() ? Json(nullptr) : Json(reason.name)},
                       {"bytes", or_null(reason.bytes)},
                       {"utilization_ratio", or_null(reason.utilization_ratio)},
                       {"celsius", or_null(reason.celsius)},
                       {"ceiling_celsius", or_null(reason.ceiling_celsius)},
                       {"until_ms", time_or_null(reason.until)}});
  }
  return {{"share", sharing.share},
          {"verdict", sharing.verdict},
          {"reasons", std::move(reasons)},
          {"since_ms", time_or_null(sharing.since)},
          {"overridden", sharing.overridden == GpuSharing::Override::yes},
          {"override_until_ms", time_or_null(sharing.override_until)}};
}

Json to_json(const GpuMemoryAccount& memory) {
  return {{"plan_bytes", or_null(memory.plan_bytes)},
          {"others_bytes", or_null(memory.others_bytes)},
          {"believed_bytes", or_null(memory.believed_bytes)},
          {"discrepancy_bytes", or_null(memory.discrepancy_bytes)}};
}

Json to_json(const Alarm& alarm) {
  return {
      {"fault", alarm.fault}, {"suspect", alarm.suspect}, {"gpus", alarm.gpus}, {"since_ms", to_unix_ms(alarm.since)}};
}

Json to_json(const std::vector<GpuXid>& xids) {
  Json list = Json::array();
  for (const GpuXid& xid : xids) list.push_back({{"code", xid.code}, {"count", xid.count}});
  return list;
}

Json to_json(const std::optional<std::vector<GpuProcess>>& processes) {
  if (!processes) return nullptr;
  Json list = Json::array();
  for (const GpuProcess& process : *processes) {
    list.push_back({{"pid", process.pid},
                    {"kind", process.kind == GpuProcess::Kind::compute ? "compute" : "graphics"},
                    {"memory_used_bytes", or_null(process.memory_used_bytes)},
                    {"name", process.name.empty() ? Json(nullptr) : Json(process.name)}});
  }
  return list;
}

}  // namespace pixelfleet
