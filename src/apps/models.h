// The catalogue as the commands without a server need it.
#pragma once

#include "base/result.h"
#include "catalog/catalog_source.h"
#include "cli/hooks.h"
#include "config/config.h"

namespace pixelfleet::apps {

catalog::CatalogSource::Options catalog_options(const Config& config);

Result<CatalogPtr> load_catalog(const Config& config);

// Registers the files and tells a running server of the data directory to look again.
Result<Model> add_model(const Config& config, const cli::NewModel& model);

}  // namespace pixelfleet::apps
