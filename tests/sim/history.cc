// The stormy part of a history: what users, disks, drivers and operators do to a server, chosen by the seed.
#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/format.h"
#include "world.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr int kModels = 6;

template <class Map>
auto pick(const Map& map, Rng& rng) {
  return std::next(map.begin(), static_cast<std::ptrdiff_t>(rng.below(map.size())));
}

Gpu random_gpu(int index, Rng& rng) {
  static constexpr std::int64_t kSizes[] = {8, 12, 24, 24, 40};
  static constexpr GpuKind kKinds[] = {GpuKind::nvidia, GpuKind::nvidia, GpuKind::virtual_gpu, GpuKind::cpu};
  static constexpr const char* kNames[] = {"", "small card", "large card"};
  return {format("gpu-{}", index), index, kNames[rng.below(std::size(kNames))], kKinds[rng.below(std::size(kKinds))],
          kSizes[rng.below(std::size(kSizes))] * kGiB};
}

}  // namespace

// What a broken measurement or a careless hand may say.
double SimWorld::wild_number() {
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr double kWild[] = {
      0.0,   -0.0,   -1.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN(),
      1e300, 1e-300, 1e-3, 0.01,      100.0,      1e6};
  return kWild[rng_.below(std::size(kWild))];
}

std::vector<CostPrior> SimWorld::random_priors() {
  std::vector<CostPrior> priors;
  if (!poisoned_ && rng_.chance(0.3)) return priors;  // those of an unknown family
  for (const char* const type : {"small", ""}) {
    CostPrior prior;
    prior.gpu_type = type;
    prior.run.step_seconds = 0.01 * static_cast<double>(1 + rng_.below(20));
    prior.load.start_seconds = 0.2 * static_cast<double>(1 + rng_.below(20));
    if (poisoned_) {
      for (double* const number : {&prior.run.overhead_seconds, &prior.run.step_seconds, &prior.run.reference_pixels,
                                   &prior.run.pixel_exponent, &prior.run.shared, &prior.load.start_seconds,
                                   &prior.load.to_gpu_bytes_per_second, &prior.load.lora_seconds}) {
        if (rng_.chance(0.3)) *number = wild_number();
      }
    }
    priors.push_back(prior);
  }
  return priors;
}

ModelFacts SimWorld::random_model(int number) {
  static constexpr std::int64_t kSizes[] = {2, 4, 7, 11, 18, 30};
  ModelFacts model;
  model.key = format("model-{}", number);
  model.engine = rng_.chance(0.4) ? Engine::sdcpp : Engine::synthetic;
  model.memory_bytes = kSizes[rng_.below(std::size(kSizes))] * kGiB;
  if (rng_.chance(0.7)) model.workspace_bytes = model.memory_bytes / 4;
  if (rng_.chance(0.8)) model.file_bytes = model.memory_bytes - model.workspace_bytes;
  if (rng_.chance(0.5)) model.family = "sdxl";
  model.priors = random_priors();
  return model;
}

Tuning SimWorld::random_tuning() {
  Tuning tuning;
  static constexpr double kQuanta[] = {0.0, 1.0, 2.0, 4.0};
  tuning.quantum = kQuanta[rng_.below(std::size(kQuanta))];
  if (rng_.chance(0.3)) tuning.guard_seconds = 5.0;
  if (rng_.chance(0.5)) tuning.background_guard_seconds = 60.0;
  if (rng_.chance(0.3)) tuning.hysteresis = 1.0;
  for (Part* const part :
       {&tuning.load_behind, &tuning.replicate_behind, &tuning.staging, &tuning.rollout, &tuning.splitting}) {
    if (rng_.chance(0.2)) *part = Part::off;
  }
  return tuning;
}

Policy SimWorld::random_policy() {
  static constexpr int kLimits[] = {-1, 0, 1, 2, 3};
  static constexpr Algorithm kAlgorithms[] = {Algorithm::amp, Algorithm::amp, Algorithm::amp, Algorithm::v18,
                                              Algorithm::fifo};
  Policy policy;
  policy.multi_gpu = rng_.chance(0.75);
  policy.algorithm = kAlgorithms[rng_.below(std::size(kAlgorithms))];
  policy.max_gpus = 1 + static_cast<int>(rng_.below(8));
  policy.resident_limit = kLimits[rng_.below(std::size(kLimits))];
  if (rng_.chance(0.2)) policy.gpus = {format("gpu-{}", rng_.below(5)), format("{}", rng_.below(5))};
  if (rng_.chance(0.3)) policy.single_gpu = format("gpu-{}", rng_.below(5));
  if (rng_.chance(0.3)) policy.objective = Objective::throughput;
  if (rng_.chance(0.3)) policy.load_beside_run = LoadBesideRun::no;
  policy.worker_overhead_bytes = static_cast<std::int64_t>(rng_.below(3)) * kGiB / 2;
  policy.host_memory_bytes = static_cast<std::int64_t>(rng_.below(4)) * 12 * kGiB;
  if (poisoned_ && rng_.chance(0.5)) policy.disk_bytes_per_second = wild_number();
  while (rng_.chance(0.25)) policy.pinned_models.insert(format("model-{}", rng_.below(kModels)));
  policy.tuning = random_tuning();
  return policy;
}

void SimWorld::remember_costs() {
  static constexpr CostRecord::Kind kKinds[] = {CostRecord::Kind::load_from_host, CostRecord::Kind::load_from_disk,
                                                CostRecord::Kind::run};
  for (const CostRecord::Kind kind : kKinds) {
    CostRecord record{kind, "sdxl/euler", rng_.chance(0.5) ? "small card" : "", rng_.unit() - 0.5, 5.0};
    if (kind != CostRecord::Kind::run) record.subject = format("model-{}", rng_.below(kModels));
    if (poisoned_) record.log_ratio = wild_number();
    if (poisoned_ && rng_.chance(0.5)) record.count = wild_number();
    step(CostRemembered{record});
  }
}

void SimWorld::set_up() {
  step(PolicyChanged{random_policy()});
  const int gpus = static_cast<int>(rng_.below(9));
  for (int index = 0; index < gpus; ++index) step(GpuArrived{random_gpu(index, rng_)});
  for (int number = 0; number < kModels; ++number) {
    if (rng_.chance(0.9)) step(ModelKnown{random_model(number)});
    if (rng_.chance(0.08)) broken_.insert(format("model-{}", number));
  }
  if (rng_.chance(0.5)) remember_costs();
  const int happenings = 8 + static_cast<int>(rng_.below(33));
  Duration time{0};
  for (int i = 0; i < happenings; ++i) {
    time += rng_.chance(0.3) ? between(0, 200) : between(200, 20'000);
    at(time, {TimerFired{}, {}, {}, Happening::Kind::storm});
  }
  at(time + std::chrono::seconds{1}, {TimerFired{}, WorkerId{}, ChunkId{}, Happening::Kind::storm});
}

void SimWorld::storm() {
  const bool last = std::none_of(agenda_.begin(), agenda_.end(),
                                 [](const auto& entry) { return entry.second.kind == Happening::Kind::storm; });
  if (last) return calm_down();
  const std::uint64_t dice = rng_.below(100);
  if (dice < 34) return submit_burst();
  if (dice < 44) {
    if (const auto job = some_job()) step(JobCancelRequested{*job});
    return;
  }
  if (dice < 50) {
    static constexpr HeldReason kReasons[] = {HeldReason::user, HeldReason::window, HeldReason::quota};
    if (const auto job = some_job()) step(JobHeld{*job, kReasons[rng_.below(std::size(kReasons))]});
    return;
  }
  if (dice < 58) {
    if (const auto job = some_job()) step(JobReleased{*job});
    return;
  }
  if (dice < 64) {  // a process dies of its own accord, idle or not
    if (const auto worker = some_process()) {
      gone_.insert(*worker);
      step(WorkerLost{*worker, {"engine_died", "killed", {"log"}}, rng_.chance(0.5) ? Blame::job : Blame::none});
    }
    return;
  }
  if (dice < 70) return change_terms();
  if (dice < 76) return change_gpus();
  if (dice < 81) return change_models();
  if (dice < 86) return change_policy();
  if (dice < 90) return restart();
  if (dice < 91) return nonsense();
  if (dice < 92) return retry();
  if (dice < 98) return rng_.chance(0.2) ? lose_staged() : change_orders();
  compare_with_rebuilt();
}

JobFacts SimWorld::random_job() {
  static constexpr const char* kOwners[] = {"ada", "grace", "edsger", ""};
  static constexpr const char* kSamplers[] = {"euler", "dpm++", ""};
  static constexpr const char* kLoras[] = {"", "", "ink:1", "ink:1,wool:0.5"};
  static constexpr int kSteps[] = {20, 4, 50, 1};
  JobFacts facts;
  facts.id = JobId{next_job_++};
  facts.owner = kOwners[rng_.below(std::size(kOwners))];
  if (rng_.chance(0.2)) facts.priority = rng_.chance(0.5) ? Priority::interactive : Priority::background;
  if (rng_.chance(0.15)) facts.rank = static_cast<double>(rng_.below(7)) - 3.5;
  if (rng_.chance(0.1)) facts.pin = format("gpu-{}", rng_.below(10));
  if (rng_.chance(0.05)) facts.held = HeldReason::user;
  if (rng_.chance(0.2)) facts.arrived_at = now_ - between(-10'000, 600'000);
  facts.shape = {kSteps[rng_.below(std::size(kSteps))], std::int64_t{1} << (16 + rng_.below(6)),
                 kSamplers[rng_.below(std::size(kSamplers))], kLoras[rng_.below(std::size(kLoras))]};
  const int count = 1 + static_cast<int>(rng_.below(8));
  for (int index = 0; index < count; ++index) facts.missing.push_back(index);
  return facts;
}

void SimWorld::submit_burst() {
  const std::uint64_t jobs = 1 + rng_.below(8);
  const bool one_model = rng_.chance(0.5);
  std::uint64_t model = rng_.below(kModels + 1);  // the last one is unknown
  for (std::uint64_t i = 0; i < jobs; ++i) {
    JobFacts facts = random_job();
    if (!one_model) model = rng_.below(kModels);
    facts.model = format("model-{}", model);
    if (rng_.chance(0.03)) poison_.insert(facts.id);
    submitted_[facts.id] = facts;
    step(JobSubmitted{std::move(facts)});
  }
}

void SimWorld::change_gpus() {
  const auto& gpus = auditor_.gpus();
  if (!lost_gpus_.empty() && rng_.chance(0.5)) {
    const auto back = pick(lost_gpus_, rng_);
    const Gpu gpu = back->second;
    lost_gpus_.erase(back->first);
    return step(GpuArrived{gpu});
  }
  if (gpus.empty() || rng_.chance(0.2)) {
    const Gpu gpu = random_gpu(static_cast<int>(rng_.below(9)), rng_);  // new, or another size, or another kind
    lost_gpus_.erase(gpu.uuid);
    return step(GpuArrived{gpu});
  }
  const Gpu gpu = pick(gpus, rng_)->second;
  lost_gpus_[gpu.uuid] = gpu;
  for (const auto& [id, process] : auditor_.processes()) {
    if (process.gpu == gpu.uuid && !rng_.chance(0.3)) gone_.insert(id);
  }
  step(GpuLost{gpu.uuid});
}

// Health, sharing or the memory plan let a gpu be used on other terms; also one that is not here.
void SimWorld::change_terms() {
  const GpuUuid gpu = format("gpu-{}", rng_.below(10));
  switch (rng_.below(5)) {
    case 0: return step(GpuOpened{gpu, Trust::full});
    case 1: return step(GpuOpened{gpu, Trust::probation});
    case 2:
    case 3: return step(GpuClosed{gpu, static_cast<GpuClosed::Workers>(rng_.below(3))});
    default: break;
  }
  step(GpuMemoryPlanned{
      gpu, rng_.chance(0.3) ? std::nullopt : std::optional(static_cast<std::int64_t>(rng_.below(41)) * kGiB)});
}

void SimWorld::change_models() {
  const ModelFacts model = random_model(static_cast<int>(rng_.below(kModels)));
  if (rng_.chance(0.3)) broken_.erase(model.key);
  if (rng_.chance(0.4)) return step(ModelForgotten{model.key});
  step(ModelKnown{model});
}

void SimWorld::change_policy() { step(PolicyChanged{random_policy()}); }

void SimWorld::change_orders() {
  const auto job = some_job();
  const auto other = some_job();
  if (!job || !other) return;
  const auto owner = rng_.chance(0.3) ? std::nullopt : std::optional<std::string>("ada");
  switch (rng_.below(7)) {
    case 0:
    case 1: return step(JobMoved{*job, *other, JobMoved::Side::before});
    case 2: return step(JobMoved{*job, *other, JobMoved::Side::after});
    case 3: return step(JobReprioritised{*job, static_cast<Priority>(rng_.below(3))});
    case 4:
      return step(JobPinned{*job, rng_.chance(0.5) ? std::nullopt : std::optional(format("gpu-{}", rng_.below(10)))});
    case 5: return step(QueuePaused{owner});
    default: return step(QueueResumed{owner});
  }
}

// A failed or cancelled job is opened again for the pictures that it lacks.
void SimWorld::retry() {
  std::vector<JobId> failed;
  for (const auto& [id, state] : auditor_.ended()) {
    if (state != JobState::done && auditor_.is_over(id)) failed.push_back(id);
  }
  if (failed.empty()) return;
  JobFacts facts = submitted_.at(failed[rng_.below(failed.size())]);
  facts.held.reset();
  std::erase_if(facts.missing, [&](int index) { return published_.contains({facts.id, index}); });
  step(JobSubmitted{std::move(facts)});
}

// The operating system took the pages for something else.
void SimWorld::lose_staged() {
  if (!auditor_.host().staged().empty()) step(ModelUnstaged{pick(auditor_.host().staged(), rng_)->first});
}

// Events about what never was, or is long gone.
void SimWorld::nonsense() {
  const auto any = static_cast<std::int64_t>(rng_.below(1000)) + 500'000;
  switch (rng_.below(14)) {
    case 0: return step(WorkerReady{WorkerId{any}});
    case 1: return step(WorkerLost{WorkerId{any}, {"engine_died", "?", {}}, Blame::job});
    case 2: return step(ModelUnloadable{WorkerId{any}, {"model_unreadable", "?", {}}});
    case 3: return step(ImageMade{ChunkId{any}, 0});
    case 4: return step(ChunkEnded{ChunkId{any}, ChunkOutcome::done, {}});
    case 5: return step(ImagePublished{JobId{any}, 0});
    case 6: return step(GpuLost{"gpu-none"});
    case 7: return step(ModelForgotten{"model-none"});
    case 8: return step(JobCancelRequested{JobId{any}});
    case 9: return step(ChunkProgress{ChunkId{any}, 0, 5, 0});
    case 10: return step(ModelUnstaged{"model-none"});
    case 11: return step(JobMoved{JobId{any}, JobId{any + 1}});
    case 12: return step(JobPinned{JobId{any}, "gpu-0"});
    default: return step(TimerFired{});
  }
}

std::optional<JobId> SimWorld::some_job() {
  if (next_job_ == 1) return std::nullopt;
  if (!auditor_.open().empty() && rng_.chance(0.8)) return pick(auditor_.open(), rng_)->first;
  return JobId{1 + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(next_job_)))};
}

std::optional<WorkerId> SimWorld::some_process() {
  if (auditor_.processes().empty()) return std::nullopt;
  return pick(auditor_.processes(), rng_)->first;
}

// From here on only loads fail now and then, and the machine can run everything: so every job has to end.
void SimWorld::calm_down() {
  compare_with_rebuilt();
  weather_ = Weather::calm;
  broken_.clear();
  for (int number = 0; number <= kModels; ++number) {
    const ModelKey key = format("model-{}", number);
    if (!auditor_.models().contains(key)) step(ModelKnown{{key, Engine::synthetic, 4 * kGiB}});
  }
  for (int index = 0; index < 10; ++index) {
    const Gpu gpu{format("gpu-{}", index), index, "", GpuKind::nvidia, 128 * kGiB};
    step(GpuOpened{gpu.uuid});
    step(GpuMemoryPlanned{gpu.uuid, std::nullopt});
    if (!auditor_.gpus().contains(gpu.uuid) || auditor_.gpus().at(gpu.uuid) != gpu) step(GpuArrived{gpu});
  }
  Policy policy = random_policy();
  policy.single_gpu.clear();
  policy.gpus.clear();
  // Pinned models must leave room for one more.
  const std::size_t room =
      policy.resident_limit < 0 ? kModels : static_cast<std::size_t>(std::max(policy.resident_limit, 1));
  while (policy.pinned_models.size() >= std::min<std::size_t>(room, 3)) {
    policy.pinned_models.erase(policy.pinned_models.begin());
  }
  step(PolicyChanged{policy});
  for (const auto& owner : std::set(auditor_.pauses())) step(QueueResumed{owner});
  std::vector<JobId> open;
  for (const auto& [id, row] : auditor_.open()) open.push_back(id);
  for (const JobId id : open) {
    step(JobReleased{id});
    const auto row = auditor_.open().find(id);
    if (row == auditor_.open().end() || !row->second.facts.pin || auditor_.violation()) continue;
    // A job pinned to a gpu that stays out of use waits for ever, rightly.
    const bool used = policy.multi_gpu && auditor_.gpus().at(*row->second.facts.pin).index < policy.max_gpus;
    if (!used) step(JobCancelRequested{id});
  }
}

}  // namespace pixelfleet::sim
