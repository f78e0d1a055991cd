// Config: every setting of the program, where its value came from, and how to change it.
//
// default < file < environment < flag. A setting made in the page or API comes on top unless its key is locked
// (control applies those). One table (config_keys) feeds the flags, `pixelfleet config --print` and the documentation.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/settings.h"

namespace pixelfleet {

struct Config {
  std::filesystem::path data_directory = "data";
  std::filesystem::path output_directory = "output_images";
  std::filesystem::path models_directory = "models";
  std::filesystem::path profiles_directory;  // empty: the profiles installed with the program
  std::string bind = "127.0.0.1";
  int port = 7865;
  std::vector<std::string> allowed_hosts;
  bool insecure_no_token = false;
  std::string instance_id;
  std::string owner = "local";
  std::string virtual_gpus;                 // a gpu spec; empty: detect
  double time_scale = 1.0;                  // speeds synthetic load and step times up
  std::filesystem::path engine_library;     // libstable-diffusion.so; empty: the one the adapter was built with
  std::filesystem::path engines_directory;  // the engine plug-ins; empty: beside the program
  std::string demo_faults;                  // a fault script of the synthetic engine, for tests
  std::string log_level = "info";
  std::string log_style = "auto";  // text on a terminal, json otherwise
  std::optional<int> resident_limit;
  int vram_margin_mb = 512;   // of each gpu, that nobody plans with
  int idle_memory_mb = 1024;  // a gpu with less in use, and less busy, is idle
  int idle_utilization_percent = 10;
  LiveSettings live;
  std::set<std::string> locked;  // keys that page and API may not change
};

// Whose word the value of a key is.
enum class Source { default_value, file, environment, flag };

struct ConfigKey {
  std::string key;                       // in the file and in `config --print`
  std::vector<std::string> environment;  // the first that is set counts
  std::string flag;                      // without the dashes; empty: none
  std::string help;
  std::function<Result<>(Config&, const std::string&)> set;
  std::function<std::string(const Config&)> get;
};

const std::vector<ConfigKey>& config_keys();

struct LoadedConfig {
  Config config;
  std::map<std::string, Source> sources;

  // One line per key: "port = 7865  (environment GRADIO_PORT)".
  std::string print() const;
};

// Text of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment process_environment();

// `flags`: key -> text. The file is `flags["config"]`, else PIXELFLEET_CONFIG, else ./pixelfleet.yaml if there is one.
// Errors name the key, where its value came from, and what is allowed.
Result<LoadedConfig> load_config(const std::map<std::string, std::string>& flags, const Environment& environment);

std::string_view name(Source source);

}  // namespace pixelfleet
