#include "gpu/report.h"

#include <type_traits>

#include "base/format.h"
#include "base/json_full.h"
#include "domain/gpu_json.h"

namespace pixelfleet::gpu {
namespace {

template <class T>
std::optional<T> value_of(const Json& json, const char* key) {
  if (!json.contains(key)) return std::nullopt;
  const bool fits = std::is_same_v<T, bool> ? json[key].is_boolean() : json[key].is_number();
  if (!fits) return std::nullopt;
  return json[key].get<T>();
}

// Every plain value of a sample with its name: once for writing, once for reading.
template <class Sample, class Visit>
void for_each_value_of(Sample& sample, Visit visit) {
  visit("memory_used_bytes", sample.memory_used_bytes);
  visit("memory_free_bytes", sample.memory_free_bytes);
  visit("utilization_ratio", sample.utilization_ratio);
  visit("temperature_celsius", sample.temperature_celsius);
  visit("power_watts", sample.power_watts);
  for_each_value(sample.detail, visit);
}

Json to_json(const Reading& reading) {
  const GpuDetail& detail = reading.sample.detail;
  Json json = {{"uuid", reading.gpu.uuid},
               {"index", reading.gpu.index},
               {"name", reading.gpu.name},
               {"kind", name(reading.gpu.kind)},
               {"pci_bus_id", detail.pci_bus_id},
               {"parent_uuid", detail.parent_uuid},
               {"memory_total_bytes", reading.gpu.memory_total_bytes},
               {"throttle_reasons", or_null(detail.throttle_reasons)},
               {"processes", to_json(detail.processes)},
               {"recovery_action", detail.recovery_action ? Json(name(*detail.recovery_action)) : Json(nullptr)},
               {"xids", to_json(detail.xids)}};
  for_each_value_of(reading.sample, [&](const char* key, const auto& value) { json[key] = or_null(value); });
  return json;
}

// The objects of a list that may be missing.
std::vector<Json> objects_in(const Json& json, const char* key) {
  std::vector<Json> objects;
  if (!json.contains(key) || !json[key].is_array()) return objects;
  for (const Json& item : json[key]) {
    if (item.is_object()) objects.push_back(item);
  }
  return objects;
}

std::string text_of(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
}

std::vector<GpuXid> xids_from(const Json& json) {
  std::vector<GpuXid> xids;
  for (const Json& item : objects_in(json, "xids")) {
    xids.push_back({value_of<int>(item, "code").value_or(0), value_of<int>(item, "count").value_or(1)});
  }
  return xids;
}

std::optional<std::vector<GpuProcess>> processes_from(const Json& json) {
  if (!json.contains("processes") || !json["processes"].is_array()) return std::nullopt;
  std::vector<GpuProcess> processes;
  for (const Json& item : objects_in(json, "processes")) {
    const auto kind = text_of(item, "kind") == "graphics" ? GpuProcess::Kind::graphics : GpuProcess::Kind::compute;
    processes.push_back({value_of<std::int64_t>(item, "pid").value_or(0), kind,
                         value_of<std::int64_t>(item, "memory_used_bytes"), text_of(item, "name")});
  }
  return processes;
}

std::optional<std::vector<std::string>> throttle_from(const Json& json) {
  if (!json.contains("throttle_reasons") || !json["throttle_reasons"].is_array()) return std::nullopt;
  std::vector<std::string> reasons;
  for (const Json& item : json["throttle_reasons"]) {
    if (item.is_string()) reasons.push_back(item.get<std::string>());
  }
  return reasons;
}

Result<Reading> reading_from(const Json& json) {
  if (!json.is_object() || !json.contains("uuid") || !json["uuid"].is_string() || !json.contains("name") ||
      !json["name"].is_string()) {
    return fail(ErrorCode::corrupt, "a gpu of the monitor's report lacks uuid or name");
  }
  Reading reading;
  reading.gpu.uuid = reading.sample.uuid = json["uuid"].get<std::string>();
  reading.gpu.name = json["name"].get<std::string>();
  reading.gpu.index = value_of<int>(json, "index").value_or(0);
  reading.gpu.kind = gpu_kind_from(text_of(json, "kind")).value_or(GpuKind::nvidia);
  reading.gpu.memory_total_bytes = value_of<std::int64_t>(json, "memory_total_bytes").value_or(0);
  GpuDetail& detail = reading.sample.detail;
  detail.pci_bus_id = text_of(json, "pci_bus_id");
  detail.parent_uuid = text_of(json, "parent_uuid");
  detail.throttle_reasons = throttle_from(json);
  detail.processes = processes_from(json);
  detail.recovery_action = gpu_recovery_from(text_of(json, "recovery_action"));
  detail.xids = xids_from(json);
  for_each_value_of(reading.sample,
                    [&]<class T>(const char* key, std::optional<T>& value) { value = value_of<T>(json, key); });
  return reading;
}

}  // namespace

std::string failure_text(const FailingGpu& gpu) {
  constexpr int kLost = 15, kResetRequired = 16;
  const std::string which = gpu.uuid.empty() ? format("gpu {}", gpu.index) : format("gpu {} ({})", gpu.index, gpu.uuid);
  if (gpu.code == kLost) return which + " is lost: it does not answer on the bus; the machine needs a restart";
  if (gpu.code == kResetRequired) return which + " needs a reset (nvidia-smi --gpu-reset) or a restart of the machine";
  if (gpu.code == kNoMigInstance) return which + " has MIG on and no instance; create one, or switch MIG off";
  return which + format(" does not answer: the driver's code is {}", gpu.code);
}

std::string to_line(const Report& report) {
  if (report.driver != Driver::working) {
    return to_text(
        {{"unavailable", report.reason}, {"driver", report.driver == Driver::absent ? "absent" : "failing"}});
  }
  Json gpus = Json::array(), failing = Json::array();
  for (const Reading& reading : report.readings) gpus.push_back(to_json(reading));
  for (const FailingGpu& gpu : report.failing) {
    failing.push_back({{"index", gpu.index}, {"uuid", gpu.uuid}, {"code", gpu.code}, {"xids", to_json(gpu.xids)}});
  }
  return to_text({{"driver_version", report.driver_version},
                  {"cuda_version", report.cuda_version},
                  {"gpus", std::move(gpus)},
                  {"failing", std::move(failing)}});
}

Result<Report> report_from_line(std::string_view line) {
  const auto json = parse_json(line);
  if (!json) return fail(json.error());
  if (!json->is_object()) return fail(ErrorCode::corrupt, "the monitor's report is not a JSON object");
  Report report;
  if (json->contains("unavailable") && (*json)["unavailable"].is_string()) {
    report.driver = json->value("driver", Json()) == "absent" ? Driver::absent : Driver::failing;
    report.reason = (*json)["unavailable"].get<std::string>();
    return report;
  }
  if (!json->contains("gpus") || !(*json)["gpus"].is_array()) {
    return fail(ErrorCode::corrupt, "the monitor's report has neither gpus nor unavailable");
  }
  for (const Json& item : (*json)["gpus"]) {
    auto reading = reading_from(item);
    if (!reading) return fail(reading.error());
    report.readings.push_back(std::move(*reading));
  }
  for (const Json& item : objects_in(*json, "failing")) {
    report.failing.push_back({value_of<int>(item, "index").value_or(0), text_of(item, "uuid"),
                              value_of<int>(item, "code").value_or(0), xids_from(item)});
  }
  report.driver_version = text_of(*json, "driver_version");
  report.cuda_version = text_of(*json, "cuda_version");
  return report;
}

}  // namespace pixelfleet::gpu
