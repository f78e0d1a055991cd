// What the scheduler is told of models, and how what it learned is kept.
#pragma once

#include <optional>

#include "control/ports.h"
#include "domain/model.h"
#include "scheduler/events.h"

namespace pixelfleet::control {

// `time_scale` is what the synthetic engine divides the times of demo models by: their costs are known beforehand, and
// they have no files to stage.
scheduler::ModelFacts facts_of(const Model& model, double time_scale);

LearnedCost learned_from(const scheduler::CostRecord& record);
// Nothing for a kind of a later program.
std::optional<scheduler::CostRecord> record_of(const LearnedCost& cost);

}  // namespace pixelfleet::control
