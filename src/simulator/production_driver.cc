#include "simulator/production_driver.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/format.h"

namespace pixelfleet::simulator {
namespace {

using namespace scheduler;

constexpr int kMaxIdleWakes = 100'000;  // in a row, with nothing else going on
constexpr double kProgressPart = 0.1;   // of a chunk, until its steps are told

template <class T, class... Types>
constexpr bool is_one_of = (std::is_same_v<T, Types> || ...);

// Events after which something may start or load; the others are bookkeeping.
bool may_decide(const Event& event) {
  return std::visit(
      []<class E>(const E&) {
        return is_one_of<E, JobSubmitted, WorkerReady, WorkerLost, ChunkEnded, ModelStaged, ModelUnstaged, GpuLost,
                         GpuArrived, TimerFired>;
      },
      event);
}

double seconds_of(Instant instant) { return static_cast<double>(instant.time_since_epoch().count()) * 1e-6; }

Instant instant_of(double seconds) { return Instant{Duration{std::llround(seconds * 1e6)}}; }

JobId id_of(int job) { return JobId{job + 1}; }
int job_of(JobId id) { return static_cast<int>(id.value) - 1; }

}  // namespace

ProductionDriver::ProductionDriver(World& world, Policy policy, Onlooker* onlooker)
    : world_(world), policy_(std::move(policy)), onlooker_(onlooker) {
  const Machine& machine = world_.machine();
  policy_.multi_gpu = true;
  policy_.max_gpus = machine.gpu_count();
  policy_.resident_limit = -1;
  policy_.worker_overhead_bytes = std::llround(machine.worker_overhead_bytes());
  policy_.host_memory_bytes = std::llround(machine.host_memory_bytes());
  policy_.disk_bytes_per_second = machine.disk_bytes_per_second();
}

Result<RunRecord> ProductionDriver::drive() {
  introduce();
  int idle_wakes = 0;
  while (!world_.all_ended()) {
    const auto happening = world_.next();
    if (!happening || idle_wakes > kMaxIdleWakes) {
      return fail(ErrorCode::internal, format("at {:.3f} s the scheduler leaves {} jobs behind for ever",
                                              world_.now_s(), world_.unfinished_jobs()));
    }
    idle_wakes = std::holds_alternative<TimerRang>(*happening) ? idle_wakes + 1 : 0;
    std::visit([this](const auto& event) { on(event); }, *happening);
    let_decide();
    if (failure_) return fail(*failure_);
    if (onlooker_ != nullptr) onlooker_->decided(scheduler_, now());
  }
  RunRecord record = world_.take_record();
  decisions_.put_into(record);
  return record;
}

void ProductionDriver::introduce() {
  tell(PolicyChanged{policy_});
  for (int gpu = 0; gpu < world_.machine().gpu_count(); ++gpu) {
    gpus_[gpu_facts(gpu).uuid] = gpu;
    tell(GpuArrived{gpu_facts(gpu)});
  }
  for (int model = 0; model < static_cast<int>(world_.trace().models.size()); ++model) {
    ModelFacts facts = world_.machine().facts(model);
    models_[facts.key] = model;
    keys_.push_back(facts.key);
    tell(ModelKnown{std::move(facts)});
  }
  let_decide();
}

Gpu ProductionDriver::gpu_facts(int gpu) const {
  Gpu facts;
  facts.uuid = format("virtual-{:03}", gpu);
  facts.index = gpu;
  facts.name = std::string(world_.machine().gpu_type(gpu));
  facts.kind = GpuKind::virtual_gpu;
  facts.memory_total_bytes = std::llround(world_.machine().memory_bytes(gpu));
  return facts;
}

Instant ProductionDriver::now() const { return instant_of(world_.now_s()); }

void ProductionDriver::let_decide() {
  while (!told_.empty()) {
    const Event event = std::move(told_.front());
    told_.pop_front();
    const auto begun = DecisionTimes::Clock::now();
    const std::vector<Action> orders = scheduler_.step(event, now());
    if (may_decide(event)) decisions_.add(begun, DecisionTimes::Clock::now());
    for (const Action& order : orders) {
      std::visit([this](const auto& of_a_kind) { on(of_a_kind); }, order);
    }
  }
}

// --- what the world did ---------------------------------------------------------------------------------------

void ProductionDriver::on(const JobArrived& event) {
  const TraceJob& arrived = job(event.job);
  JobFacts facts;
  facts.id = id_of(event.job);
  facts.owner = format("user-{}", arrived.user);
  facts.priority = arrived.priority;
  facts.model = keys_[static_cast<std::size_t>(arrived.model)];
  for (int index = 0; index < arrived.images; ++index) facts.missing.push_back(index);
  facts.shape.steps = arrived.steps;
  facts.shape.pixels = std::llround(arrived.pixels);
  if (arrived.lora_set != 0) facts.shape.loras = format("set-{}", arrived.lora_set);
  facts.arrived_at = now();
  tell(JobSubmitted{std::move(facts)});
}

void ProductionDriver::on(const LoadEnded& event) {
  const auto worker = std::find_if(workers_.begin(), workers_.end(), [&event](const auto& entry) {
    return entry.second.gpu == event.gpu && entry.second.state == Worker::State::loading;
  });
  CHECK(worker != workers_.end());
  worker->second.state = Worker::State::loaded;
  if (event.source == Source::disk) read_into_host(event.model);
  tell(WorkerReady{worker->first});
}

void ProductionDriver::on(const ModelRead& event) { read_into_host(event.model); }

// The scheduler says what has to leave; what it does not say, the system drops, as it does with a page cache.
void ProductionDriver::read_into_host(int model) {
  staging_ordered_.erase(model);
  if (staged_.insert(model).second) tell(ModelStaged{keys_[static_cast<std::size_t>(model)]});
  let_decide();
  for (const int dropped : world_.shrink_host()) {
    if (staged_.erase(dropped) > 0) tell(ModelUnstaged{keys_[static_cast<std::size_t>(dropped)]});
  }
}

void ProductionDriver::on(const RunEnded& event) {
  const ChunkId id{event.tag};
  Chunk chunk = chunks_.at(id);
  if (event.outcome == RunOutcome::out_of_memory) {
    workers_.erase(chunk.worker);
    return tell(WorkerLost{chunk.worker, {"out_of_memory", "the gpu's memory did not suffice", {}}, Blame::none});
  }
  chunks_.erase(id);
  const std::size_t before = chunk.made;
  for (; chunk.made < chunk.indices.size(); ++chunk.made) tell(ImageMade{id, chunk.indices[chunk.made]});
  tell(ChunkEnded{id, ChunkOutcome::done, {}});
  for (std::size_t i = before; i < chunk.made; ++i) tell(ImagePublished{id_of(chunk.job), chunk.indices[i]});
}

void ProductionDriver::on(const GpuFailed& event) {
  std::erase_if(workers_, [&event](const auto& entry) { return entry.second.gpu == event.gpu; });
  restart_orphaned_stagings();
  tell(GpuLost{gpu_facts(event.gpu).uuid});
}

void ProductionDriver::on(const GpuReturned& event) { tell(GpuArrived{gpu_facts(event.gpu)}); }

// Negative tags are wishes of the scheduler, others chunks.
void ProductionDriver::on(const TimerRang& event) {
  if (event.tag < 0) {
    if (event.tag == -wish_) tell(TimerFired{});
    return;
  }
  const auto chunk = chunks_.find(ChunkId{event.tag});
  if (chunk == chunks_.end()) return;
  if (world_.machine().telling().picture_seconds > 0.0) return tell_progress(chunk->first, chunk->second);
  tell(ChunkProgress{chunk->first, chunk->second.indices.front(), chunk->second.told_step,
                     job(chunk->second.job).steps});
}

// A picture's steps follow what is no step; its account of them comes at the end of one.
void ProductionDriver::wait_to_tell(ChunkId id) {
  const Chunk& chunk = chunks_.at(id);
  const double picture_began_s = chunk.began_s + static_cast<double>(chunk.made) * chunk.picture_s;
  const double step_s = (chunk.picture_s - chunk.before_steps_s) / job(chunk.job).steps;
  const Telling telling = world_.machine().telling();
  const double due_s = std::max(telling.picture_seconds, chunk.told_s + telling.pause_seconds - picture_began_s);
  const double steps = std::max(chunk.told_step + 1.0, std::ceil((due_s - chunk.before_steps_s) / step_s));
  const double tell_s = chunk.before_steps_s + steps * step_s;
  const bool is_last = chunk.made + 1 == chunk.indices.size();
  if (tell_s >= chunk.picture_s && is_last) return;
  world_.ring(picture_began_s + std::min(tell_s, chunk.picture_s), id.value);
}

void ProductionDriver::tell_progress(ChunkId id, Chunk& chunk) {
  const double since_s = world_.now_s() - chunk.began_s - static_cast<double>(chunk.made) * chunk.picture_s;
  const int steps = job(chunk.job).steps;
  const double step_s = (chunk.picture_s - chunk.before_steps_s) / steps;
  const int step = static_cast<int>(std::lround((since_s - chunk.before_steps_s) / step_s));
  const int index = chunk.indices[chunk.made];
  if (step >= steps) {
    ++chunk.made;
    chunk.told_step = 0;
    tell(ImageMade{id, index});
    tell(ImagePublished{id_of(chunk.job), index});
  } else {
    chunk.told_s = world_.now_s();
    chunk.told_step = step;
    tell(ChunkProgress{id, index, step, steps});
  }
  wait_to_tell(id);
}

// --- what the scheduler orders --------------------------------------------------------------------------------

void ProductionDriver::on(const StartWorker& order) {
  const int gpu = gpus_.at(order.gpu);
  const int model = model_of(order.model);
  workers_[order.worker] = {gpu, model, Worker::State::loading};
  world_.load(gpu, model);
}

void ProductionDriver::on(const StopWorker& order) {
  const auto found = workers_.find(order.worker);
  if (found == workers_.end()) return;  // it went with its gpu
  const Worker worker = found->second;
  workers_.erase(found);
  if (worker.state == Worker::State::loaded) return world_.evict(worker.gpu, worker.model);
  world_.cancel_load(worker.gpu);
  restart_orphaned_stagings();
}

void ProductionDriver::on(const StartChunk& order) {
  const int index = job_of(order.job);
  const int images = static_cast<int>(order.indices.size());
  if (onlooker_ != nullptr && jobs_begun_.insert(index).second) onlooker_->started(order.job, now());
  const int steps = job(index).steps * images;
  const int told = std::clamp(static_cast<int>(std::ceil(kProgressPart * steps)), 1, job(index).steps);
  const Machine& machine = world_.machine();
  const int gpu = gpus_.at(order.gpu);
  const double seconds = world_.run(gpu, index, images, order.chunk.value);
  Chunk& chunk = chunks_[order.chunk] = {order.worker, index, order.indices, told};
  if (machine.telling().picture_seconds > 0.0) {
    chunk.told_step = 0;
    chunk.began_s = world_.now_s();
    chunk.picture_s = seconds / images;
    chunk.before_steps_s = machine.overhead_seconds(job(index).model, gpu, images) / images;
    return wait_to_tell(order.chunk);
  }
  if (told < steps) world_.ring(world_.now_s() + seconds * told / steps, order.chunk.value);
}

void ProductionDriver::on(const CancelChunk&) { CHECK(!"no trace cancels a job"); }

void ProductionDriver::on(const AbandonChunk& order) { chunks_.erase(order.chunk); }

void ProductionDriver::on(const SetJobState& order) {
  if (order.state != JobState::failed && order.state != JobState::cancelled) return;
  if (failure_) return;
  failure_ = Error{ErrorCode::internal, format("at {:.3f} s the scheduler gives up job {}: {}", world_.now_s(),
                                               job_of(order.job), order.error ? order.error->message : "no reason")};
}

void ProductionDriver::on(const StageModel& order) {
  const int model = model_of(order.model);
  if (world_.is_in_host(model)) {
    staged_.insert(model);
    return tell(ModelStaged{order.model});
  }
  staging_ordered_.insert(model);
  if (!world_.is_being_read(model)) world_.stage(model);  // else that load's read will do
}

void ProductionDriver::restart_orphaned_stagings() {
  for (const int model : staging_ordered_) {
    if (!world_.is_being_read(model)) world_.stage(model);
  }
}

void ProductionDriver::on(const UnstageModel& order) {
  const int model = model_of(order.model);
  staged_.erase(model);
  if (staging_ordered_.erase(model) == 0) return world_.unstage(model);
  if (world_.is_being_staged(model)) world_.cancel_staging(model);
  tell(ModelUnstaged{order.model});
}

void ProductionDriver::on(const WakeAt& order) { world_.ring(seconds_of(order.at), -++wish_); }

}  // namespace pixelfleet::simulator
