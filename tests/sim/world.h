// SimWorld: what surrounds the scheduler, in virtual time: users, worker processes, disk, gpus that come and go.
//
// One seed is one history: a stormy part in which everything may fail, then calm, in which every job must end. The
// auditor looks at every step. Nothing depends on anything but the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "auditor.h"
#include "base/rng.h"
#include "scheduler/scheduler.h"

namespace pixelfleet::sim {

enum class Trace { off, on };
enum class Copying { off, before_each_step };

struct Options {
  std::uint64_t seed = 1;
  Trace trace = Trace::off;  // on: keeps every line; the hash is computed in both cases when `hash` asks for it
  enum class Hash { off, on } hash = Hash::off;
  Copying copying = Copying::off;
  // Sane: near the truth. Poisoned: zero, infinite, NaN, or off by factors. By default a seed in four is poisoned.
  enum class Estimates { by_seed, sane, poisoned } estimates = Estimates::by_seed;
  // Planted bugs, for the test of the auditor: what the scheduler hears, and what the world hears of its answer.
  std::function<void(scheduler::Event&)> distort_event = {};
  std::function<void(std::vector<scheduler::Action>&)> distort_actions = {};
};

struct Outcome {
  std::optional<std::string> violation;
  std::vector<std::string> trace;
  std::uint64_t trace_hash = 0;
  std::int64_t steps = 0;
  std::int64_t restarts = 0;
  std::map<JobState, int> ended;
  int published = 0;
};

Outcome run_history(const Options& options);

class SimWorld {
 public:
  explicit SimWorld(const Options& options);
  Outcome run();

 private:
  // What will happen at an instant; `worker` and `chunk` say whose doing it is.
  struct Happening {
    scheduler::Event event;
    WorkerId worker;
    ChunkId chunk;
    enum class Kind { event, storm, publish, wake, staging } kind = Kind::event;
  };
  enum class Weather { storm, calm };

  // --- time
  void at(Duration delay, Happening happening);
  void happen(Happening& happening);
  void step(scheduler::Event event);
  Duration between(std::int64_t low_ms, std::int64_t high_ms);

  // --- users and hardware (history.cc)
  void set_up();
  void storm();
  void calm_down();
  void submit_burst();
  void change_gpus();
  void change_terms();
  void change_models();
  void change_policy();
  void change_orders();
  void retry();
  void lose_staged();
  void nonsense();
  std::optional<JobId> some_job();
  std::optional<WorkerId> some_process();
  scheduler::Policy random_policy();
  scheduler::Tuning random_tuning();
  scheduler::ModelFacts random_model(int number);
  scheduler::JobFacts random_job();
  std::vector<scheduler::CostPrior> random_priors();
  double wild_number();
  void remember_costs();

  // --- the machine carries out actions
  void carry_out(const scheduler::StartWorker& a);
  void carry_out(const scheduler::StopWorker& a);
  void carry_out(const scheduler::StartChunk& a);
  void carry_out(const scheduler::CancelChunk& a);
  void carry_out(const scheduler::AbandonChunk&) {}
  void carry_out(const scheduler::SetJobState&) {}
  void carry_out(const scheduler::SetJobOrder&) {}
  void carry_out(const scheduler::StageModel& a);
  void carry_out(const scheduler::UnstageModel&) {}
  void carry_out(const scheduler::RememberCost&) {}
  void carry_out(const scheduler::WakeAt& a);

  void publish(const Happening& happening);
  void restart();
  // A fresh scheduler from the rows must be equal to the live one after ServerRestarted.
  void compare_with_rebuilt();
  std::vector<scheduler::Event> rows_as_events() const;
  bool chance(double probability) { return weather_ == Weather::storm && rng_.chance(probability); }

  void note_wakes(const scheduler::Event& event, const std::vector<scheduler::Action>& actions);

  const Options options_;
  Rng rng_;
  const bool poisoned_;
  Weather weather_ = Weather::storm;
  Instant now_{std::chrono::seconds{1'700'000'000}};
  scheduler::Scheduler scheduler_;
  Auditor auditor_;
  Outcome outcome_;

  std::map<std::pair<Instant, std::int64_t>, Happening> agenda_;
  std::int64_t next_happening_ = 0;
  std::optional<std::pair<Instant, std::int64_t>> wake_;
  int wakes_for_nothing_ = 0;  // one after another
  Instant first_wake_for_nothing_;
  std::set<WorkerId> gone_;  // processes that ended: what they still had to say is lost
  std::map<std::pair<JobId, int>, ChunkId> attempts_;
  std::set<std::pair<JobId, int>> published_;
  std::map<JobId, scheduler::JobFacts> submitted_;
  std::set<JobId> poison_;  // jobs that kill every worker
  std::set<ModelKey> broken_;
  std::map<GpuUuid, Gpu> lost_gpus_;
  std::int64_t next_job_ = 1;
  int incarnation_ = 0;
};

}  // namespace pixelfleet::sim
