#include "config/config.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "config/config_file.h"
#include "domain/gpu_spec.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

Result<> not_allowed(const std::string& text, std::string message, std::string allowed) {
  return fail(invalid_fields({{"", text.substr(0, 128), std::move(message), std::move(allowed)}}));
}

Result<> set_int(int& out, const std::string& text, int low, int high) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string allowed = format("a whole number from {} to {}", low, high);
  if (error != std::errc{} || end != text.data() + text.size()) return not_allowed(text, "not a whole number", allowed);
  if (value < low || value > high) return not_allowed(text, "out of range", allowed);
  out = value;
  return {};
}

Result<> set_bool(bool& out, const std::string& text) {
  const std::string lower = to_lower_ascii(text);
  if (lower == "1" || lower == "true" || lower == "yes" || lower == "on") {
    out = true;
  } else if (lower == "0" || lower == "false" || lower == "no" || lower == "off") {
    out = false;
  } else {
    return not_allowed(text, "not a switch", "true or false");
  }
  return {};
}

Result<> set_path(std::filesystem::path& out, const std::string& text) {
  if (text.empty()) return not_allowed(text, "empty", "a path");
  out = text;
  return {};
}

Result<> set_choice(std::string& out, const std::string& text, const std::vector<std::string>& choices) {
  for (const std::string& choice : choices) {
    if (text != choice) continue;
    out = text;
    return {};
  }
  return not_allowed(text, "not one of the choices", format("{}", join(choices, ", ")));
}

// Bytes as people write them: 0, 64GiB, 1.5GB, 400000000; auto: absent.
Result<Json> bytes_or_auto(const std::string& text) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr std::array kUnits = {Unit{"gib", 1024.0 * 1024.0 * 1024.0}, Unit{"mib", 1024.0 * 1024.0}, Unit{"gb", 1e9},
                                 Unit{"mb", 1e6}, Unit{"", 1.0}};
  const std::string lower = to_lower_ascii(text);
  if (lower == "auto") return Json(nullptr);
  char* end = nullptr;
  const double number = std::strtod(lower.c_str(), &end);
  for (const Unit& unit : kUnits) {
    if (end == lower.c_str() || end != unit.name || !(number >= 0) || number * unit.bytes > 9e15) continue;
    return Json(static_cast<std::int64_t>(std::llround(number * unit.bytes)));
  }
  return fail(not_allowed(text, "not a number of bytes", "auto, or bytes such as 64GiB, 400MB or 0").error());
}

std::set<std::string> split(const std::string& text) {
  std::set<std::string> parts;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    if (end > start) parts.insert(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::string yes_no(bool value) { return value ? "true" : "false"; }

std::string host_name() {
  char buffer[256] = {};
  return gethostname(buffer, sizeof buffer - 1) == 0 && buffer[0] != '\0' ? buffer : "pixelfleet";
}

std::string shown(const Json& value) {
  if (value.is_null()) return "auto";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return to_text(value);
  return format("{}", join(value.get<std::vector<std::string>>(), ","));
}

// A live setting as text: how its JSON is written here differs, what it allows does not.
using ToJson = Result<Json> (*)(const std::string&);
ConfigKey live_key(std::string key, std::string variable, std::string flag, std::string help, ToJson to_json_value) {
  return {key,
          {std::move(variable)},
          std::move(flag),
          std::move(help),
          [key, to_json_value](Config& c, const std::string& text) -> Result<> {
            const auto value = to_json_value(text);
            if (!value) return fail(value.error());
            auto merged = merge_settings(c.live, Json{{key, *value}});
            if (!merged) return fail(merged.error());
            c.live = std::move(*merged);
            return {};
          },
          [key](const Config& c) { return shown(to_json(c.live).at(key)); }};
}

Result<Json> as_text(const std::string& text) { return Json(text); }
Result<Json> as_list(const std::string& text) { return Json(split(text)); }
Result<Json> as_seconds(const std::string& text) {
  int seconds = 0;
  if (auto set = set_int(seconds, text, 0, std::numeric_limits<int>::max()); !set) return fail(set.error());
  return Json(seconds);
}

// A whole number where there is one, else the text.
Result<Json> as_number_or_text(const std::string& text) {
  int number = 0;
  return set_int(number, text, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()) ? Json(number)
                                                                                                 : Json(text);
}

void add_sharing_keys(std::vector<ConfigKey>& keys) {
  keys.push_back(live_key("sharing.share", "PIXELFLEET_SHARE", "share",
                          "with the compute processes of others: auto, polite, idle_only or always", as_text));
  keys.push_back(live_key("sharing.quiet_seconds", "PIXELFLEET_QUIET_SECONDS", "quiet-seconds",
                          "how long a gpu must be without others before we come back", as_seconds));
  keys.push_back(live_key("sharing.temperature_ceiling", "PIXELFLEET_TEMPERATURE_CEILING", "temperature-ceiling",
                          "degrees Celsius above which nothing starts on a gpu; auto: a little below where it slows "
                          "down; off",
                          as_number_or_text));
  keys.push_back({"vram_margin_mb",
                  {"PIXELFLEET_VRAM_MARGIN_MB"},
                  "vram-margin-mb",
                  "memory of each gpu that nobody plans with",
                  [](Config& c, const std::string& text) { return set_int(c.vram_margin_mb, text, 0, 1'000'000); },
                  [](const Config& c) { return format("{}", c.vram_margin_mb); }});
}

void add_distribution_keys(std::vector<ConfigKey>& keys) {
  keys.push_back(live_key("scheduler.policy", "PIXELFLEET_SCHEDULER_POLICY", "policy",
                          "how jobs are distributed while multi-GPU is on: amp, v18 or fifo", as_text));
  keys.push_back(live_key("scheduler.objective", "PIXELFLEET_SCHEDULER_OBJECTIVE", "objective",
                          "latency: short waits; throughput: the whole queue done soon", as_text));
  keys.push_back(live_key("scheduler.load_beside_run", "PIXELFLEET_LOAD_BESIDE_RUN", "load-beside-run",
                          "auto or off: whether the next model is loaded while a gpu works", as_text));
  keys.push_back(live_key("models.pinned", "PIXELFLEET_PINNED_MODELS", "pinned-models",
                          "models that stay once they are loaded, separated by commas", as_list));
  keys.push_back(live_key("idle_unload.gpu_seconds", "PIXELFLEET_IDLE_UNLOAD_GPU_SECONDS", "idle-unload-gpu-seconds",
                          "unload a model that no job has used for so long; 0: never", as_seconds));
  keys.push_back(live_key("idle_unload.host_seconds", "PIXELFLEET_IDLE_UNLOAD_HOST_SECONDS", "idle-unload-host-seconds",
                          "let a model's files leave host memory when unused for so long; 0: never", as_seconds));
  keys.push_back(live_key("host_memory.limit", "PIXELFLEET_HOST_MEMORY_LIMIT", "host-memory-limit",
                          "host memory that staged model files may take; 0: none; auto: half of what is available",
                          bytes_or_auto));
  keys.push_back(live_key("worker_overhead_bytes", "PIXELFLEET_WORKER_OVERHEAD_BYTES", "worker-overhead-bytes",
                          "gpu memory that a worker takes beside its model; auto: 400MB on NVIDIA, else 0",
                          bytes_or_auto));
}

std::vector<ConfigKey> make_keys() {
  std::vector<ConfigKey> keys;
  const auto add_path = [&](const char* key, const char* flag, std::filesystem::path Config::*field, const char* help) {
    std::string variable = "PIXELFLEET_";
    for (const char* c = key; *c != '\0'; ++c) variable += *c == '.' ? '_' : static_cast<char>(std::toupper(*c));
    keys.push_back({key,
                    {variable},
                    flag,
                    help,
                    [field](Config& c, const std::string& text) { return set_path(c.*field, text); },
                    [field](const Config& c) { return (c.*field).string(); }});
  };
  add_path("data", "data", &Config::data_directory, "directory of the database, uploads and thumbnails");
  add_path("output", "output", &Config::output_directory, "directory of the pictures and the job log");
  add_path("models", "models", &Config::models_directory, "directory that is scanned for checkpoints");
  add_path("profiles", "profiles", &Config::profiles_directory, "directory of the profiles (YAML)");
  add_path("engine.library", "engine-lib", &Config::engine_library, "libstable-diffusion.so to load");
  add_path("engine.directory", "engines", &Config::engines_directory, "directory of the engine plug-ins");
  keys.push_back({"port",
                  {"PIXELFLEET_PORT", "GRADIO_PORT"},
                  "port",
                  "TCP port of page and API; 0: any free one",
                  [](Config& c, const std::string& text) { return set_int(c.port, text, 0, 65535); },
                  [](const Config& c) { return format("{}", c.port); }});
  keys.push_back({"bind",
                  {"PIXELFLEET_BIND"},
                  "bind",
                  "address to listen on; anything but loopback needs a token",
                  [](Config& c, const std::string& text) -> Result<> {
                    if (text.empty()) return not_allowed(text, "empty", "an IP address such as 127.0.0.1 or 0.0.0.0");
                    c.bind = text;
                    return {};
                  },
                  [](const Config& c) { return c.bind; }});
  keys.push_back({"allowed_hosts",
                  {"PIXELFLEET_ALLOWED_HOSTS"},
                  "allowed-hosts",
                  "further host names under which browsers may reach the page, separated by commas",
                  [](Config& c, const std::string& text) -> Result<> {
                    const auto hosts = split(text);
                    c.allowed_hosts.assign(hosts.begin(), hosts.end());
                    return {};
                  },
                  [](const Config& c) { return format("{}", join(c.allowed_hosts, ",")); }});
  keys.push_back({"insecure_no_token",
                  {"PIXELFLEET_INSECURE_NO_TOKEN"},
                  "insecure-no-token",
                  "listen beyond loopback without a token (anyone who reaches the port may do anything)",
                  [](Config& c, const std::string& text) { return set_bool(c.insecure_no_token, text); },
                  [](const Config& c) { return yes_no(c.insecure_no_token); }});
  keys.push_back({"instance_id",
                  {"INSTANCE_ID", "PIXELFLEET_INSTANCE_ID"},
                  "instance-id",
                  "names the job log",
                  [](Config& c, const std::string& text) -> Result<> {
                    const bool plain = !text.empty() && text.size() <= 64 &&
                                       text.find_first_not_of(
                                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789._-") == std::string::npos;
                    if (!plain) {
                      return not_allowed(text, "not a plain name", "up to 64 letters, digits, '.', '_' and '-'");
                    }
                    c.instance_id = text;
                    return {};
                  },
                  [](const Config& c) { return c.instance_id; }});
  keys.push_back({"owner",
                  {"PIXELFLEET_USER"},
                  "owner",
                  "owner of the jobs that this command submits",
                  [](Config& c, const std::string& text) -> Result<> {
                    if (text.empty() || text.size() > 256) return not_allowed(text, "wrong length", "1 to 256 bytes");
                    c.owner = text;
                    return {};
                  },
                  [](const Config& c) { return c.owner; }});
  keys.push_back({"virtual_gpus",
                  {"PIXELFLEET_VIRTUAL_GPUS"},
                  "virtual-gpus",
                  "replace detection by this spec, such as 4x24GiB or H100+2x4090",
                  [](Config& c, const std::string& text) -> Result<> {
                    if (const auto gpus = parse_gpu_spec(text); !gpus) return fail(gpus.error());
                    c.virtual_gpus = text;
                    return {};
                  },
                  [](const Config& c) { return c.virtual_gpus; }});
  keys.push_back({"time_scale",
                  {"PIXELFLEET_TIME_SCALE"},
                  "time-scale",
                  "speed of the synthetic engine; 10 makes load and step times ten times shorter",
                  [](Config& c, const std::string& text) -> Result<> {
                    char* end = nullptr;
                    const double value = std::strtod(text.c_str(), &end);
                    const bool number = end != text.c_str() && *end == '\0' && std::isfinite(value);
                    if (!number || value < 0.01 || value > 10000) {
                      return not_allowed(text, "not a usable scale", "a number from 0.01 to 10000");
                    }
                    c.time_scale = value;
                    return {};
                  },
                  [](const Config& c) { return format("{}", c.time_scale); }});
  keys.push_back({"log.level",
                  {"PIXELFLEET_LOG_LEVEL"},
                  "log-level",
                  "debug, info, warn or error",
                  [](Config& c, const std::string& text) {
                    return set_choice(c.log_level, text, {"debug", "info", "warn", "error"});
                  },
                  [](const Config& c) { return c.log_level; }});
  keys.push_back({"log.style",
                  {"PIXELFLEET_LOG_STYLE"},
                  "log-style",
                  "auto, text or json",
                  [](Config& c, const std::string& text) {
                    return set_choice(c.log_style, text, {"auto", "text", "json"});
                  },
                  [](const Config& c) { return c.log_style; }});
  keys.push_back({"pipe_cache_max",
                  {"PIPE_CACHE_MAX"},
                  "pipe-cache-max",
                  "models one gpu may hold; 0 drops a model after each job",
                  [](Config& c, const std::string& text) {
                    int value = 0;
                    const auto set = set_int(value, text, 0, 64);
                    if (set) c.resident_limit = value;
                    return set;
                  },
                  [](const Config& c) {
                    return c.resident_limit ? format("{}", *c.resident_limit)
                                            : std::string("2, no limit with multi-GPU on");
                  }});
  keys.push_back({"idle.memory_mb",
                  {"PIXELFLEET_IDLE_MEMORY_MB"},
                  "idle-memory-mb",
                  "a gpu of which less is in use counts as idle",
                  [](Config& c, const std::string& text) { return set_int(c.idle_memory_mb, text, 1, 1'000'000); },
                  [](const Config& c) { return format("{}", c.idle_memory_mb); }});
  keys.push_back({"idle.utilization_percent",
                  {"PIXELFLEET_IDLE_UTILIZATION"},
                  "idle-utilization",
                  "... and which is busy for less of the time",
                  [](Config& c, const std::string& text) { return set_int(c.idle_utilization_percent, text, 1, 100); },
                  [](const Config& c) { return format("{}", c.idle_utilization_percent); }});
  keys.push_back({"multi_gpu.enabled",
                  {"PIXELFLEET_MULTI_GPU"},
                  "multi-gpu",
                  "distribute jobs over several gpus",
                  [](Config& c, const std::string& text) { return set_bool(c.live.multi_gpu_enabled, text); },
                  [](const Config& c) { return yes_no(c.live.multi_gpu_enabled); }});
  keys.push_back(
      {"multi_gpu.max_gpus",
       {"PIXELFLEET_MAX_GPUS"},
       "max-gpus",
       "how many gpus, while multi-GPU is on",
       [](Config& c, const std::string& text) { return set_int(c.live.multi_gpu_max_gpus, text, 1, kMaxMultiGpus); },
       [](const Config& c) { return format("{}", c.live.multi_gpu_max_gpus); }});
  keys.push_back(live_key("multi_gpu.gpus", "PIXELFLEET_GPUS", "gpu-list",
                          "only these gpus, while multi-GPU is on: UUIDs or numbers, separated by commas", as_list));
  keys.push_back({"multi_gpu.single_gpu",
                  {"PIXELFLEET_SINGLE_GPU"},
                  "single-gpu",
                  "UUID of the gpu to use while multi-GPU is off; empty: the one with most free memory",
                  [](Config& c, const std::string& text) -> Result<> {
                    c.live.multi_gpu_single = text;
                    return {};
                  },
                  [](const Config& c) { return c.live.multi_gpu_single; }});
  add_sharing_keys(keys);
  add_distribution_keys(keys);
  keys.push_back({"demo_faults",
                  {"PIXELFLEET_DEMO_FAULTS"},
                  "",
                  "a fault script of the synthetic engine, for tests of failures",
                  [](Config& c, const std::string& text) -> Result<> {
                    c.demo_faults = text;
                    return {};
                  },
                  [](const Config& c) { return c.demo_faults; }});
  keys.push_back({"config.locked",
                  {"PIXELFLEET_LOCKED"},
                  "",
                  "keys that page and API may not change, separated by commas",
                  [](Config& c, const std::string& text) -> Result<> {
                    c.locked = split(text);
                    return {};
                  },
                  [](const Config& c) { return format("{}", join(c.locked, ",")); }});
  return keys;
}

Error name_key(Error error, const ConfigKey& key, const std::string& where) {
  for (FieldError& field : error.fields) field.field = key.key;
  std::vector<FieldError> fields = std::move(error.fields);
  if (fields.empty()) fields.push_back({key.key, "", error.message, ""});
  Error named = invalid_fields(std::move(fields));
  named.message = format("{} ({}), value \"{}\"", named.message, where, named.fields.front().value);
  return named;
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

Environment process_environment() {
  return [](const std::string& variable) -> std::optional<std::string> {
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Result<LoadedConfig> load_config(const std::map<std::string, std::string>& flags, const Environment& environment) {
  LoadedConfig loaded;
  loaded.config.instance_id = host_name();
  std::string file;
  bool file_asked_for = true;
  if (const auto flag = flags.find("config"); flag != flags.end()) {
    file = flag->second;
  } else if (const auto variable = environment("PIXELFLEET_CONFIG")) {
    file = *variable;
  } else {
    file = "pixelfleet.yaml";
    file_asked_for = std::filesystem::exists(file);
  }
  std::map<std::string, std::string> from_file;
  if (file_asked_for) {
    auto read = read_config_file(file);
    if (!read) return fail(read.error());
    from_file = std::move(*read);
  }
  for (const ConfigKey& key : config_keys()) {
    Source source = Source::default_value;
    std::string where;
    std::optional<std::string> text;
    if (const auto found = from_file.find(key.key); found != from_file.end()) {
      source = Source::file;
      where = file;
      text = found->second;
      from_file.erase(found);
    }
    for (auto variable = key.environment.rbegin(); variable != key.environment.rend(); ++variable) {
      const auto value = environment(*variable);
      if (!value || value->empty()) continue;
      source = Source::environment;
      where = "environment " + *variable;
      text = value;
    }
    if (const auto flag = flags.find(key.key); flag != flags.end()) {
      source = Source::flag;
      where = "flag --" + key.flag;
      text = flag->second;
    }
    loaded.sources[key.key] = source;
    if (!text) continue;
    if (const auto set = key.set(loaded.config, *text); !set) return fail(name_key(set.error(), key, where));
  }
  if (!from_file.empty()) {
    std::vector<std::string> known;
    for (const ConfigKey& key : config_keys()) known.push_back(key.key);
    const std::string& unknown = from_file.begin()->first;
    const auto near = nearest_name(unknown, known);
    return fail(ErrorCode::invalid_argument,
                format("{}: unknown key \"{}\"{}; `pixelfleet config --print` lists the keys", file, unknown,
                       near ? format(", did you mean \"{}\"?", *near) : ""));
  }
  return loaded;
}

std::string LoadedConfig::print() const {
  std::string out;
  for (const ConfigKey& key : config_keys()) {
    const Source source = sources.at(key.key);
    out += format("{} = {}  ({})\n", key.key, key.get(config), name(source));
    out += format("    {}; {}{}\n", key.help, format("{}", join(key.environment, ", ")),
                  key.flag.empty() ? "" : ", --" + key.flag);
  }
  return out;
}

std::string_view name(Source source) {
  switch (source) {
    case Source::default_value: return "default";
    case Source::file: return "file";
    case Source::environment: return "environment";
    case Source::flag: return "flag";
  }
  return "default";
}

}  // namespace pixelfleet
