#include "simulator/world.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kLedgerRoundingBytes = 16.0;  // production counts in whole bytes
constexpr double kToldPart = 0.1;              // of a run, until its steps have told when it ends

std::size_t at(int index) { return static_cast<std::size_t>(index); }

bool contains(const std::vector<int>& list, int value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void touch(std::vector<int>& by_use, int model) {
  std::erase(by_use, model);
  by_use.push_back(model);
}

}  // namespace

World::World(const Trace& trace, const Machine& machine, Noise noise)
    : trace_(trace),
      machine_(machine),
      noise_(noise),
      unfinished_jobs_(static_cast<int>(trace.jobs.size())),
      slots_(at(machine.gpu_count())),
      lora_in_use_(slots_.size() * trace.models.size(), 0),
      chunks_begun_(trace.jobs.size(), 0),
      loads_begun_(trace.models.size(), 0),
      stagings_begun_(trace.models.size(), 0) {
  for (const TraceJob& job : trace.jobs) {
    images_left_.push_back(job.images);
    JobRecord record;
    record.arrival_s = job.arrival_s;
    record.start_s = record.end_s = -1.0;
    record.model = job.model;
    record.user = job.user;
    for (int gpu = 0; gpu < machine.gpu_count(); ++gpu) {
      if (!machine.fits(job.model, gpu)) continue;
      const double seconds = machine.run_seconds(job, gpu);
      if (record.ideal_run_s == 0.0 || seconds < record.ideal_run_s) record.ideal_run_s = seconds;
    }
    record_.jobs.push_back(record);
  }
  const Failures& failures = trace.failures;
  if (failures.lost_gpu < 0) return;
  push(failures.lost_from_s, Kind::gpu_fails, failures.lost_gpu, 0);
  push(failures.lost_until_s, Kind::gpu_returns, failures.lost_gpu, 0);
}

// --- time -----------------------------------------------------------------------------------------------------

std::uint64_t World::push(double at_s, Kind kind, int gpu, std::int64_t tag) {
  entries_.push({at_s, next_generation_, kind, gpu, tag});
  return next_generation_++;
}

std::optional<Happening> World::next() {
  while (true) {
    const bool some_arrive = next_arrival_ < trace_.jobs.size();
    if (some_arrive && (entries_.empty() || trace_.jobs[next_arrival_].arrival_s < entries_.top().at_s)) {
      now_s_ = trace_.jobs[next_arrival_].arrival_s;
      return JobArrived{static_cast<int>(next_arrival_++)};
    }
    if (entries_.empty()) return std::nullopt;
    const Entry entry = entries_.top();
    entries_.pop();
    now_s_ = std::max(now_s_, entry.at_s);
    if (auto happening = apply(entry)) return happening;
  }
}

std::optional<Happening> World::apply(const Entry& entry) {
  switch (entry.kind) {
    case Kind::run_ends: return end_run(entry.gpu, entry.generation);
    case Kind::load_ends: return end_load(entry.gpu, entry.generation);
    case Kind::staging_ends: return end_staging(static_cast<int>(entry.tag), entry.generation);
    case Kind::gpu_fails: return fail_gpu(entry.gpu);
    case Kind::gpu_returns:
      slot(entry.gpu).is_up = true;
      slot(entry.gpu).idle_since_s = now_s_;
      return GpuReturned{entry.gpu};
    case Kind::timer: break;
  }
  return TimerRang{entry.tag};
}

void World::ring(double at_s, std::int64_t tag) { push(std::max(at_s, now_s_), Kind::timer, 0, tag); }

// --- runs -----------------------------------------------------------------------------------------------------

double World::run(int gpu, int job, int images, std::int64_t tag) {
  Slot& on = slot(gpu);
  const TraceJob& facts = trace_.jobs[at(job)];
  CHECK(on.is_up && !on.run && contains(on.residents, facts.model));
  CHECK(images >= 1 && images <= images_left_[at(job)]);
  double predicted_s = machine_.run_seconds(facts, gpu, images);
  if (std::exchange(lora_in_use(gpu, facts.model), facts.lora_set) != facts.lora_set) {
    predicted_s += machine_.lora_patch_seconds(facts.model);
  }
  const double actual_s = predicted_s * noise_.run(job);
  Run run;
  run.job = job;
  run.images = images;
  run.tag = tag;
  run.told_s = now_s_ + kToldPart * actual_s;
  run.predicted_end_s = now_s_ + predicted_s;
  run.actual_end_s = now_s_ + actual_s;
  if (noise_.runs_out_of_memory(job, chunks_begun_[at(job)]++, trace_.failures.out_of_memory)) {
    run.outcome = RunOutcome::out_of_memory;
    run.actual_end_s = now_s_ + actual_s / images;
  }
  run.operation = open_bar(Operation::Kind::run, gpu, facts.model, job);
  run.generation = push(run.actual_end_s, Kind::run_ends, gpu, 0);
  on.run = run;
  use(gpu, facts.model);
  reschedule_load(gpu);
  JobRecord& record = record_.jobs[at(job)];
  if (record.start_s < 0.0) {
    record.start_s = now_s_;
    record.gpu = gpu;
  }
  return actual_s;
}

void World::use(int gpu, int model) {
  touch(slot(gpu).residents, model);
  use_in_host(model);
}

void World::close_run(int gpu) {
  Slot& on = slot(gpu);
  record_.operations[on.run->operation].end_s = now_s_;
  on.run.reset();
  reschedule_load(gpu);
  settle_idle(gpu);
}

std::optional<Happening> World::end_run(int gpu, std::uint64_t generation) {
  Slot& on = slot(gpu);
  if (!on.run || on.run->generation != generation) return std::nullopt;
  const Run run = *on.run;
  const int model = trace_.jobs[at(run.job)].model;
  close_run(gpu);
  if (run.outcome == RunOutcome::out_of_memory) {
    evict(gpu, model);
    return RunEnded{gpu, run.job, run.tag, run.outcome};
  }
  use(gpu, model);
  images_left_[at(run.job)] -= run.images;
  if (images_left_[at(run.job)] == 0) {
    record_.jobs[at(run.job)].end_s = now_s_;
    --unfinished_jobs_;
  }
  return RunEnded{gpu, run.job, run.tag, run.outcome};
}

// --- loads ----------------------------------------------------------------------------------------------------

double World::actual_load_s(int gpu, int model, const std::optional<double>& staging_ends_s) {
  const int earlier = loads_begun_[at(model)]++;
  if (!is_in_host(model) && !staging_ends_s) {
    return machine_.load_from_disk_seconds(model, gpu, disk_readers()) * noise_.load(model, earlier, Tier::remote);
  }
  const double copy_s = machine_.load_from_host_seconds(model, gpu);
  const double copy_noise = noise_.load(model, earlier, Tier::cached);
  if (!staging_ends_s) return copy_s * copy_noise;
  const double rest_s = *staging_ends_s - now_s_;
  const double waits_s = machine_.load_joining_staging_seconds(model, gpu, rest_s) - copy_s;
  return std::max(rest_s, copy_s * copy_noise + waits_s);
}

double World::predicted_load_s(int model, int gpu) const {
  if (is_in_host(model)) return machine_.load_from_host_seconds(model, gpu);
  if (const auto ends_s = staged_at_s(model)) {
    return machine_.load_joining_staging_seconds(model, gpu, *ends_s - now_s_);
  }
  return machine_.load_from_disk_seconds(model, gpu, disk_readers());
}

void World::load(int gpu, int model) {
  Slot& on = slot(gpu);
  CHECK(on.is_up && !on.load && !contains(on.residents, model));
  const std::optional<double> staging_ends_s = is_in_host(model) ? std::nullopt : staged_at_s(model);
  Load load;
  load.model = model;
  load.source = is_in_host(model) ? Source::host_memory : Source::disk;
  load.predicted_end_s = now_s_ + predicted_load_s(model, gpu);
  load.work_left_s = actual_load_s(gpu, model, staging_ends_s) + std::max(0.0, on.left_s - now_s_);
  if (load.source == Source::disk) load.reads = staging_ends_s ? Load::Reads::with_staging : Load::Reads::itself;
  load.updated_s = now_s_;
  load.operation = open_bar(on.run ? Operation::Kind::load_behind : Operation::Kind::load, gpu, model, -1);
  on.load = load;
  if (load.source == Source::host_memory) use_in_host(model);
  check_ledger(gpu);
  reschedule_load(gpu);
}

void World::reschedule_load(int gpu) {
  Slot& on = slot(gpu);
  if (!on.load) return;
  Load& load = *on.load;
  load.work_left_s = std::max(0.0, load.work_left_s - (now_s_ - load.updated_s) / load.slowdown);
  load.updated_s = now_s_;
  load.slowdown = on.run ? machine_.beside_run() : 1.0;
  load.actual_end_s = now_s_ + load.work_left_s * load.slowdown;
  load.generation = push(load.actual_end_s, Kind::load_ends, gpu, 0);
}

void World::close_load(int gpu) {
  Slot& on = slot(gpu);
  record_.operations[on.load->operation].end_s = now_s_;
  on.load.reset();
  settle_idle(gpu);
}

std::optional<Happening> World::end_load(int gpu, std::uint64_t generation) {
  Slot& on = slot(gpu);
  if (!on.load || on.load->generation != generation) return std::nullopt;
  const Load load = *on.load;
  close_load(gpu);
  on.residents.push_back(load.model);
  lora_in_use(gpu, load.model) = 0;
  if (load.source == Source::disk) put_in_host(load.model);
  return LoadEnded{gpu, load.model, load.source};
}

void World::cancel_load(int gpu) {
  CHECK(slot(gpu).load);
  close_load(gpu);
}

void World::evict(int gpu, int model) {
  Slot& on = slot(gpu);
  CHECK(contains(on.residents, model));
  CHECK(!on.run || trace_.jobs[at(on.run->job)].model != model);
  std::erase(on.residents, model);
  on.left_s = now_s_ + machine_.leave_seconds();
}

// --- host memory ----------------------------------------------------------------------------------------------

bool World::is_in_host(int model) const { return contains(host_, model) || machine_.file_bytes(model) == 0.0; }

void World::use_in_host(int model) {
  if (contains(host_, model)) touch(host_, model);
}

void World::put_in_host(int model) {
  if (machine_.file_bytes(model) <= machine_.host_memory_bytes()) touch(host_, model);
}

void World::stage(int model) {
  CHECK(!is_in_host(model) && !is_being_read(model));
  const double seconds =
      machine_.stage_seconds(model, disk_readers()) * noise_.stage(model, stagings_begun_[at(model)]++);
  Staging staging;
  staging.model = model;
  staging.ends_s = now_s_ + seconds;
  staging.generation = push(staging.ends_s, Kind::staging_ends, 0, model);
  stagings_.push_back(staging);
}

std::optional<Happening> World::end_staging(int model, std::uint64_t generation) {
  const auto found = std::find_if(stagings_.begin(), stagings_.end(),
                                  [generation](const Staging& staging) { return staging.generation == generation; });
  if (found == stagings_.end()) return std::nullopt;
  stagings_.erase(found);
  put_in_host(model);
  return ModelRead{model};
}

void World::cancel_staging(int model) {
  CHECK(is_being_staged(model));
  std::erase_if(stagings_, [model](const Staging& staging) { return staging.model == model; });
  for (Slot& on : slots_) {  // who waits for it reads on
    if (on.load && on.load->model == model && on.load->reads == Load::Reads::with_staging) {
      on.load->reads = Load::Reads::itself;
    }
  }
}

bool World::is_being_staged(int model) const { return staged_at_s(model).has_value(); }

bool World::is_being_read(int model) const {
  return is_being_staged(model) || std::any_of(slots_.begin(), slots_.end(), [model](const Slot& on) {
           return on.load && on.load->model == model && on.load->reads == Load::Reads::itself;
         });
}

void World::unstage(int model) { std::erase(host_, model); }

std::vector<int> World::shrink_host() {
  double bytes = 0.0;
  for (const int model : host_) bytes += machine_.file_bytes(model);
  std::vector<int> dropped;
  while (bytes > machine_.host_memory_bytes() + kLedgerRoundingBytes) {
    dropped.push_back(host_.front());
    bytes -= machine_.file_bytes(host_.front());
    host_.erase(host_.begin());
  }
  return dropped;
}

int World::disk_readers() const {
  const auto reads = [](const Slot& on) { return on.load && on.load->reads == Load::Reads::itself; };
  return static_cast<int>(stagings_.size()) + static_cast<int>(std::count_if(slots_.begin(), slots_.end(), reads));
}

std::optional<double> World::staged_at_s(int model) const {
  for (const Staging& staging : stagings_) {
    if (staging.model == model) return staging.ends_s;
  }
  return std::nullopt;
}

// --- gpus -----------------------------------------------------------------------------------------------------

Happening World::fail_gpu(int gpu) {
  Slot& on = slot(gpu);
  GpuFailed failed{gpu, std::nullopt};
  if (on.run) {
    failed.interrupted_job = on.run->job;
    close_run(gpu);
  }
  if (on.load) cancel_load(gpu);
  on.residents.clear();
  on.is_up = false;
  return failed;
}

bool World::holds(int gpu, int model) const { return contains(slot(gpu).residents, model); }

std::optional<int> World::model_loading(int gpu) const {
  if (!slot(gpu).load) return std::nullopt;
  return slot(gpu).load->model;
}

std::optional<int> World::job_running(int gpu) const {
  if (!slot(gpu).run) return std::nullopt;
  return slot(gpu).run->job;
}

double World::predicted_free_s(int gpu) const {
  double free_s = now_s_;
  if (const auto& load = slot(gpu).load) free_s = std::max(free_s, load->predicted_end_s);
  if (const auto& run = slot(gpu).run) {
    free_s = std::max(free_s, now_s_ < run->told_s ? run->predicted_end_s : run->actual_end_s);
  }
  return free_s;
}

double World::needed_bytes(int gpu, std::optional<int> also) const {
  double weights = 0.0;
  double workspace = 0.0;
  const auto add = [&](int model) {
    weights += machine_.weight_bytes(model) + machine_.worker_overhead_bytes();
    workspace = std::max(workspace, machine_.workspace_bytes(model));
  };
  for (const int model : slot(gpu).residents) add(model);
  if (slot(gpu).load) add(slot(gpu).load->model);
  if (also) add(*also);
  return weights + workspace;
}

bool World::has_room(int gpu, int model) const {
  return needed_bytes(gpu, model) <= machine_.memory_bytes(gpu) + kLedgerRoundingBytes;
}

void World::check_ledger(int gpu) const {
  CHECK(needed_bytes(gpu, std::nullopt) <= machine_.memory_bytes(gpu) + kLedgerRoundingBytes);
}

void World::settle_idle(int gpu) {
  if (is_idle(gpu)) slot(gpu).idle_since_s = now_s_;
}

int& World::lora_in_use(int gpu, int model) { return lora_in_use_[at(gpu) * trace_.models.size() + at(model)]; }

// --- the record -----------------------------------------------------------------------------------------------

std::size_t World::open_bar(Operation::Kind kind, int gpu, int model, int job) {
  record_.operations.push_back({kind, gpu, model, job, now_s_, now_s_});
  return record_.operations.size() - 1;
}

RunRecord World::take_record() {
  for (Slot& on : slots_) {
    if (on.run) record_.operations[on.run->operation].end_s = now_s_;
    if (on.load) record_.operations[on.load->operation].end_s = now_s_;
  }
  return std::move(record_);
}

}  // namespace pixelfleet::simulator
