// The demo models: pleasant pictures from the synthetic engine, so that everything can be seen and tried without a
// checkpoint. They differ in load time, step time and memory as real models do, to give a scheduler something to
// decide.
#pragma once

#include <string>
#include <vector>

#include "domain/model.h"

namespace pixelfleet::catalog {

// `faults`: a script for tests of failures (the synthetic engine's header tells its grammar); empty: none.
std::vector<Model> demo_models(const std::string& faults);

}  // namespace pixelfleet::catalog
