// Rig: a Scheduler with a hand-cranked clock for tests; what it orders reads as lines of prose (trace.h).
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/scheduler.h"
#include "scheduler/trace.h"

namespace pixelfleet::scheduler {

inline constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class Rig {
 public:
  using Lines = std::vector<std::string>;

  explicit Rig(
      Policy policy = {
          .multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::v18}) {
    give(PolicyChanged{std::move(policy)});
  }

  // Each returns what the scheduler orders because of it.
  Lines give(const Event& event) {
    last_.clear();
    lines_.clear();
    last_ = scheduler.step(event, now);
    for (const Action& action : last_) lines_.push_back(describe(action));
    return lines_;
  }
  Lines gpu(int index, int gib = 24, GpuKind kind = GpuKind::nvidia) {
    return give(GpuArrived{{"gpu-" + std::to_string(index), index, "", kind, gib * kGiB}});
  }
  Lines model(const ModelKey& key, int gib = 8, Engine engine = Engine::synthetic) {
    return give(ModelKnown{{key, engine, gib * kGiB}});
  }
  Lines submit(JobFacts facts) {
    if (facts.missing.empty()) facts.missing = {0};
    return give(JobSubmitted{std::move(facts)});
  }
  Lines submit(std::int64_t id, const ModelKey& model, std::vector<int> missing = {0}) {
    JobFacts facts;
    facts.id = JobId{id};
    facts.model = model;
    facts.missing = std::move(missing);
    return submit(std::move(facts));
  }
  Lines submit_pinned(std::int64_t id, const ModelKey& model, const GpuUuid& pin) {
    JobFacts facts;
    facts.id = JobId{id};
    facts.model = model;
    facts.pin = pin;
    return submit(std::move(facts));
  }
  Lines submit_urgent(std::int64_t id, const ModelKey& model) {
    JobFacts facts;
    facts.id = JobId{id};
    facts.model = model;
    facts.priority = Priority::interactive;
    return submit(std::move(facts));
  }
  Lines ready(std::int64_t worker) { return give(WorkerReady{WorkerId{worker}}); }
  Lines lost(std::int64_t worker, Blame blame = Blame::job) {
    return give(WorkerLost{WorkerId{worker}, {"engine_died", "signal 11", {"line of log"}}, blame});
  }
  Lines made(std::int64_t chunk, int index) { return give(ImageMade{ChunkId{chunk}, index}); }
  Lines published(std::int64_t job, int index = 0) { return give(ImagePublished{JobId{job}, index}); }
  Lines ended(std::int64_t chunk, ChunkOutcome outcome = ChunkOutcome::done, const std::string& code = "") {
    return give(ChunkEnded{ChunkId{chunk}, outcome, {code, "what the worker said", {}}});
  }
  Lines cancel(std::int64_t job) { return give(JobCancelRequested{JobId{job}}); }
  // The chunk of a one-image job makes its picture, ends, and the picture is published.
  void finish(std::int64_t chunk, std::int64_t job) {
    made(chunk, 0);
    ended(chunk);
    published(job);
  }

  Scheduler::GpuView view(int index) const {
    for (auto& view : scheduler.gpus()) {
      if (view.uuid == "gpu-" + std::to_string(index)) return view;
    }
    return {};
  }
  // The failure that the last step gave a job.
  JobError failure() const {
    for (const Action& action : last_) {
      const auto* state = std::get_if<SetJobState>(&action);
      if (state != nullptr && state->error) return *state->error;
    }
    return {};
  }

  Scheduler scheduler;
  Instant now{std::chrono::seconds{1000}};

 private:
  std::vector<Action> last_;
  Lines lines_;
};

}  // namespace pixelfleet::scheduler
