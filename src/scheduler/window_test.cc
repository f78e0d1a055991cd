// The jobs that the board shows follow the queue: a scheduler that reads them all again before each event orders the
// same as one that follows.
#include <gmock/gmock.h>

#include "base/rng.h"
#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

Policy amp() {
  return {.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
}

// A job of a random user; one in ten is interactive, and few are pinned: the first of their lane far down the line.
JobFacts random_job(Rng& rng, std::int64_t id) {
  JobFacts job;
  job.id = JobId{id};
  job.owner = "user-" + std::to_string(rng.below(6));
  job.model = rng.chance(0.8) ? "a" : "b";
  job.missing = rng.chance(0.5) ? std::vector<int>{0} : std::vector<int>{0, 1, 2};
  job.shape.steps = 5 + static_cast<int>(rng.below(60));
  if (rng.chance(0.1)) job.priority = Priority::interactive;
  if (rng.chance(0.1)) job.priority = Priority::background;
  if (rng.chance(0.03)) job.pin = "gpu-1";
  return job;
}

class Pair {
 public:
  Pair() {
    for (int gpu = 0; gpu < 2; ++gpu)
      both(GpuArrived{{"gpu-" + std::to_string(gpu), gpu, "", GpuKind::nvidia, 24 * kGiB}});
    for (const char* model : {"a", "b"}) both(ModelKnown{{model, Engine::synthetic, 8 * kGiB}});
  }
  void both(const Event& event) {
    EXPECT_THAT(again.give(PolicyChanged{amp()}), testing::IsEmpty()) << "nothing has changed";
    const Rig::Lines lines = follows.give(event);
    EXPECT_EQ(lines, again.give(event));
  }
  void later(Duration time) {
    follows.now += time;
    again.now += time;
  }

  Rig follows{amp()};
  Rig again{amp()};
};

TEST(Window, FollowsTheQueueAsIfItWereReadAgain) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Pair pair;
    std::int64_t jobs = 0;
    while (jobs < 220) pair.both(JobSubmitted{random_job(rng, ++jobs)});
    for (std::int64_t load = 1; load <= 2; ++load) pair.both(WorkerReady{WorkerId{load}});
    for (std::int64_t chunk = 1; chunk <= 150 && !testing::Test::HasFailure(); ++chunk) {
      pair.later(std::chrono::seconds{1 + static_cast<int>(rng.below(9))});
      pair.both(ChunkEnded{ChunkId{chunk}, ChunkOutcome::cancelled, {}});
      if (rng.chance(0.5)) pair.both(JobSubmitted{random_job(rng, ++jobs)});
      if (rng.chance(0.3)) pair.both(JobCancelRequested{JobId{1 + static_cast<std::int64_t>(rng.below(220))}});
    }
  }
}

// All wait for one model since the same moment; the light user's job is short, so it runs as soon as it is seen.
TEST(Window, ShowsAJobFromTheMomentThatItIsTheNinetySixthInOrder) {
  Rig rig(amp());
  rig.gpu(0);
  rig.model("a");
  for (std::int64_t id = 1; id <= 130; ++id) {
    JobFacts job;
    job.id = JobId{id};
    job.model = "a";
    job.owner = id == 98 ? "light" : "heavy";
    job.shape.steps = id == 98 ? 1 : 50;
    rig.submit(job);
  }
  EXPECT_THAT(rig.ready(1), testing::Contains("StartChunk 1 worker 1 job 1 [0]")) << "it is the 98th";
  rig.made(1, 0);
  EXPECT_THAT(rig.ended(1), testing::Contains("StartChunk 2 worker 1 job 2 [0]")) << "the 97th";
  rig.made(2, 0);
  EXPECT_THAT(rig.ended(2), testing::Contains("StartChunk 3 worker 1 job 98 [0]"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
