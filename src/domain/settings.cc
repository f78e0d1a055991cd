#include "domain/settings.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/format.h"
#include "base/json_full.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

constexpr std::int64_t kMaxIdleSeconds = 365LL * 24 * 3600;
constexpr std::int64_t kMaxQuietSeconds = 24 * 3600;
constexpr std::int64_t kMaxHostBytes = std::int64_t{1} << 50;
constexpr std::int64_t kMaxOverheadBytes = std::int64_t{16} << 30;
constexpr std::size_t kMaxTextBytes = 256;
constexpr std::size_t kMaxPinnedModels = 1000;
constexpr std::size_t kMaxListedGpus = 16;

bool set_number(std::int64_t& out, const Json& value, std::int64_t low, std::int64_t high) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high)) return false;
  const auto number = value.get<std::int64_t>();
  if (number < low || number > high) return false;
  out = number;
  return true;
}

bool set_bytes(std::optional<std::int64_t>& out, const Json& value, std::int64_t high) {
  if (value.is_null()) {
    out.reset();
    return true;
  }
  std::int64_t bytes = 0;
  if (!set_number(bytes, value, 0, high)) return false;
  out = bytes;
  return true;
}

template <class Enum, std::size_t n>
bool set_choice(Enum& out, const Json& value, const std::array<Enum, n>& choices) {
  for (const Enum choice : choices) {
    if (!value.is_string() || value.get_ref<const std::string&>() != name(choice)) continue;
    out = choice;
    return true;
  }
  return false;
}

bool set_names(std::set<std::string>& out, const Json& value, std::size_t most) {
  if (!value.is_array() || value.size() > most) return false;
  std::set<ModelKey> keys;
  for (const Json& key : value) {
    if (!key.is_string()) return false;
    const auto& text = key.get_ref<const std::string&>();
    if (text.empty() || text.size() > kMaxTextBytes) return false;
    keys.insert(text);
  }
  out = std::move(keys);
  return true;
}

bool set_share(std::string& out, const Json& value) {
  static constexpr std::array<std::string_view, 4> kShares = {"auto", "polite", "idle_only", "always"};
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  if (std::find(kShares.begin(), kShares.end(), text) == kShares.end()) return false;
  out = text;
  return true;
}

constexpr std::int64_t kLowestCeiling = 30;
constexpr std::int64_t kHighestCeiling = 120;

bool set_ceiling(std::string& out, const Json& value) {
  if (value.is_string() && (value == "auto" || value == "off")) {
    out = value.get<std::string>();
    return true;
  }
  std::int64_t celsius = 0;
  if (!set_number(celsius, value, kLowestCeiling, kHighestCeiling)) return false;
  out = format("{}", celsius);
  return true;
}

Json ceiling_json(const std::string& text) {
  const bool is_number = !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0;
  return is_number ? Json(std::stoll(text)) : Json(text);
}

bool set_gpu_sharing(std::map<GpuUuid, GpuSharingSettings>& out, const Json& value) {
  if (!value.is_object() || value.size() > kMaxListedGpus) return false;
  std::map<GpuUuid, GpuSharingSettings> gpus;
  for (const auto& [uuid, wishes] : value.items()) {
    if (uuid.empty() || uuid.size() > kMaxTextBytes || !wishes.is_object()) return false;
    GpuSharingSettings& gpu = gpus[uuid];
    for (const auto& [key, wish] : wishes.items()) {
      const bool is_text = wish.is_string() && wish.get_ref<const std::string&>().size() <= kMaxTextBytes;
      const bool good = key == "share"                 ? set_share(gpu.share, wish)
                        : key == "temperature_ceiling" ? set_ceiling(gpu.temperature_ceiling, wish)
                        : key == "quiet_hours"         ? is_text
                                                       : false;
      if (!good) return false;
      if (key == "quiet_hours") gpu.quiet_hours = wish.get<std::string>();
    }
  }
  out = std::move(gpus);
  return true;
}

Json gpu_sharing_json(const std::map<GpuUuid, GpuSharingSettings>& gpus) {
  Json json = Json::object();
  for (const auto& [uuid, gpu] : gpus) {
    Json& wishes = json[uuid] = Json::object();
    if (!gpu.share.empty()) wishes["share"] = gpu.share;
    if (!gpu.temperature_ceiling.empty()) wishes["temperature_ceiling"] = ceiling_json(gpu.temperature_ceiling);
    if (!gpu.quiet_hours.empty()) wishes["quiet_hours"] = gpu.quiet_hours;
  }
  return json;
}

struct Setting {
  const char* key;
  const char* message;  // what a value is that it does not take
  std::string allowed;
  Json (*get)(const LiveSettings&);
  bool (*set)(LiveSettings&, const Json&);
};

const std::vector<Setting>& table() {
  using S = LiveSettings;
  const std::string seconds = format("whole seconds from 0 (never) to {}", kMaxIdleSeconds);
  static const std::vector<Setting> all = {
      {"multi_gpu.enabled", "not a boolean", "true or false", [](const S& s) { return Json(s.multi_gpu_enabled); },
       [](S& s, const Json& value) {
         if (value.is_boolean()) s.multi_gpu_enabled = value.get<bool>();
         return value.is_boolean();
       }},
      {"multi_gpu.max_gpus", "out of range", format("a whole number from 1 to {}", kMaxMultiGpus),
       [](const S& s) { return Json(s.multi_gpu_max_gpus); },
       [](S& s, const Json& value) {
         std::int64_t gpus = 0;
         const bool good = set_number(gpus, value, 1, kMaxMultiGpus);
         if (good) s.multi_gpu_max_gpus = static_cast<int>(gpus);
         return good;
       }},
      {"multi_gpu.gpus", "not a list of gpus",
       format("a list of up to {} UUIDs, beginnings of UUIDs or numbers as listed by `pixelfleet gpus`",
              kMaxListedGpus),
       [](const S& s) { return Json(s.multi_gpu_list); },
       [](S& s, const Json& value) { return set_names(s.multi_gpu_list, value, kMaxListedGpus); }},
      {"multi_gpu.single_gpu", "not a gpu's UUID", "a UUID as listed by `pixelfleet gpus`, or \"\"",
       [](const S& s) { return Json(s.multi_gpu_single); },
       [](S& s, const Json& value) {
         const bool good = value.is_string() && value.get_ref<const std::string&>().size() <= 128;
         if (good) s.multi_gpu_single = value.get<std::string>();
         return good;
       }},
      {"sharing.share", "not a way to share gpus", "auto, polite, idle_only or always",
       [](const S& s) { return Json(s.share); }, [](S& s, const Json& value) { return set_share(s.share, value); }},
      {"sharing.quiet_seconds", "out of range", format("whole seconds from 0 to {}", kMaxQuietSeconds),
       [](const S& s) { return Json(s.quiet_seconds); },
       [](S& s, const Json& value) { return set_number(s.quiet_seconds, value, 0, kMaxQuietSeconds); }},
      {"sharing.temperature_ceiling", "not a ceiling",
       format("auto, off, or whole degrees Celsius from {} to {}", kLowestCeiling, kHighestCeiling),
       [](const S& s) { return ceiling_json(s.temperature_ceiling); },
       [](S& s, const Json& value) { return set_ceiling(s.temperature_ceiling, value); }},
      {"sharing.gpus", "not an object of wishes by gpu",
       format("up to {} UUIDs, each with any of share (auto, polite, idle_only or always), temperature_ceiling (auto, "
              "off, "
              "or whole degrees Celsius from {} to {}) and quiet_hours (a text)",
              kMaxListedGpus, kLowestCeiling, kHighestCeiling),
       [](const S& s) { return gpu_sharing_json(s.sharing_gpus); },
       [](S& s, const Json& value) { return set_gpu_sharing(s.sharing_gpus, value); }},
      {"scheduler.policy", "not a policy", "amp, v18 or fifo", [](const S& s) { return Json(name(s.policy)); },
       [](S& s, const Json& value) {
         return set_choice(s.policy, value, std::array{PolicyChoice::amp, PolicyChoice::v18, PolicyChoice::fifo});
       }},
      {"scheduler.objective", "not an objective", "latency or throughput",
       [](const S& s) { return Json(name(s.objective)); },
       [](S& s, const Json& value) {
         return set_choice(s.objective, value, std::array{ObjectiveChoice::latency, ObjectiveChoice::throughput});
       }},
      {"scheduler.load_beside_run", "not one of the choices", "auto or off",
       [](const S& s) { return Json(name(s.load_beside_run)); },
       [](S& s, const Json& value) {
         return set_choice(s.load_beside_run, value, std::array{LoadBeside::automatic, LoadBeside::off});
       }},
      {"worker_overhead_bytes", "out of range",
       format("whole bytes from 0 to {}, or null: by kind of gpu", kMaxOverheadBytes),
       [](const S& s) { return or_null(s.worker_overhead_bytes); },
       [](S& s, const Json& value) { return set_bytes(s.worker_overhead_bytes, value, kMaxOverheadBytes); }},
      {"models.pinned", "not a list of models", format("a list of up to {} model keys", kMaxPinnedModels),
       [](const S& s) { return Json(s.pinned_models); },
       [](S& s, const Json& value) { return set_names(s.pinned_models, value, kMaxPinnedModels); }},
      {"idle_unload.gpu_seconds", "out of range", seconds, [](const S& s) { return Json(s.idle_gpu_seconds); },
       [](S& s, const Json& value) { return set_number(s.idle_gpu_seconds, value, 0, kMaxIdleSeconds); }},
      {"idle_unload.host_seconds", "out of range", seconds, [](const S& s) { return Json(s.idle_host_seconds); },
       [](S& s, const Json& value) { return set_number(s.idle_host_seconds, value, 0, kMaxIdleSeconds); }},
      {"host_memory.limit", "out of range",
       format("whole bytes from 0 (no staging) to {}, or null: half of what is available at the start", kMaxHostBytes),
       [](const S& s) { return or_null(s.host_memory_limit_bytes); },
       [](S& s, const Json& value) { return set_bytes(s.host_memory_limit_bytes, value, kMaxHostBytes); }},
  };
  return all;
}

FieldError wrong(const std::string& key, const Json& value, std::string message, std::string allowed) {
  return {key, to_text(value).substr(0, 128), std::move(message), std::move(allowed)};
}

FieldError unknown(const std::string& key, const Json& value) {
  std::vector<std::string> keys;
  for (const Setting& setting : table()) keys.emplace_back(setting.key);
  const auto near = nearest_name(key, keys);
  return wrong(key.substr(0, 128), value,
               near ? format("unknown setting; did you mean \"{}\"?", *near) : "unknown setting",
               format("{}", join(keys, ", ")));
}

}  // namespace

std::string_view name(PolicyChoice policy) {
  switch (policy) {
    case PolicyChoice::amp: return "amp";
    case PolicyChoice::v18: return "v18";
    case PolicyChoice::fifo: return "fifo";
  }
  return "amp";
}

std::string_view name(ObjectiveChoice objective) {
  return objective == ObjectiveChoice::latency ? "latency" : "throughput";
}

std::string_view name(LoadBeside load_beside_run) { return load_beside_run == LoadBeside::off ? "off" : "auto"; }

Json to_json(const LiveSettings& settings) {
  Json json = Json::object();
  for (const Setting& setting : table()) json[setting.key] = setting.get(settings);
  return json;
}

Result<LiveSettings> merge_settings(const LiveSettings& settings, const Json& changes) {
  if (!changes.is_object()) {
    return fail(ErrorCode::invalid_argument, "settings must be a JSON object of flat keys such as multi_gpu.enabled");
  }
  LiveSettings merged = settings;
  std::vector<FieldError> errors;
  for (const auto& [key, value] : changes.items()) {
    const auto setting = std::find_if(table().begin(), table().end(),
                                      [&wanted = key](const Setting& candidate) { return candidate.key == wanted; });
    if (setting == table().end()) {
      errors.push_back(unknown(key, value));
    } else if (!setting->set(merged, value)) {
      errors.push_back(wrong(key, value, setting->message, setting->allowed));
    }
  }
  if (!errors.empty()) return fail(invalid_fields(std::move(errors)));
  return merged;
}

}  // namespace pixelfleet
