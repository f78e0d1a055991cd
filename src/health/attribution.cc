// Who is to blame: the job, the model, the gpu, or something that all of them share.
#include <algorithm>
#include <utility>

#include "base/format.h"
#include "health/turn_internal.h"

namespace pixelfleet::health {
namespace {

constexpr std::size_t kGuiltyJobGpus = 2;
constexpr std::size_t kGuiltyModelLoads = 3;
constexpr std::size_t kGuiltyModelGpus = 2;
constexpr std::ptrdiff_t kGuiltyGpuJobs = 2;
constexpr std::size_t kGuiltyGpuFaults = 3;
constexpr std::size_t kLeastSystemic = 2;
constexpr std::size_t kMostRemembered = 64;  // failures of one job or model, in lines

FaultClass fault_of(Exit exit) {
  switch (exit) {
    case Exit::sticky_device: return FaultClass::device;
    case Exit::invalid_output: return FaultClass::invalid_output;
    case Exit::protocol: return FaultClass::protocol;
    case Exit::hung:
    case Exit::unreapable: return FaultClass::hung;
    case Exit::bad_request:
    case Exit::out_of_memory:
    case Exit::model_load:
    case Exit::crash: break;
  }
  return FaultClass::crash;
}

template <class Line>
void forget_first(std::vector<Line>& lines) {
  if (lines.size() <= kMostRemembered) return;
  lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kMostRemembered));
}

}  // namespace

void Turn::accuse(GpuMemory& gpu, const WorkerFailed& failure, const Lines& evidence) {
  Fault fault{.at = now_,
              .job = failure.job.value_or(JobId{}),
              .model = failure.model,
              .fault = fault_of(failure.exit),
              .phase = failure.phase};
  switch (failure.exit) {
    case Exit::out_of_memory: return;
    case Exit::bad_request:
      if (failure.job) actions_.push_back(BlameJob{*failure.job, "the engine refused it", evidence});
      return;
    case Exit::model_load: return static_cast<void>(model_is_guilty(gpu, failure, evidence));
    case Exit::unreapable:
      static_cast<void>(job_is_guilty(gpu, failure, evidence));
      if (takes_work(gpu.told.state)) count_departure(gpu, fault.fault, fault.model, fault.phase);
      take_out(gpu, BackOff::longer);
      gpu.workers = Workers::unreapable;
      return settle(gpu, Reason::unreapable, evidence);
    case Exit::sticky_device:
    case Exit::invalid_output:
    case Exit::protocol:
    case Exit::crash:
    case Exit::hung: break;
  }
  const bool loading = failure.phase == Phase::loading;
  const bool model_works = loading && works_elsewhere(gpu, failure.model);
  if (loading && !model_works && model_is_guilty(gpu, failure, evidence)) return;
  if (!loading && job_is_guilty(gpu, failure, evidence)) return;
  // As long as a model never worked elsewhere it may be what breaks its loads: however many jobs want it, it is one
  // accuser. A model that did is no excuse, and not to blame for what this gpu makes of it.
  const bool by_model = !failure.job || (loading && !model_works);
  fault.accuser = by_model ? Fault::Accuser::model : Fault::Accuser::job;
  add_fault(gpu, std::move(fault), evidence);
}

bool Turn::works_elsewhere(const GpuMemory& gpu, const ModelKey& key) const {
  const auto model = memory_.models.find(key);
  return model != memory_.models.end() && model->second.good_on.size() > model->second.good_on.count(gpu.told.gpu);
}

void Turn::accuse_by_xid(GpuMemory& gpu, JobId job, int number) {
  const auto found = memory_.jobs.find(job);
  if (found != memory_.jobs.end() && found->second.verdict == JobMemory::Verdict::guilty) return;
  add_fault(gpu,
            {.at = now_, .job = job, .model = gpu.running_model, .kind = Fault::Kind::xid, .fault = FaultClass::device},
            {format("Xid {} while job {} ran", number, job.value)});
}

bool Turn::job_is_guilty(const GpuMemory& gpu, const WorkerFailed& failure, const Lines& evidence) {
  if (!failure.job) return false;
  std::erase_if(memory_.jobs, [this](const auto& entry) { return entry.second.last + kCleanTime <= now_; });
  JobMemory& job = memory_.jobs[*failure.job];
  job.last = now_;
  if (job.verdict == JobMemory::Verdict::guilty) return true;
  job.failed_on.insert(gpu.told.gpu);
  job.evidence.push_back(format("{}: {}", gpu.told.gpu, evidence.front()));
  job.evidence.insert(job.evidence.end(), evidence.begin() + 1, evidence.end());
  forget_first(job.evidence);
  if (job.failed_on.size() < kGuiltyJobGpus) return false;
  job.verdict = JobMemory::Verdict::guilty;
  actions_.push_back(BlameJob{
      *failure.job, format("it failed on {} gpus: {}", job.failed_on.size(), pixelfleet::join(job.failed_on, ", ")),
      job.evidence});
  const auto by_job = [&](const Fault& fault) { return fault.job == *failure.job; };
  take_back(by_job, {format("job {} fails everywhere", failure.job->value)});
  return true;
}

bool Turn::model_is_guilty(const GpuMemory& gpu, const WorkerFailed& failure, const Lines& evidence) {
  ModelMemory& model = memory_.models[failure.model];
  if (model.verdict == ModelMemory::Verdict::disabled) return true;
  std::erase_if(model.failed_loads, [this](const auto& load) { return load.at + kCleanTime <= now_; });
  model.failed_loads.push_back({now_, gpu.told.gpu, format("{}: {}", gpu.told.gpu, evidence.front())});
  forget_first(model.failed_loads);
  std::set<GpuUuid> gpus;
  for (const auto& load : model.failed_loads) gpus.insert(load.gpu);
  if (model.failed_loads.size() < kGuiltyModelLoads || gpus.size() < kGuiltyModelGpus) return false;
  model.verdict = ModelMemory::Verdict::disabled;
  Lines loads;
  for (const auto& load : model.failed_loads) loads.push_back(load.evidence);
  actions_.push_back(DisableModel{
      failure.model, format("{} loads of it failed on {}", model.failed_loads.size(), pixelfleet::join(gpus, ", ")),
      std::move(loads)});
  const auto by_load = [&](const Fault& fault) {
    return fault.phase == Phase::loading && fault.model == failure.model;
  };
  take_back(by_load, {format("model {} does not load anywhere", failure.model)});
  return true;
}

void Turn::add_fault(GpuMemory& gpu, Fault fault, Lines evidence) {
  if (gpu.told.state == State::healthy && now_ - gpu.told.since >= kCleanTime) gpu.back_off_level = 0;
  for (const Fault& known : gpu.faults) {
    if (known.same_accuser(fault) && known.kind == Fault::Kind::failure) fault.kind = Fault::Kind::failure;
  }
  std::erase_if(gpu.faults, [&](const Fault& known) { return known.same_accuser(fault); });
  gpu.faults.push_back(fault);
  if (!takes_work(gpu.told.state)) return;
  Reason verdict = Reason::fault;
  if (gpu.service == GpuMemory::Service::proving) {
    verdict = Reason::failed_on_probation;
  } else if (holds(Reason::failed_two_jobs, gpu)) {
    verdict = Reason::failed_two_jobs;
  } else if (holds(Reason::faults_of_three, gpu)) {
    verdict = Reason::faults_of_three;
  }
  if (verdict == Reason::fault || !may_quarantine(gpu, fault)) {
    return settle(gpu, Reason::fault, std::move(evidence));
  }
  take_out(gpu, BackOff::longer);
  gpu.verdict = verdict;
  settle(gpu, verdict, std::move(evidence));
}

bool Turn::holds(Reason verdict, const GpuMemory& gpu) {
  if (verdict == Reason::failed_on_probation) return !gpu.faults.empty();
  if (verdict == Reason::faults_of_three) return gpu.faults.size() >= kGuiltyGpuFaults;
  return std::count_if(gpu.faults.begin(), gpu.faults.end(),
                       [](const Fault& fault) { return fault.kind == Fault::Kind::failure; }) >= kGuiltyGpuJobs;
}

// These faults were not the gpus'. One that is out for lack of another accuser is tried again at once.
template <class Matches>
void Turn::take_back(Matches matches, const Lines& evidence) {
  for (auto& [uuid, gpu] : memory_.gpus) {
    if (std::erase_if(gpu.faults, matches) == 0) continue;
    if (gpu.service == GpuMemory::Service::out && gpu.verdict && !holds(*gpu.verdict, gpu)) {
      gpu.verdict.reset();
      gpu.back_off_level = std::max(gpu.back_off_level - 1, 0);
      gpu.until = std::min(gpu.until.value_or(now_), now_);
      if (gpu.running) gpu.service = GpuMemory::Service::in;  // it had not even left
    }
    settle(gpu, Reason::exonerated, evidence);
  }
}

// --- the breaker ----------------------------------------------------------------------------------------------

bool Turn::may_quarantine(const GpuMemory& gpu, const Fault& fault) {
  count_departure(gpu, fault.fault, fault.model, fault.phase);
  if (!memory_.alarms.empty()) return false;
  return std::any_of(memory_.gpus.begin(), memory_.gpus.end(), [&gpu](const auto& other) {
    return &other.second != &gpu && takes_work(other.second.told.state);
  });
}

void Turn::count_departure(const GpuMemory& gpu, FaultClass fault, const ModelKey& model, Phase phase) {
  std::erase_if(memory_.departures, [&](const Departure& gone) {
    return gone.at + kBreakerWindow <= now_ || (gone.gpu == gpu.told.gpu && gone.fault == fault);
  });
  memory_.departures.push_back({now_, gpu.told.gpu, fault, model, phase});
  std::set<GpuUuid> leaving;
  std::set<GpuUuid> in_service;
  for (const Departure& gone : memory_.departures) {
    in_service.insert(gone.gpu);
    if (gone.fault == fault) leaving.insert(gone.gpu);
  }
  for (const auto& [uuid, other] : memory_.gpus) {
    if (takes_work(other.told.state)) in_service.insert(uuid);
  }
  if (leaving.size() < kLeastSystemic || 2 * leaving.size() <= in_service.size()) {
    const auto raised = memory_.alarms.find(fault);
    if (raised != memory_.alarms.end()) raised->second = now_;
    return;
  }
  if (memory_.alarms.insert_or_assign(fault, now_).second) {
    actions_.push_back(RaiseAlarm{fault, suspect_of(fault, memory_.departures), {leaving.begin(), leaving.end()}});
  }
}

// Loads that fail with several models: the disk they come from. One model alone, by what a model can do: the model.
Suspect Turn::suspect_of(FaultClass fault, const std::vector<Departure>& departures) {
  std::set<ModelKey> models;
  bool only_loads = true;
  for (const Departure& gone : departures) {
    if (gone.fault != fault) continue;
    models.insert(gone.model);
    only_loads = only_loads && gone.phase == Phase::loading;
  }
  const bool a_model_can = fault == FaultClass::crash || fault == FaultClass::invalid_output;
  if (models.size() == 1 && !models.begin()->empty() && (only_loads || a_model_can)) return Suspect::model;
  return only_loads ? Suspect::disk : Suspect::driver;
}

void Turn::clear_alarms() {
  for (auto alarm = memory_.alarms.begin(); alarm != memory_.alarms.end();) {
    if (alarm->second + kBreakerWindow > now_) {
      ++alarm;
      continue;
    }
    actions_.push_back(ClearAlarm{alarm->first});
    alarm = memory_.alarms.erase(alarm);
  }
}

}  // namespace pixelfleet::health
