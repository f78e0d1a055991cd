// The tables of gpus and families, and what each regime makes of them.
#include "simulator/machine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "simulator/noise.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kGB = 1e9;
constexpr double kLoraPatchSeconds = 3.0;
constexpr std::string_view kDescribedGpu = "described gpu";

struct GpuType {
  std::string_view type;
  double usable_bytes;
  double pinned_bytes_per_second;  // regime fast; the other rates are the priors'
};
constexpr std::array<GpuType, 5> kGpuTypes = {{{"H100-80", 76.0 * kGB, 45.0 * kGB},
                                               {"A100-80", 76.0 * kGB, 20.0 * kGB},
                                               {"A100-40", 38.0 * kGB, 20.0 * kGB},
                                               {"4090-24", 22.5 * kGB, 22.0 * kGB},
                                               {"V100-16", 15.0 * kGB, 9.0 * kGB}}};

struct Family {
  std::string_view name;
  std::string_view scheduler_name;
  double workspace_bytes;
  double shared;  // of a step, by the pictures of a batch
  double sdcpp_start_seconds;
};
constexpr std::array<Family, 4> kFamilies = {{{"SD15", "sd1", 1.5 * kGB, 0.30, 0.3},
                                              {"SDXL", "sdxl", 3.0 * kGB, 0.08, 0.5},
                                              {"SD35L", "sd3", 4.0 * kGB, 0.05, 0.8},
                                              {"FLUX8", "flux", 4.0 * kGB, 0.04, 0.8}}};

// fast: the same work to start as in slow, without the copies into pageable memory: an SDXL on a 4090 is there in 1.5
// s. The disks are faster, too: with 3 GB/s for 1 GB/s the rivals sustain what was published of them (anchors_test.cc).
constexpr double kFastStartPart = 0.475;
constexpr double kSdcppBytesPerSecond = 1.1 * kGB;  // out of the page cache, on every gpu
constexpr double kSdcppSpawnSeconds = 0.7;
constexpr double kSdcppOverheadBytes = 0.4 * kGB;
// remote: in both tiers a load of the trace's mean model takes the histogram's mean (noise.h).
constexpr double kRemoteStartSeconds = 1.0;

template <class Rows>
std::string names_of(const Rows& rows, std::string_view (*name_of)(const typename Rows::value_type&)) {
  std::vector<std::string_view> names;
  for (const auto& row : rows) names.push_back(name_of(row));
  return format("{}", join(names, ", "));
}

Result<const GpuType*> gpu_type_of(std::string_view type) {
  for (const GpuType& known : kGpuTypes) {
    if (known.type == type) return &known;
  }
  return fail(ErrorCode::invalid_argument,
              format("no gpu of type \"{}\" is known; allowed are {}", type,
                     names_of(kGpuTypes, [](const GpuType& known) { return known.type; })));
}

Result<const Family*> family_of(std::string_view name) {
  for (const Family& known : kFamilies) {
    if (known.name == name) return &known;
  }
  return fail(ErrorCode::invalid_argument, format("no model family \"{}\" is known; allowed are {}", name,
                                                  names_of(kFamilies, [](const Family& known) { return known.name; })));
}

scheduler::CostPrior prior_of(const Family& family, const GpuType& gpu) {
  std::vector<scheduler::CostPrior> priors = scheduler::builtin_priors(family.scheduler_name);
  const auto of_gpu = std::find_if(priors.begin(), priors.end(), [&gpu](const scheduler::CostPrior& prior) {
    return gpu.type.find(prior.gpu_type) != std::string_view::npos;
  });
  CHECK(of_gpu != priors.end());  // the last one is of any other gpu
  scheduler::CostPrior prior = std::move(*of_gpu);
  prior.gpu_type = gpu.type;
  prior.run.shared = family.shared;
  return prior;
}

scheduler::LoadPrior load_of(const scheduler::LoadPrior& slow, const Family& family, const GpuType& gpu, Regime regime,
                             double mean_model_bytes) {
  if (regime == Regime::fast) return {slow.start_seconds * kFastStartPart, gpu.pinned_bytes_per_second};
  if (regime == Regime::sdcpp) return {family.sdcpp_start_seconds + kSdcppSpawnSeconds, kSdcppBytesPerSecond};
  if (regime == Regime::remote) {
    return {kRemoteStartSeconds, mean_model_bytes / (remote_load_mean_seconds(Tier::cached) - kRemoteStartSeconds)};
  }
  return slow;
}

double mean_bytes(const std::vector<TraceModel>& models) {
  double sum = 0.0;
  for (const TraceModel& model : models) sum += model.bytes;
  return models.empty() ? kGB : sum / static_cast<double>(models.size());
}

}  // namespace

Result<Machine> Machine::make(const MachineSpec& spec, const std::vector<TraceModel>& models, Regime regime,
                              Capabilities capabilities) {
  Machine machine;
  machine.host_bytes_ = spec.host_bytes;
  machine.disk_bytes_per_second_ =
      regime == Regime::fast ? spec.fast_disk_bytes_per_second : spec.disk_bytes_per_second;
  if (regime == Regime::remote) {
    machine.disk_bytes_per_second_ =
        mean_bytes(models) / (remote_load_mean_seconds(Tier::remote) - kRemoteStartSeconds);
    machine.disk_ = Disk::same_for_each;
  }
  const bool starts_processes = capabilities == Capabilities::sdcpp;
  if (starts_processes) machine.overhead_bytes_ = kSdcppOverheadBytes;
  const double spawn_seconds = starts_processes && regime != Regime::sdcpp ? kSdcppSpawnSeconds : 0.0;

  std::vector<const GpuType*> types;
  for (const std::string& type : spec.gpus) {
    const auto known = gpu_type_of(type);
    if (!known) return fail(known.error());
    types.push_back(*known);
    machine.gpus_.push_back({(*known)->type, (*known)->usable_bytes});
  }
  for (const TraceModel& model : models) {
    const auto family = family_of(model.family);
    if (!family) return fail(family.error());
    ModelRow row{model.bytes, model.bytes, (*family)->workspace_bytes, (*family)->scheduler_name, {}};
    for (const GpuType* type : types) {
      scheduler::CostPrior cost = prior_of(**family, *type);
      cost.load = load_of(cost.load, **family, *type, regime, mean_bytes(models));
      cost.load.start_seconds += spawn_seconds;
      row.costs.push_back(std::move(cost));
    }
    machine.models_.push_back(std::move(row));
  }
  return machine;
}

Machine::Machine(const MachineDescription& description)
    : host_bytes_(description.host_bytes),
      disk_bytes_per_second_(description.disk_bytes_per_second),
      beside_run_(description.beside_run),
      leave_seconds_(description.leave_seconds),
      telling_(description.telling) {
  for (const double bytes : description.gpus) gpus_.push_back({kDescribedGpu, bytes});
  for (const DescribedModel& model : description.models) {
    ModelRow row;
    row.bytes = static_cast<double>(model.told.memory_bytes - model.told.workspace_bytes);
    row.file_bytes = static_cast<double>(model.told.file_bytes);
    row.workspace_bytes = static_cast<double>(model.told.workspace_bytes);
    row.costs.assign(gpus_.size(), model.costs);
    row.told = model.told;
    models_.push_back(std::move(row));
  }
}

int Machine::gpu_count() const { return static_cast<int>(gpus_.size()); }
double Machine::memory_bytes(int gpu) const { return gpus_[static_cast<std::size_t>(gpu)].memory_bytes; }
std::string_view Machine::gpu_type(int gpu) const { return gpus_[static_cast<std::size_t>(gpu)].type; }
double Machine::worker_overhead_bytes() const { return overhead_bytes_; }
double Machine::workspace_bytes(int model) const { return row(model).workspace_bytes; }
double Machine::weight_bytes(int model) const { return row(model).bytes; }
double Machine::file_bytes(int model) const { return row(model).file_bytes; }

bool Machine::fits(int model, int gpu) const {
  return row(model).bytes + row(model).workspace_bytes + overhead_bytes_ <= memory_bytes(gpu);
}

double Machine::run_seconds(const TraceJob& job, int gpu) const { return run_seconds(job, gpu, job.images); }

double Machine::run_seconds(const TraceJob& job, int gpu, int images) const {
  const scheduler::RunPrior& run = cost(job.model, gpu).run;
  const double n = images;
  const double step = run.step_seconds * std::pow(job.pixels / run.reference_pixels, run.pixel_exponent);
  return overhead_seconds(job.model, gpu, images) + job.steps * step * (run.shared + (1.0 - run.shared) * n);
}

double Machine::overhead_seconds(int model, int gpu, int images) const {
  return cost(model, gpu).run.overhead_seconds * (0.5 + 0.5 * images);
}

double Machine::read_seconds(int model, int other_readers) const {
  const double readers = disk_ == Disk::shared_by_readers ? other_readers + 1 : 1;
  return row(model).file_bytes * readers / disk_bytes_per_second_;
}

double Machine::load_from_host_seconds(int model, int gpu) const {
  return load_joining_staging_seconds(model, gpu, 0.0);
}

double Machine::load_from_disk_seconds(int model, int gpu, int other_readers) const {
  return load_joining_staging_seconds(model, gpu, read_seconds(model, other_readers));
}

double Machine::load_joining_staging_seconds(int model, int gpu, double remaining_s) const {
  const scheduler::LoadPrior& load = cost(model, gpu).load;
  return load.start_seconds + std::max(row(model).file_bytes / load.to_gpu_bytes_per_second, remaining_s);
}

double Machine::stage_seconds(int model, int other_readers) const { return read_seconds(model, other_readers); }

double Machine::lora_patch_seconds(int) const { return kLoraPatchSeconds; }

scheduler::ModelFacts Machine::facts(int model) const {
  const ModelRow& of = row(model);
  if (of.told) return *of.told;
  scheduler::ModelFacts facts;
  facts.key = format("model-{:04}", model);
  facts.memory_bytes = std::llround(of.bytes + of.workspace_bytes);
  facts.workspace_bytes = std::llround(of.workspace_bytes);
  facts.file_bytes = std::llround(of.bytes);
  facts.family = of.family;
  for (const scheduler::CostPrior& cost : of.costs) {
    const bool told = std::any_of(facts.priors.begin(), facts.priors.end(),
                                  [&](const scheduler::CostPrior& other) { return other.gpu_type == cost.gpu_type; });
    if (!told) facts.priors.push_back(cost);
  }
  return facts;
}

}  // namespace pixelfleet::simulator
