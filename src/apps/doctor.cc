#include "apps/doctor.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "apps/build_info.h"
#include "apps/gpus.h"
#include "apps/models.h"
#include "apps/paths.h"
#include "base/format.h"
#include "cli/hooks.h"
#include "engine/plugin.h"
#include "store/data_lock.h"

namespace pixelfleet::apps {
namespace {

// Prints findings as they are made; remembers whether something stands in the way of pictures.
class Findings {
 public:
  void good(const char* subject, const std::string& text) { line("ok  ", subject, text); }
  void note(const char* subject, const std::string& text) { line("note", subject, text); }
  void bad(const char* subject, const std::string& text, const std::string& next) {
    line("BAD ", subject, text);
    std::printf("                  next: %s\n", next.c_str());
    ++bad_;
  }
  bool any_bad() const { return bad_ > 0; }

 private:
  static void line(const char* mark, const char* subject, const std::string& text) {
    std::printf("%s  %-10s  %s\n", mark, subject, text.c_str());
  }
  int bad_ = 0;
};

void check_engine(Findings& findings, const Config& config, const char* name) {
  const auto file = engines_directory(config) / format("libpixelfleet_engine_{}.so", name);
  const bool real = std::string_view(name) == "sdcpp";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    const std::string text = format("{}: no plug-in at {}", name, file.string());
    if (real) {
      findings.note("engine", text + "; only demo pictures can be made. Next: ./quickstart (it gets the engine)");
    } else {
      findings.bad("engine", text, "build the target `engines`, or name the directory with --engines");
    }
    return;
  }
  const auto plugin = engine::Plugin::open(file.string());
  if (!plugin) {
    findings.bad("engine", plugin.error().message, "build the program and its plug-ins together again");
    return;
  }
  engine::Options options;
  options.library = real ? engine_library(config).string() : "";
  const auto started = plugin->start(options);
  if (const auto* failure = std::get_if<engine::Failure>(&started)) {
    findings.bad("engine", format("{}: {}", name, failure->message), "run tools/get-engine and build again");
    return;
  }
  const engine::Info& info = std::get<engine::Engine>(started).info();
  findings.good("engine", format("{} {}, API generation {}, cancel by {}, {} samplers{}", info.engine, info.version,
                                 info.generation, engine::name(info.capabilities.cancel), info.samplers.size(),
                                 real ? ", library " + options.library : " (demo pictures)"));
}

void check_gpus(Findings& findings, const Config& config) {
  auto look = look_at_gpus(config);
  const auto gpus = look ? look->look() : Result<std::vector<GpuStatus>>(fail(look.error()));
  if (!gpus) {
    findings.bad("gpus", gpus.error().message, "pixelfleet gpus");
    return;
  }
  for (const GpuStatus& status : *gpus) {
    findings.good("gpu", format("{}  {}  {}  {:.1f} GiB", status.gpu.index, status.gpu.uuid, status.gpu.name,
                                static_cast<double>(status.gpu.memory_total_bytes) / (1 << 30)));
  }
  if (gpus->empty()) findings.bad("gpus", "no gpu and no CPU to run on", "pixelfleet gpus --virtual-gpus 4x24GiB");
}

void check_models(Findings& findings, const Config& config) {
  const auto catalog = load_catalog(config);
  if (!catalog) {
    findings.bad("models", catalog.error().message, "correct or remove that file");
    return;
  }
  int real = 0;
  for (const Model& model : (*catalog)->models) {
    if (model.state == ModelState::unloadable) findings.note("model", format("{}: {}", model.title, model.reason));
    if (model.state != ModelState::installed || model.is_demo()) continue;
    ++real;
    findings.good("model", format("{} ({}, {:.1f} GiB)", model.title, model.family,
                                  static_cast<double>(model.memory_bytes) / (1 << 30)));
  }
  if (real == 0) {
    findings.note("models", "only demo models; add one: pixelfleet models add NAME --part checkpoint=FILE.safetensors");
  }
}

void check_directory(Findings& findings, const char* subject, const std::filesystem::path& directory,
                     const char* flag) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error || access(directory.c_str(), W_OK) != 0) {
    findings.bad(subject, format("{} cannot be written", directory.string()),
                 format("correct its permissions, or choose another with {}", flag));
    return;
  }
  const auto space = std::filesystem::space(directory, error);
  findings.good(subject, format("{}, {:.1f} GiB free", std::filesystem::absolute(directory).string(),
                                static_cast<double>(space.available) / (1 << 30)));
}

}  // namespace

int doctor(const LoadedConfig& loaded) {
  const Config& config = loaded.config;
  Findings findings;
  findings.good("program", format("pixelfleet {} at {}", kVersion, program_path().string()));
  check_engine(findings, config, "sdcpp");
  check_engine(findings, config, "synthetic");
  check_gpus(findings, config);
  check_models(findings, config);
  check_directory(findings, "data", config.data_directory, "--data");
  check_directory(findings, "output", config.output_directory, "--output");
  if (const auto running = store::read_running_server(config.data_directory); running && *running) {
    findings.note("server", format("process {} serves this data directory at {}", (*running)->pid, (*running)->url()));
  }
  return findings.any_bad() ? cli::kExitUnavailable : cli::kExitOk;
}

}  // namespace pixelfleet::apps
