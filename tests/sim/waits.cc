#include "waits.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/format.h"
#include "scheduler/trace.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr double kNoise = 1.25;   // measured over expected, and the other way round: so far estimates may be off
constexpr int kMostWaiting = 80;  // of one model: the board sees them all

double seconds(Duration duration) { return static_cast<double>(duration.count()) * 1e-6; }
Duration from_seconds(double value) { return Duration{static_cast<std::int64_t>(value * 1e6)}; }

double base_of(const JobFacts& job, const Tuning& tuning) {
  return job.priority == Priority::background ? tuning.background_guard_seconds : tuning.guard_seconds;
}

}  // namespace

// --- the bound ------------------------------------------------------------------------------------------------

double WaitBound::backlog(const Auditor& auditor, Instant now) const {
  double sum = 0.0;
  for (const auto& [id, row] : auditor.open()) {
    if (row.state == JobState::queued) sum += run_seconds_(row.facts);
  }
  for (const auto& [id, chunk] : running_) sum += std::max(0.0, kNoise * chunk.seconds - seconds(now - chunk.since));
  return kNoise * sum / static_cast<double>(std::max<std::size_t>(auditor.gpus().size(), 1));
}

void WaitBound::weigh(const Auditor& auditor, Instant now) {
  const double before = backlog_;
  backlog_ = backlog(auditor, now);
  for (auto& [id, job] : waiting_) job.most_backlog = std::max({job.most_backlog, before, backlog_});
}

void WaitBound::submitted(const JobFacts& job, Instant now) {
  waiting_[job.id] = {now, 0.0, kNoise * run_seconds_(job), backlog_, job.pin};
}

std::optional<Wait> WaitBound::started(const StartChunk& chunk, const Auditor& auditor, Instant now) {
  const Tuning& tuning = auditor.policy().tuning;
  const JobFacts& facts = auditor.open().at(chunk.job).facts;
  std::optional<Wait> wait;
  if (const auto found = waiting_.find(chunk.job); found != waiting_.end()) {
    const Waiting job = found->second;
    waiting_.erase(found);
    known_[chunk.job] = {now, job.arrived, base_of(facts, tuning), {}};
    const double guard =
        std::max({base_of(facts, tuning), tuning.guard_run_times * job.run, tuning.guard_backlog * job.most_backlog});
    const Instant overdue = job.arrived + from_seconds(guard);
    wait = Wait{now - job.arrived, {}, from_seconds(guard), 0};
    for (auto before = begun_.rbegin(); before != begun_.rend() && before->at >= overdue; ++before) {
      const bool could_block = !job.pin || *job.pin == before->gpu;
      if (could_block && before->arrived + from_seconds(before->base) <= overdue) ++wait->before;
    }
    const double load = seconds(longest_load_);
    const double run = std::max(seconds(longest_chunk_), kNoise * job.run);
    wait->bound = wait->guard + from_seconds((wait->before + 1) * ((tuning.quantum + 2.0) * load + 2.0 * run));
  }
  Begun begun = known_.at(chunk.job);
  begun.at = now;
  begun.gpu = chunk.gpu;
  begun_.push_back(std::move(begun));
  running_[chunk.chunk] = {now, run_seconds_(facts)};
  return wait;
}

void WaitBound::ended(ChunkId chunk, Instant now) {
  const auto found = running_.find(chunk);
  if (found == running_.end()) return;
  longest_chunk_ = std::max(longest_chunk_, now - found->second.since);
  running_.erase(found);
}

void WaitBound::load_ended(WorkerId worker, Instant now) {
  const auto found = loads_.find(worker);
  if (found == loads_.end()) return;
  longest_load_ = std::max(longest_load_, now - found->second);
  loads_.erase(found);
}

// --- the world ------------------------------------------------------------------------------------------------

namespace {

// Jobs of one kind that arrive at random.
struct Stream {
  JobFacts job;
  int images = 1;
  double every_seconds = 10.0;
  double burst = 1.0;  // jobs at once
};

struct TrueModel {
  double step_seconds = 0.1;  // a step on a fast gpu
  double load_seconds = 5.0;  // from host memory
};

class FairWorld {
 public:
  explicit FairWorld(const FairOptions& options)
      : options_(options),
        rng_(options.seed),
        kind_(options.kind == FairOptions::Kind::by_seed ? static_cast<Kind>(options.seed % 3) : Kind::long_siege),
        bound_([this](const JobFacts& job) { return best_seconds(job); }) {}

  FairOutcome run();

 private:
  struct Happening {
    std::optional<Event> event;
    std::size_t stream = 0;  // without an event: it submits
    WorkerId worker;
  };

  void set_up();
  Policy policy();
  void add_streams();
  double crowd_load();
  double share_of_crowds();
  double step_seconds();
  double background_guard_seconds();
  void at(Duration delay, Happening happening) {
    agenda_.emplace(std::pair(now_ + delay, next_++), std::move(happening));
  }
  void submit(std::size_t stream);
  void step(Event event);
  void told(const Event& event);
  void carry_out(const StartWorker& a);
  void carry_out(const StopWorker& a);
  void carry_out(const StartChunk& a);
  void carry_out(const StageModel& a);
  void carry_out(const WakeAt& a);
  template <class A>
  void carry_out(const A&) {}
  void judge(const Wait& wait, JobId job);

  double pick(std::initializer_list<double> values) { return values.begin()[rng_.below(values.size())]; }
  double noise() { return std::pow(kNoise, 2.0 * rng_.unit() - 1.0); }
  double slowness(const GpuUuid& gpu) const { return auditor_.gpus().at(gpu).name == "slow" ? 2.0 : 1.0; }
  double run_seconds(const JobFacts& job, std::size_t images, double slowness) const {
    return static_cast<double>(images) * job.shape.steps * truth_.at(job.model).step_seconds * slowness;
  }
  double best_seconds(const JobFacts& job) const { return run_seconds(job, job.missing.size(), any_fast_ ? 1.0 : 2.0); }

  const FairOptions options_;
  Rng rng_;
  // mixed: anything. treadmill: short runs, long loads, more models than fit: one gpu that always loads something
  // beside what it runs. siege: one gpu, nearly filled by one model's interactive jobs.
  enum class Kind { mixed, treadmill, siege, long_siege };
  const Kind kind_;
  WaitBound bound_;
  Scheduler scheduler_;
  Auditor auditor_;
  FairOutcome outcome_;
  Instant now_{std::chrono::seconds{1'700'000'000}};
  const Instant begin_ = now_;
  const Duration length_ = kind_ == Kind::long_siege ? std::chrono::hours{15} : Duration{std::chrono::minutes{40}};
  std::map<std::pair<Instant, std::int64_t>, Happening> agenda_;
  std::int64_t next_ = 0;
  std::optional<std::pair<Instant, std::int64_t>> wake_;
  std::map<ModelKey, TrueModel> truth_;
  std::vector<Stream> streams_;
  std::set<WorkerId> stopped_;
  std::int64_t next_job_ = 1;
  bool any_fast_ = false;
};

Policy FairWorld::policy() {
  Policy policy;
  policy.multi_gpu = true;
  policy.max_gpus = 8;
  policy.resident_limit = kind_ == Kind::long_siege ? 1 : static_cast<int>(pick({-1, 1, 2, 3}));
  if (rng_.chance(0.2)) policy.objective = Objective::throughput;
  if (rng_.chance(0.3)) policy.load_beside_run = LoadBesideRun::no;
  policy.host_memory_bytes = static_cast<std::int64_t>(pick({0, 16, 64})) * kGiB;
  policy.tuning.quantum = pick({1.0, 2.0, 2.0, 4.0});
  policy.tuning.guard_seconds = pick({20.0, 60.0});
  policy.tuning.guard_run_times = pick({1.0, 4.0});
  policy.tuning.guard_backlog = pick({2.0, 4.0});
  policy.tuning.background_guard_seconds = background_guard_seconds();
  for (Part* const part : {&policy.tuning.load_behind, &policy.tuning.replicate_behind, &policy.tuning.staging,
                           &policy.tuning.rollout, &policy.tuning.splitting}) {
    if (rng_.chance(0.2)) *part = Part::off;
  }
  return policy;
}

void FairWorld::set_up() {
  step(PolicyChanged{policy()});
  const int gpus = kind_ == Kind::mixed ? 1 + static_cast<int>(rng_.below(4)) : 1;
  for (int index = 0; index < gpus; ++index) {
    const bool slow = rng_.chance(0.3);
    any_fast_ |= !slow;
    step(GpuArrived{{format("gpu-{}", index), index, slow ? "slow" : "fast", GpuKind::nvidia,
                     static_cast<std::int64_t>(pick({24, 24, 40})) * kGiB}});
  }
  const int models = kind_ == Kind::treadmill ? 5 : 2 + static_cast<int>(rng_.below(4));
  for (int number = 0; number < models; ++number) {
    ModelFacts model;
    model.key = format("model-{}", number);
    model.memory_bytes = static_cast<std::int64_t>(pick({6, 10, 14, 20})) * kGiB;
    model.workspace_bytes = model.memory_bytes / 4;
    if (rng_.chance(0.7)) model.file_bytes = model.memory_bytes - model.workspace_bytes;
    TrueModel& truth = truth_[model.key];
    truth.step_seconds = step_seconds();
    truth.load_seconds = kind_ == Kind::treadmill ? pick({12.0, 25.0}) : pick({2.0, 5.0, 12.0, 25.0});
    const double bandwidth = 8e9;
    const double start = truth.load_seconds - static_cast<double>(model.file_bytes) / bandwidth;
    for (const auto& [type, factor] : {std::pair("slow", 2.0), std::pair("", 1.0)}) {
      model.priors.push_back({type, {0.0, truth.step_seconds * factor, 1 << 20, 1.0, 0.0}, {start, bandwidth, 1.0}});
    }
    step(ModelKnown{model});
  }
  add_streams();
}

// Of what the gpus can do.
double FairWorld::crowd_load() {
  switch (kind_) {
    case Kind::mixed: return pick({0.6, 0.9, 0.97, 1.3});
    case Kind::treadmill: return pick({0.3, 0.6, 0.9});
    case Kind::siege: return 0.95;
    case Kind::long_siege: return 1.2;
  }
  return 1.0;
}

// Of the streams behind the first; then crowds want several models.
double FairWorld::share_of_crowds() {
  if (kind_ == Kind::mixed) return pick({0.2, 0.6});
  return kind_ == Kind::treadmill ? 1.0 : 0.0;
}

double FairWorld::step_seconds() {
  if (kind_ == Kind::mixed) return pick({0.05, 0.1, 0.2, 0.4});
  return kind_ == Kind::long_siege ? 0.4 : 0.05;
}

double FairWorld::background_guard_seconds() {
  constexpr double kUsual = 12.0 * 3600.0;
  if (kind_ == Kind::mixed) return pick({60.0, 300.0, 900.0, kUsual});
  return kind_ == Kind::long_siege ? kUsual : 60.0;
}

// The first stream is the crowd: it fills the gpus, to a part or more than they can do. The others are those who
// would starve.
void FairWorld::add_streams() {
  const double capacity = static_cast<double>(auditor_.gpus().size());
  const double load = crowd_load();
  const std::size_t count = kind_ == Kind::treadmill ? 5 : 2 + rng_.below(5);
  const double crowds = share_of_crowds();
  for (std::size_t number = 0; number < count; ++number) {
    Stream stream;
    const bool crowd = number == 0 || (rng_.chance(crowds) && number != 4);
    stream.job.owner = rng_.chance(0.5) ? "crowd" : format("user-{}", number);
    stream.job.model = format("model-{}", number % truth_.size());
    stream.job.priority = crowd && rng_.chance(0.7) ? Priority::interactive : static_cast<Priority>(rng_.below(3));
    if (kind_ != Kind::mixed) stream.job.priority = crowd ? Priority::interactive : Priority::background;
    stream.images = static_cast<int>(crowd ? pick({1, 2}) : pick({1, 4, 8}));
    if (!crowd && rng_.chance(0.2)) stream.job.pin = format("gpu-{}", rng_.below(auditor_.gpus().size()));
    stream.burst = crowd ? pick({1, 1, 8}) : pick({1, 1, 3, 20});
    JobFacts one = stream.job;
    one.shape.steps = 20;
    const double work = run_seconds(one, static_cast<std::size_t>(stream.images), 1.2) * stream.burst;
    const double share = 1.0 / (1.0 + crowds * static_cast<double>(count - 2));  // of the load that is meant for crowds
    stream.every_seconds =
        crowd ? work / (share * load * capacity) : std::max(work / (0.05 * capacity), pick({60, 300, 1200}));
    streams_.push_back(std::move(stream));
    at(from_seconds(rng_.unit() * streams_.back().every_seconds), {std::nullopt, number, {}});
  }
}

void FairWorld::submit(std::size_t number) {
  if (now_ - begin_ > length_) return;
  const Stream stream = streams_[number];
  for (int i = 0; i < static_cast<int>(stream.burst); ++i) {
    const auto waiting = std::count_if(auditor_.open().begin(), auditor_.open().end(), [&](const auto& entry) {
      return entry.second.state == JobState::queued && entry.second.facts.model == stream.job.model;
    });
    if (waiting >= kMostWaiting) break;
    JobFacts job = stream.job;
    job.id = JobId{next_job_++};
    for (int index = 0; index < stream.images; ++index) job.missing.push_back(index);
    ++outcome_.jobs;
    step(JobSubmitted{std::move(job)});
  }
  at(from_seconds(-std::log(1.0 - rng_.unit()) * stream.every_seconds), {std::nullopt, number, {}});
}

FairOutcome FairWorld::run() {
  set_up();
  while (!agenda_.empty() && !auditor_.violation()) {
    const auto first = agenda_.begin();
    now_ = first->first.first;
    Happening happening = std::move(first->second);
    agenda_.erase(first);
    if (!happening.event) {
      submit(happening.stream);
      continue;
    }
    if (stopped_.contains(happening.worker)) continue;
    if (std::holds_alternative<TimerFired>(*happening.event)) wake_.reset();
    step(std::move(*happening.event));
  }
  if (!auditor_.open().empty()) {
    auditor_.report(format("job {} never ends", auditor_.open().begin()->first.value));
  }
  outcome_.violation = auditor_.violation();
  if (outcome_.violation) outcome_.situation = auditor_.situation();
  return std::move(outcome_);
}

void FairWorld::told(const Event& event) {
  if (const auto* job = std::get_if<JobSubmitted>(&event)) bound_.submitted(job->job, now_);
  if (const auto* ready = std::get_if<WorkerReady>(&event)) bound_.load_ended(ready->worker, now_);
  if (const auto* ended = std::get_if<ChunkEnded>(&event)) bound_.ended(ended->chunk, now_);
}

void FairWorld::step(Event event) {
  if (auditor_.violation()) return;
  ++outcome_.steps;
  auditor_.begin(event, now_);
  told(event);
  bound_.weigh(auditor_, now_);
  if (auto* changed = std::get_if<PolicyChanged>(&event); changed != nullptr && options_.distort_policy) {
    options_.distort_policy(changed->policy);
  }
  for (const Action& action : scheduler_.step(event, now_)) {
    if (const auto* chunk = std::get_if<StartChunk>(&action)) {
      if (const auto wait = bound_.started(*chunk, auditor_, now_)) judge(*wait, chunk->job);
    }
    auditor_.apply(action);
    std::visit([this](const auto& a) { carry_out(a); }, action);
  }
  auditor_.end(scheduler_);
}

void FairWorld::judge(const Wait& wait, JobId job) {
  outcome_.longest_guard = std::max(outcome_.longest_guard, wait.guard);
  outcome_.tightest = std::max(outcome_.tightest, seconds(wait.waited) / seconds(wait.bound));
  if (wait.waited > wait.guard) {
    ++outcome_.overdue;
    outcome_.tightest_past_guard =
        std::max(outcome_.tightest_past_guard, seconds(wait.waited - wait.guard) / seconds(wait.bound - wait.guard));
  }
  if (wait.waited <= wait.bound) return;
  auditor_.report(format("job {} waited {:.1f} s, its bound is {:.1f} s: guard {:.1f} s, {} before it", job.value,
                         seconds(wait.waited), seconds(wait.bound), seconds(wait.guard), wait.before));
}

void FairWorld::carry_out(const StartWorker& a) {
  const ModelFacts& model = auditor_.models().at(a.model);
  double load = truth_.at(a.model).load_seconds;
  if (model.file_bytes > 0 && !auditor_.host().staged().contains(a.model)) {
    load += static_cast<double>(model.file_bytes) / 1e9 * (1.0 + (auditor_.host().is_staging() ? 1.0 : 0.0));
  }
  bound_.load_started(a.worker, now_);
  at(from_seconds(load * noise()), {WorkerReady{a.worker}, 0, a.worker});
}

void FairWorld::carry_out(const StopWorker& a) {
  bound_.load_stopped(a.worker);
  stopped_.insert(a.worker);
}

void FairWorld::carry_out(const StartChunk& a) {
  const JobFacts& job = auditor_.open().at(a.job).facts;
  const double picture = run_seconds(job, 1, slowness(a.gpu)) * noise();
  Duration time{0};
  const auto say = [&](Event event) { at(time, {std::move(event), 0, a.worker}); };
  for (const int index : a.indices) {
    time += from_seconds(picture / 2);
    if (rng_.chance(0.3)) say(ChunkProgress{a.chunk, index, 10, 20});
    time += from_seconds(picture / 2);
    say(ImageMade{a.chunk, index});
    say(ImagePublished{a.job, index});
  }
  say(ChunkEnded{a.chunk, ChunkOutcome::done, {}});
}

void FairWorld::carry_out(const StageModel& a) {
  const double bytes = static_cast<double>(auditor_.models().at(a.model).file_bytes);
  at(from_seconds(bytes / 1e9 * noise()), {ModelStaged{a.model}, 0, {}});
}

void FairWorld::carry_out(const WakeAt& a) {
  if (wake_) agenda_.erase(*wake_);
  wake_ = std::pair(a.at, next_++);
  agenda_.emplace(*wake_, Happening{TimerFired{}, 0, {}});
}

}  // namespace

FairOutcome run_fair_history(const FairOptions& options) {
  FairWorld world(options);
  return world.run();
}

}  // namespace pixelfleet::sim
