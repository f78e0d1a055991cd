// How long the scheduler takes to decide, with few and with very many jobs waiting.
//
// A machine in virtual time answers the scheduler; every job that ends is followed by a new one, so the queue keeps its
// length. `decision_bench busy` runs one case. Timed is each step in which it may decide, by the thread's CPU time:
// other processes do not count.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/format.h"
#include "base/rng.h"
#include "scheduler/scheduler.h"

namespace pixelfleet {
namespace {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

struct Case {
  const char* name;
  int gpus;
  int models;
  int queued;
  int steps;
};

double cpu_microseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

class Machine {
 public:
  explicit Machine(const Case& facts) : facts_(facts) {
    tell(PolicyChanged{{.multi_gpu = true,
                        .max_gpus = facts.gpus,
                        .single_gpu = "",
                        .resident_limit = -1,
                        .host_memory_bytes = 256'000'000'000}});
    for (int g = 0; g < facts.gpus; ++g) {
      const char* kNames[] = {"RTX 4090", "A100", "H100"};
      tell(GpuArrived{{format("gpu-{}", g), g, kNames[g % 3], GpuKind::virtual_gpu, 24'000'000'000}});
    }
    for (int m = 0; m < facts.models; ++m) {
      const char* family = m % 5 == 0 ? "flux" : m % 3 == 0 ? "sd1" : "sdxl";
      const std::int64_t weights = m % 5 == 0 ? 17'000'000'000 : m % 3 == 0 ? 2'100'000'000 : 6'900'000'000;
      tell(ModelKnown{{format("model-{}", m), Engine::synthetic, weights + 3'000'000'000, 3'000'000'000, weights,
                       family, builtin_priors(family)}});
    }
    for (int job = 0; job < facts.queued; ++job) submit();
  }

  void run() {
    times_.clear();
    while (static_cast<int>(times_.size()) < facts_.steps && !agenda_.empty()) {
      const auto next = agenda_.begin();
      if (wake_at_ && *wake_at_ <= next->first) {
        now_ = *wake_at_;
        wake_at_.reset();
        tell(TimerFired{});
        continue;
      }
      now_ = std::max(now_, next->first);
      const Event event = next->second;
      agenda_.erase(next);
      tell(event);
      if (const auto* ended = std::get_if<ChunkEnded>(&event)) {
        const auto chunk = chunks_.extract(ended->chunk).mapped();
        for (const int index : chunk.indices) tell(ImagePublished{chunk.job, index});
        submit();
      }
    }
  }

  void print() {
    std::sort(times_.begin(), times_.end());
    double sum = 0.0;
    for (const double time : times_) sum += time;
    const auto at = [&](double part) {
      return times_[static_cast<std::size_t>(part * static_cast<double>(times_.size() - 1))];
    };
    std::printf("| %s | %d | %d | %d | %.0f us | %.0f us | %.2f ms | %.2f ms |\n", facts_.name, facts_.queued,
                facts_.models, facts_.gpus, sum / static_cast<double>(times_.size()), at(0.5), at(0.99) / 1e3,
                times_.back() / 1e3);
  }

 private:
  void submit() {
    // Popular models as in production: the first ten have half of the jobs.
    const auto models = static_cast<std::uint64_t>(facts_.models);
    const std::uint64_t model =
        random_.chance(0.5) ? random_.below(std::min<std::uint64_t>(10, models)) : random_.below(models);
    JobFacts job;
    job.id = JobId{++jobs_};
    job.owner = format("user-{}", random_.below(50));
    job.model = format("model-{}", model);
    job.missing = random_.chance(0.6) ? std::vector<int>{0} : std::vector<int>{0, 1, 2, 3};
    job.shape = {.steps = 30, .pixels = 1 << 20, .sampler = "euler", .loras = ""};
    tell(JobSubmitted{std::move(job)});
  }

  void tell(const Event& event) {
    const double begin = cpu_microseconds();
    const std::vector<Action> actions = scheduler_.step(event, now_);
    const double time = cpu_microseconds() - begin;
    const bool decides = std::holds_alternative<WorkerReady>(event) || std::holds_alternative<ChunkEnded>(event) ||
                         std::holds_alternative<JobSubmitted>(event);
    if (decides) times_.push_back(time);
    for (const Action& action : actions) std::visit([this](const auto& a) { act(a); }, action);
  }

  Instant after(double low_s, double high_s) {
    return now_ + Duration{static_cast<std::int64_t>((low_s + random_.unit() * (high_s - low_s)) * 1e6)};
  }
  void act(const StartWorker& a) { agenda_.emplace(after(4, 12), WorkerReady{a.worker}); }
  void act(const StartChunk& a) {
    chunks_[a.chunk] = a;
    const Instant end = after(3, 20);
    for (const int index : a.indices) agenda_.emplace(end, ImageMade{a.chunk, index});
    agenda_.emplace(end, ChunkEnded{a.chunk, ChunkOutcome::done, {}});
  }
  void act(const StageModel& a) { agenda_.emplace(after(2, 17), ModelStaged{a.model}); }
  void act(const WakeAt& a) { wake_at_ = std::max(a.at, now_); }
  template <class Other>
  void act(const Other&) {}

  const Case facts_;
  Scheduler scheduler_;
  Rng random_{20261124};
  Instant now_{std::chrono::seconds{1'700'000'000}};
  std::multimap<Instant, Event> agenda_;
  std::map<ChunkId, StartChunk> chunks_;
  std::optional<Instant> wake_at_;
  std::int64_t jobs_ = 0;
  std::vector<double> times_;
};

}  // namespace
}  // namespace pixelfleet

int main(int count, char** arguments) {
  using pixelfleet::Case;
  std::printf(
      "| case | queued | models | gpus | mean | p50 | p99 | max |\n| --- | --- | --- | --- | --- | --- | --- | --- "
      "|\n");
  for (const Case& facts : {Case{"roll-outs", 8, 20, 40, 4000}, Case{"busy", 8, 20, 1'000, 4000},
                            Case{"a store's length", 64, 200, 100'000, 20000}}) {
    if (count > 1 && std::string(arguments[1]) != facts.name) continue;
    pixelfleet::Machine machine(facts);
    machine.run();
    machine.print();
    std::fflush(stdout);
  }
}
