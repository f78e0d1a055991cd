#include "control/model_facts.h"

#include <array>
#include <utility>

namespace pixelfleet::control {
namespace {

using scheduler::CostPrior;
using scheduler::CostRecord;

// Of a demo model: drawing and handing over a picture, and starting a process, on a machine of today.
constexpr double kDrawSeconds = 0.03;
constexpr double kStartSeconds = 0.1;

constexpr std::array<std::pair<CostRecord::Kind, const char*>, 3> kKinds = {
    {{CostRecord::Kind::load_from_host, "load_from_host"},
     {CostRecord::Kind::load_from_disk, "load_from_disk"},
     {CostRecord::Kind::run, "run"}}};

// A step of the synthetic engine takes as long whatever the size, and its pictures are made one by one.
CostPrior prior_of(const DemoTraits& demo, double time_scale) {
  CostPrior prior;
  prior.run.overhead_seconds = kDrawSeconds;
  prior.run.step_seconds = demo.step_seconds / time_scale;
  prior.run.pixel_exponent = 0.0;
  prior.run.shared = 0.0;
  prior.load.start_seconds = kStartSeconds + demo.load_seconds / time_scale;
  prior.load.lora_seconds = 0.0;
  return prior;
}

}  // namespace

scheduler::ModelFacts facts_of(const Model& model, double time_scale) {
  scheduler::ModelFacts facts;
  facts.key = model.key;
  facts.engine = model.engine == "synthetic" ? scheduler::Engine::synthetic : scheduler::Engine::sdcpp;
  facts.memory_bytes = model.memory_bytes;
  facts.workspace_bytes = model.workspace_bytes;
  if (model.demo) {
    facts.priors = {prior_of(*model.demo, time_scale)};  // each demo model has its own pace: no family
  } else {
    facts.file_bytes = model.file_bytes();
    facts.family = model.family;
    facts.priors = scheduler::builtin_priors(model.family);
  }
  return facts;
}

LearnedCost learned_from(const CostRecord& record) {
  for (const auto& [kind, word] : kKinds) {
    if (kind == record.kind) return {word, record.subject, record.gpu_type, record.log_ratio, record.count};
  }
  return {};
}

std::optional<CostRecord> record_of(const LearnedCost& cost) {
  for (const auto& [kind, word] : kKinds) {
    if (cost.kind == word) return CostRecord{kind, cost.subject, cost.gpu_type, cost.log_ratio, cost.count};
  }
  return std::nullopt;
}

}  // namespace pixelfleet::control
