#include "world.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "scheduler/trace.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

namespace {

constexpr std::int64_t kMaxSteps = 100'000;
constexpr int kMostWakesForNothing = 100;  // in a second

bool is_poisoned(const Options& options) {
  if (options.estimates != Options::Estimates::by_seed) return options.estimates == Options::Estimates::poisoned;
  return options.seed % 4 == 0;
}

std::uint64_t mix(std::uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

}  // namespace

Outcome run_history(const Options& options) {
  SimWorld world(options);
  return world.run();
}

SimWorld::SimWorld(const Options& options) : options_(options), rng_(options.seed), poisoned_(is_poisoned(options)) {}

Outcome SimWorld::run() {
  set_up();
  while (!agenda_.empty() && !auditor_.violation()) {
    const auto next = agenda_.begin();
    now_ = next->first.first;
    Happening happening = std::move(next->second);
    agenda_.erase(next);
    happen(happening);
    if (outcome_.steps > kMaxSteps) auditor_.report("the history does not come to an end");
  }
  if (!auditor_.open().empty()) {
    const auto& [id, row] = *auditor_.open().begin();
    auditor_.report(format("job {} never ends: it is {} when all is calm", id.value, name(row.state)));
  }
  outcome_.violation = auditor_.violation();
  if (options_.trace == Trace::on && outcome_.violation) {
    for (std::string& line : auditor_.situation()) outcome_.trace.push_back(std::move(line));
  }
  for (const auto& [id, state] : auditor_.ended()) ++outcome_.ended[state];
  outcome_.published = static_cast<int>(published_.size());
  return std::move(outcome_);
}

Duration SimWorld::between(std::int64_t low_ms, std::int64_t high_ms) {
  const auto span = static_cast<std::uint64_t>(high_ms - low_ms + 1);
  return std::chrono::milliseconds{low_ms + static_cast<std::int64_t>(rng_.below(span))};
}

void SimWorld::at(Duration delay, Happening happening) {
  agenda_.emplace(std::pair(now_ + delay, next_happening_++), std::move(happening));
}

void SimWorld::happen(Happening& happening) {
  switch (happening.kind) {
    case Happening::Kind::storm: return storm();
    case Happening::Kind::publish: return publish(happening);
    case Happening::Kind::wake: wake_.reset(); return step(TimerFired{});
    case Happening::Kind::staging: return step(std::move(happening.event));
    case Happening::Kind::event: break;
  }
  // What a process that is gone still had to say is not heard: except for now and then, when it was on the way.
  if (happening.worker && gone_.contains(happening.worker)) return;
  if (std::holds_alternative<WorkerLost>(happening.event) || std::holds_alternative<ModelUnloadable>(happening.event)) {
    gone_.insert(happening.worker);
  }
  if (const auto* made = std::get_if<ImageMade>(&happening.event)) {
    const auto chunk = auditor_.chunks().find(made->chunk);
    if (chunk != auditor_.chunks().end() && chunk->second.left.contains(made->index)) {
      // The same message goes to the disk, whatever becomes of the worker.
      at(chance(0.02) ? between(1'000, 60'000) : between(1, 200),
         {ImagePublished{chunk->second.job, made->index}, {}, made->chunk, Happening::Kind::publish});
    }
  }
  step(std::move(happening.event));
}

void SimWorld::step(Event event) {
  if (auditor_.violation()) return;
  ++outcome_.steps;
  if (options_.copying == Copying::before_each_step) scheduler_ = Scheduler(scheduler_);
  auditor_.begin(event, now_);
  if (options_.trace == Trace::on) outcome_.trace.push_back(to_rfc3339_utc(now_) + " " + describe(event));
  if (options_.hash == Options::Hash::on) outcome_.trace_hash = mix(outcome_.trace_hash, describe(event));
  if (options_.distort_event) options_.distort_event(event);
  std::vector<Action> actions = scheduler_.step(event, now_);
  if (options_.distort_actions) options_.distort_actions(actions);
  for (const Action& action : actions) {
    if (options_.trace == Trace::on) outcome_.trace.push_back("    -> " + describe(action));
    if (options_.hash == Options::Hash::on) outcome_.trace_hash = mix(outcome_.trace_hash, describe(action));
    auditor_.apply(action);
    std::visit([this](const auto& a) { carry_out(a); }, action);
  }
  auditor_.end(scheduler_);
  note_wakes(event, actions);
}

// To be woken again and again with nothing to do keeps a machine busy for nothing.
void SimWorld::note_wakes(const Event& event, const std::vector<Action>& actions) {
  const bool nothing = std::all_of(actions.begin(), actions.end(),
                                   [](const Action& action) { return std::holds_alternative<WakeAt>(action); });
  if (!std::holds_alternative<TimerFired>(event) || !nothing) {
    wakes_for_nothing_ = 0;
    return;
  }
  if (wakes_for_nothing_++ == 0) first_wake_for_nothing_ = now_;
  if (wakes_for_nothing_ < kMostWakesForNothing) return;
  wakes_for_nothing_ = 0;
  if (now_ - first_wake_for_nothing_ < std::chrono::seconds{1}) auditor_.report("it is woken all the time for nothing");
}

// --- the machine ----------------------------------------------------------------------------------------------

void SimWorld::carry_out(const StartWorker& a) {
  const Duration load = between(200, 6'000);
  const WorkerLost death{
      a.worker, {"engine_died", "died while loading", {"log"}}, rng_.chance(0.8) ? Blame::job : Blame::none};
  if (weather_ == Weather::storm && broken_.contains(a.model)) {
    return at(load, {ModelUnloadable{a.worker, {"model_unreadable", "the file is truncated", {}}}, a.worker, {}});
  }
  // Also in calm weather: then nothing but the wish to be woken brings the job back.
  if (rng_.chance(0.06)) return at(load, {death, a.worker, {}});
  at(load, {WorkerReady{a.worker}, a.worker, {}});
}

void SimWorld::carry_out(const StopWorker& a) {
  // Some messages of a stopped worker are already on their way.
  if (!chance(0.3)) gone_.insert(a.worker);
}

void SimWorld::carry_out(const StartChunk& a) {
  for (const int index : a.indices) attempts_[{a.job, index}] = a.chunk;
  Duration time{0};
  const auto say = [&](Event event) { at(time, {std::move(event), a.worker, a.chunk}); };
  const Blame blame = rng_.chance(0.85) ? Blame::job : Blame::none;
  const WorkerLost death{a.worker, {"engine_died", "signal 11", {"log"}}, blame};
  const bool poison = poison_.contains(a.job);
  for (const int index : a.indices) {
    const Duration picture = between(100, 3'000);
    if (chance(0.3)) {
      const int done = static_cast<int>(rng_.below(25));
      time += picture / 2;
      say(ChunkProgress{a.chunk, index, done, 20});  // sometimes more than there is
      time -= picture / 2;
    }
    time += picture;
    if (poison) return say(WorkerLost{a.worker, {"engine_died", "poison", {"log"}}, Blame::job});
    if (chance(0.03)) return say(death);
    if (chance(0.01)) return say(ChunkEnded{a.chunk, ChunkOutcome::failed, {"out_of_memory", "no memory", {}}});
    if (chance(0.005)) return say(ChunkEnded{a.chunk, ChunkOutcome::failed, {"invalid_output", "black", {}}});
    if (chance(0.005)) return say(ChunkEnded{a.chunk, ChunkOutcome::done, {}});  // without the rest
    say(ImageMade{a.chunk, index});
    if (chance(0.02)) say(ImageMade{a.chunk, index});  // said twice
  }
  if (chance(0.02)) return say(death);  // after the last picture
  time += between(0, 50);
  say(ChunkEnded{a.chunk, ChunkOutcome::done, {}});
}

void SimWorld::carry_out(const CancelChunk& a) {
  if (rng_.chance(0.2)) return;  // an engine that cannot stop finishes its chunk
  const Duration delay = between(10, 500);
  if (rng_.chance(0.3))
    return at(delay, {WorkerLost{a.worker, {"cancelled", "killed", {}}, Blame::none}, a.worker, {}});
  // What comes later of this chunk is not said any more.
  std::erase_if(agenda_, [&](const auto& entry) {
    return entry.second.kind == Happening::Kind::event && entry.second.chunk == a.chunk &&
           entry.first.first > now_ + delay;
  });
  at(delay, {ChunkEnded{a.chunk, ChunkOutcome::cancelled, {}}, a.worker, a.chunk});
}

void SimWorld::carry_out(const StageModel& a) {
  const auto answer = [&](Event event) {
    at(between(100, 15'000), {std::move(event), {}, {}, Happening::Kind::staging});
  };
  if (rng_.chance(0.1)) return answer(ModelUnstaged{a.model});  // the file could not be read
  answer(ModelStaged{a.model});
}

void SimWorld::carry_out(const WakeAt& a) {
  if (wake_) agenda_.erase(*wake_);
  wake_ = std::pair(a.at, next_happening_++);
  agenda_.emplace(*wake_, Happening{TimerFired{}, {}, {}, Happening::Kind::wake});
}

void SimWorld::publish(const Happening& happening) {
  const auto [job, index] = std::get<ImagePublished>(happening.event);
  const bool known = auditor_.open().contains(job) || auditor_.ended().contains(job);
  const auto attempt = attempts_.find({job, index});
  if (!known || attempt == attempts_.end() || attempt->second != happening.chunk) return;  // fenced off
  if (chance(0.03)) return step(ImageRejected{job, index});
  if (chance(0.003)) return step(JobUnpublishable{job, {"not_writable", "no permission", {}}});
  if (!published_.insert({job, index}).second) {
    return auditor_.report(format("picture {} of job {} is published twice", index, job.value));
  }
  step(ImagePublished{job, index});
}

// --- restarts -------------------------------------------------------------------------------------------------

std::vector<Event> SimWorld::rows_as_events() const {
  std::vector<Event> events;
  events.emplace_back(PolicyChanged{auditor_.policy()});
  for (const auto& owner : auditor_.pauses()) events.emplace_back(QueuePaused{owner});
  for (const auto& [key, model] : auditor_.models()) events.emplace_back(ModelKnown{model});
  for (Event& event : auditor_.terms_as_events()) events.push_back(std::move(event));
  for (const auto& [uuid, gpu] : auditor_.gpus()) events.emplace_back(GpuArrived{gpu});
  for (const auto& [id, row] : auditor_.open()) events.emplace_back(JobSubmitted{Auditor::facts_of(row)});
  return events;
}

void SimWorld::compare_with_rebuilt() {
  Scheduler restarted = scheduler_;
  Scheduler rebuilt;
  (void)restarted.step(ServerRestarted{}, now_);
  for (Event& event : rows_as_events()) {
    if (options_.distort_event) options_.distort_event(event);
    (void)rebuilt.step(event, now_);
  }
  if (restarted.durable_digest() != rebuilt.durable_digest()) {
    auditor_.report(format("the rebuilt state differs from the live one:\n--- live\n{}--- rebuilt\n{}",
                           restarted.durable_digest(), rebuilt.durable_digest()));
  }
}

void SimWorld::restart() {
  ++outcome_.restarts;
  std::erase_if(agenda_, [](const auto& entry) {
    return entry.second.kind == Happening::Kind::publish || entry.second.kind == Happening::Kind::wake ||
           entry.second.kind == Happening::Kind::staging ||
           (entry.second.kind == Happening::Kind::event && entry.second.worker);
  });
  wake_.reset();
  attempts_.clear();
  Scheduler after = scheduler_;
  (void)after.step(ServerRestarted{}, now_);
  // Keys go on where they ended, as from the store's last rows.
  ++incarnation_;
  const std::int64_t first = std::int64_t{incarnation_} * 1'000'000;
  scheduler_ = Scheduler({ChunkId{first}, WorkerId{first}});
  const std::vector<Event> events = rows_as_events();
  auditor_.restart();
  for (const Event& event : events) step(event);
  if (!auditor_.violation() && scheduler_.durable_digest() != after.durable_digest()) {
    auditor_.report("the restarted server's state differs from the one before");
  }
}

}  // namespace pixelfleet::sim
