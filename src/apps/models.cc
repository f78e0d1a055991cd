#include "apps/models.h"

#include <signal.h>

#include <filesystem>

#include "apps/paths.h"
#include "catalog/registry.h"
#include "store/data_lock.h"

namespace pixelfleet::apps {
namespace {

std::string registry_file(const Config& config) { return (config.data_directory / "models.yaml").string(); }

// $HF_HOME/hub, else the place that the hub's own tools use.
std::string hub_cache() {
  const Environment environment = process_environment();
  if (const auto home = environment("HF_HOME")) return *home + "/hub";
  if (const auto cache = environment("XDG_CACHE_HOME")) return *cache + "/huggingface/hub";
  if (const auto home = environment("HOME")) return *home + "/.cache/huggingface/hub";
  return {};
}

}  // namespace

catalog::CatalogSource::Options catalog_options(const Config& config) {
  catalog::CatalogSource::Options options;
  options.registry_file = registry_file(config);
  options.models_directory = config.models_directory.string();
  options.profile_directories = {profiles_directory(config).string()};
  options.hub_cache = hub_cache();
  options.demo_faults = config.demo_faults;
  return options;
}

Result<CatalogPtr> load_catalog(const Config& config) {
  auto source = catalog::CatalogSource::open(catalog_options(config));
  if (!source) return fail(source.error());
  return (*source)->current();
}

Result<Model> add_model(const Config& config, const cli::NewModel& model) {
  std::error_code error;
  std::filesystem::create_directories(config.data_directory, error);
  if (error) return fail(system_error(config.data_directory.string(), error.value()));
  catalog::RegisteredModel registered;
  registered.name = model.name;
  for (const auto& [role, file] : model.parts) registered.parts.push_back({role, file});
  auto added = catalog::add_model(registry_file(config), registered);
  if (!added) return fail(added.error());
  if (const auto running = store::read_running_server(config.data_directory); running && *running) {
    kill(static_cast<pid_t>((*running)->pid), SIGHUP);
  }
  return std::move(*added);
}

}  // namespace pixelfleet::apps
