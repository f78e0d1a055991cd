#include "domain/settings.h"

#include "base/format.h"
#include "base/json_full.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

constexpr const char* kEnabled = "multi_gpu.enabled";
constexpr const char* kMaxGpus = "multi_gpu.max_gpus";
constexpr const char* kSingleGpu = "multi_gpu.single_gpu";

const std::vector<std::string>& keys() {
  static const std::vector<std::string> all = {kEnabled, kMaxGpus, kSingleGpu};
  return all;
}

FieldError wrong(const std::string& key, const Json& value, std::string message, std::string allowed) {
  return {key, to_text(value).substr(0, 128), std::move(message), std::move(allowed)};
}

}  // namespace

Json to_json(const LiveSettings& settings) {
  return {{kEnabled, settings.multi_gpu_enabled},
          {kMaxGpus, settings.multi_gpu_max_gpus},
          {kSingleGpu, settings.multi_gpu_single}};
}

Result<LiveSettings> merge_settings(const LiveSettings& settings, const Json& changes) {
  if (!changes.is_object()) {
    return fail(ErrorCode::invalid_argument, "settings must be a JSON object of flat keys such as multi_gpu.enabled");
  }
  LiveSettings merged = settings;
  std::vector<FieldError> errors;
  for (const auto& [key, value] : changes.items()) {
    if (key == kEnabled) {
      if (value.is_boolean()) {
        merged.multi_gpu_enabled = value.get<bool>();
      } else {
        errors.push_back(wrong(key, value, "not a boolean", "true or false"));
      }
    } else if (key == kMaxGpus) {
      if (value.is_number_integer() && value.get<std::int64_t>() >= 1 && value.get<std::int64_t>() <= kMaxMultiGpus) {
        merged.multi_gpu_max_gpus = value.get<int>();
      } else {
        errors.push_back(wrong(key, value, "out of range", format("a whole number from 1 to {}", kMaxMultiGpus)));
      }
    } else if (key == kSingleGpu) {
      if (value.is_string() && value.get_ref<const std::string&>().size() <= 128) {
        merged.multi_gpu_single = value.get<std::string>();
      } else {
        errors.push_back(wrong(key, value, "not a gpu's UUID", "a UUID as listed by `pixelfleet gpus`, or \"\""));
      }
    } else {
      const auto near = nearest_name(key, keys());
      errors.push_back(wrong(key.substr(0, 128), value,
                             near ? format("unknown setting; did you mean \"{}\"?", *near) : "unknown setting",
                             "multi_gpu.enabled, multi_gpu.max_gpus, multi_gpu.single_gpu"));
    }
  }
  if (!errors.empty()) return fail(invalid_fields(std::move(errors)));
  return merged;
}

}  // namespace pixelfleet
