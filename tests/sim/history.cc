// The stormy part of a history: what users, disks, drivers and operators do to a server, chosen by the seed.
#include <algorithm>
#include <iterator>
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

ModelFacts random_model(int number, Rng& rng) {
  static constexpr std::int64_t kSizes[] = {2, 4, 7, 11, 18, 30};
  return {format("model-{}", number), rng.chance(0.4) ? Engine::sdcpp : Engine::synthetic,
          kSizes[rng.below(std::size(kSizes))] * kGiB};
}

Gpu random_gpu(int index, Rng& rng) {
  static constexpr std::int64_t kSizes[] = {8, 12, 24, 24, 40};
  static constexpr GpuKind kKinds[] = {GpuKind::nvidia, GpuKind::nvidia, GpuKind::virtual_gpu, GpuKind::cpu};
  return {format("gpu-{}", index), index, "", kKinds[rng.below(std::size(kKinds))],
          kSizes[rng.below(std::size(kSizes))] * kGiB};
}

}  // namespace

Policy SimWorld::random_policy() {
  static constexpr int kLimits[] = {-1, 0, 1, 2, 3};
  Policy policy;
  policy.multi_gpu = rng_.chance(0.6);
  policy.algorithm = Algorithm::v18;
  policy.max_gpus = 1 + static_cast<int>(rng_.below(8));
  policy.resident_limit = kLimits[rng_.below(std::size(kLimits))];
  if (rng_.chance(0.3)) policy.single_gpu = format("gpu-{}", rng_.below(5));
  return policy;
}

void SimWorld::set_up() {
  step(PolicyChanged{random_policy()});
  const int gpus = static_cast<int>(rng_.below(9));
  for (int index = 0; index < gpus; ++index) step(GpuArrived{random_gpu(index, rng_)});
  for (int number = 0; number < kModels; ++number) {
    if (rng_.chance(0.9)) step(ModelKnown{random_model(number, rng_)});
    if (rng_.chance(0.08)) broken_.insert(format("model-{}", number));
  }
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
  if (dice < 76) return change_gpus();
  if (dice < 82) return change_models();
  if (dice < 88) return change_policy();
  if (dice < 92) return restart();
  if (dice < 97) return nonsense();
  compare_with_rebuilt();
}

void SimWorld::submit_burst() {
  const std::uint64_t jobs = 1 + rng_.below(8);
  const bool one_model = rng_.chance(0.5);
  std::uint64_t model = rng_.below(kModels + 1);  // the last one is unknown
  for (std::uint64_t i = 0; i < jobs; ++i) {
    JobFacts facts;
    facts.id = JobId{next_job_++};
    facts.owner = rng_.chance(0.5) ? "ada" : "grace";
    if (!one_model) model = rng_.below(kModels);
    facts.model = format("model-{}", model);
    if (rng_.chance(0.2)) facts.priority = rng_.chance(0.5) ? Priority::interactive : Priority::background;
    if (rng_.chance(0.15)) facts.rank = static_cast<double>(rng_.below(7)) - 3.5;
    if (rng_.chance(0.1)) facts.pin = format("gpu-{}", rng_.below(10));
    if (rng_.chance(0.05)) facts.held = HeldReason::user;
    const int count = 1 + static_cast<int>(rng_.below(8));
    for (int index = 0; index < count; ++index) facts.missing.push_back(index);
    if (rng_.chance(0.03)) poison_.insert(facts.id);
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

void SimWorld::change_models() {
  const ModelFacts model = random_model(static_cast<int>(rng_.below(kModels)), rng_);
  if (rng_.chance(0.3)) broken_.erase(model.key);
  if (rng_.chance(0.4)) return step(ModelForgotten{model.key});
  step(ModelKnown{model});
}

void SimWorld::change_policy() { step(PolicyChanged{random_policy()}); }

// Events about what never was, or is long gone.
void SimWorld::nonsense() {
  const auto any = static_cast<std::int64_t>(rng_.below(1000)) + 500'000;
  switch (rng_.below(10)) {
    case 0: return step(WorkerReady{WorkerId{any}});
    case 1: return step(WorkerLost{WorkerId{any}, {"engine_died", "?", {}}, Blame::job});
    case 2: return step(ModelUnloadable{WorkerId{any}, {"model_unreadable", "?", {}}});
    case 3: return step(ImageMade{ChunkId{any}, 0});
    case 4: return step(ChunkEnded{ChunkId{any}, ChunkOutcome::done, {}});
    case 5: return step(ImagePublished{JobId{any}, 0});
    case 6: return step(GpuLost{"gpu-none"});
    case 7: return step(ModelForgotten{"model-none"});
    case 8: return step(JobCancelRequested{JobId{any}});
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
    const Gpu gpu{format("gpu-{}", index), index, "", GpuKind::nvidia, 80 * kGiB};
    if (!auditor_.gpus().contains(gpu.uuid) || auditor_.gpus().at(gpu.uuid) != gpu) step(GpuArrived{gpu});
  }
  Policy policy = random_policy();
  policy.single_gpu.clear();
  step(PolicyChanged{policy});
  std::vector<JobId> open;
  for (const auto& [id, row] : auditor_.open()) open.push_back(id);
  for (const JobId id : open) {
    step(JobReleased{id});
    const auto row = auditor_.open().find(id);
    // A job pinned to a gpu that stays out of use waits for ever, rightly.
    if (row != auditor_.open().end() && row->second.facts.pin) step(JobCancelRequested{id});
  }
}

}  // namespace pixelfleet::sim
