#include "gpu/report.h"

#include "base/json_full.h"

namespace pixelfleet::gpu {
namespace {

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class T>
std::optional<T> value_of(const Json& json, const char* key) {
  if (!json.contains(key) || !json[key].is_number()) return std::nullopt;
  return json[key].get<T>();
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
  reading.gpu.kind = GpuKind::nvidia;
  reading.gpu.memory_total_bytes = value_of<std::int64_t>(json, "memory_total_bytes").value_or(0);
  reading.sample.memory_used_bytes = value_of<std::int64_t>(json, "memory_used_bytes");
  reading.sample.memory_free_bytes = value_of<std::int64_t>(json, "memory_free_bytes");
  reading.sample.utilization_ratio = value_of<double>(json, "utilization_ratio");
  reading.sample.temperature_celsius = value_of<double>(json, "temperature_celsius");
  reading.sample.power_watts = value_of<double>(json, "power_watts");
  return reading;
}

}  // namespace

std::string to_line(const Report& report) {
  if (report.driver != Driver::working) {
    return to_text(
        {{"unavailable", report.reason}, {"driver", report.driver == Driver::absent ? "absent" : "failing"}});
  }
  Json gpus = Json::array();
  for (const Reading& reading : report.readings) {
    gpus.push_back({{"uuid", reading.gpu.uuid},
                    {"index", reading.gpu.index},
                    {"name", reading.gpu.name},
                    {"memory_total_bytes", reading.gpu.memory_total_bytes},
                    {"memory_used_bytes", or_null(reading.sample.memory_used_bytes)},
                    {"memory_free_bytes", or_null(reading.sample.memory_free_bytes)},
                    {"utilization_ratio", or_null(reading.sample.utilization_ratio)},
                    {"temperature_celsius", or_null(reading.sample.temperature_celsius)},
                    {"power_watts", or_null(reading.sample.power_watts)}});
  }
  return to_text({{"gpus", std::move(gpus)}});
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
  return report;
}

}  // namespace pixelfleet::gpu
