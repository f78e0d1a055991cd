// Moves, priorities, pins and pauses: what changes, what is told, and who may start before whom.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/rng.h"
#include "scheduler/queue.h"
#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// One gpu that is busy with job 1; jobs 2, 3 ... of the same model wait.
Rig busy_rig(int waiting) {
  Rig rig;
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit_pinned(1, "a", "gpu-0");
  rig.ready(1);
  rig.give(PolicyChanged{{.multi_gpu = false, .max_gpus = 1, .single_gpu = "gpu-0", .resident_limit = 2}});
  for (int id = 2; id < 2 + waiting; ++id) rig.submit(id, "a");
  return rig;
}

Rig::Lines move(Rig& rig, std::int64_t job, JobMoved::Side side, std::int64_t other) {
  return rig.give(JobMoved{JobId{job}, JobId{other}, side});
}
Rig::Lines move_before(Rig& rig, std::int64_t job, std::int64_t other) {
  return move(rig, job, JobMoved::Side::before, other);
}
Rig::Lines move_after(Rig& rig, std::int64_t job, std::int64_t other) {
  return move(rig, job, JobMoved::Side::after, other);
}

// Lets the gpu run dry; the jobs in the order in which they started, chunk 1 being under way.
std::vector<std::int64_t> rest_of_order(Rig& rig, std::int64_t jobs) {
  std::vector<std::int64_t> order;
  for (std::int64_t chunk = 1; chunk <= jobs; ++chunk) {
    for (const std::string& line : rig.ended(chunk, ChunkOutcome::failed, "bad_request")) {
      constexpr std::string_view kRunning = " running";
      if (line.ends_with(kRunning)) order.push_back(std::stoll(line.substr(std::string_view("SetJobState ").size())));
    }
  }
  return order;
}

// --- moves ----------------------------------------------------------------------------------------------------

TEST(JobMoved, ToTheFrontChangesThatJobAlone) {
  Rig rig = busy_rig(0);
  rig.give(JobReprioritised{JobId{1}, Priority::background});  // it runs: no effect
  rig.submit({.id = JobId{2}, .priority = Priority::background, .model = "a"});
  rig.submit({.id = JobId{3}, .priority = Priority::background, .model = "a"});
  EXPECT_THAT(move_before(rig, 3, 2), ElementsAre("SetJobOrder 3 background rank -1 pin any"));
  EXPECT_THAT(rest_of_order(rig, 3), ElementsAre(3, 2));
}

TEST(JobMoved, AmongEqualsRenumbersTheJobsInFrontOfItTheRunningOneIncluded) {
  Rig rig = busy_rig(4);  // 2 3 4 5
  EXPECT_THAT(move_before(rig, 5, 3),
              ElementsAre("SetJobOrder 1 normal rank -3 pin gpu-0", "SetJobOrder 2 normal rank -2 pin any",
                          "SetJobOrder 5 normal rank -1 pin any"));
  EXPECT_THAT(rest_of_order(rig, 5), ElementsAre(2, 5, 3, 4));
}

TEST(JobMoved, BetweenUnequalRanksTakesTheMiddle) {
  Rig rig = busy_rig(4);
  move_before(rig, 5, 3);  // 1: -3, 2: -2, 5: -1
  EXPECT_THAT(move_before(rig, 4, 5), ElementsAre("SetJobOrder 4 normal rank -1.5 pin any"));
  EXPECT_THAT(rest_of_order(rig, 5), ElementsAre(2, 4, 5, 3));
}

TEST(JobMoved, BehindTheLastOneStillStandsBeforeWhatArrivesNext) {
  Rig rig = busy_rig(3);  // 2 3 4
  move_after(rig, 2, 4);
  rig.submit(5, "a");
  EXPECT_THAT(rest_of_order(rig, 5), ElementsAre(3, 4, 2, 5));
}

TEST(JobMoved, BehindTheLastOfNegativeRanksStillStandsBeforeWhatArrivesNext) {
  Rig rig = busy_rig(3);
  move_after(rig, 2, 4);                                                                      // 4: -2, 2: -1
  EXPECT_THAT(move_after(rig, 3, 2), ElementsAre("SetJobOrder 3 normal rank -0.5 pin any"));  // and 5 comes at 0
  rig.submit(5, "a");
  EXPECT_THAT(rest_of_order(rig, 5), ElementsAre(4, 2, 3, 5));
}

TEST(JobMoved, InFrontOfARankThatWasAskedForStandsBeforeWhatArrivesNext) {
  Rig rig = busy_rig(0);
  rig.submit({.id = JobId{2}, .rank = 7.0, .model = "a"});
  rig.submit({.id = JobId{3}, .rank = 9.0, .model = "a"});
  EXPECT_THAT(move_before(rig, 3, 2), Contains("SetJobOrder 3 normal rank -1 pin any"));
  rig.submit(4, "a");
  EXPECT_THAT(rest_of_order(rig, 4), ElementsAre(3, 4, 2));
}

TEST(JobMoved, BetweenRanksThatWereAskedForStaysBetweenThem) {
  Rig rig = busy_rig(0);
  rig.submit({.id = JobId{2}, .rank = 7.0, .model = "a"});
  rig.submit({.id = JobId{3}, .rank = 9.0, .model = "a"});
  rig.submit({.id = JobId{4}, .model = "a"});
  EXPECT_THAT(move_after(rig, 4, 2), ElementsAre("SetJobOrder 4 normal rank 8 pin any"));
  EXPECT_THAT(move_after(rig, 2, 3), ElementsAre("SetJobOrder 2 normal rank 10 pin any"));
  EXPECT_THAT(rest_of_order(rig, 4), ElementsAre(4, 3, 2));
}

TEST(JobMoved, AThousandTimesBetweenTheSameTwoStaysExact) {
  Rig rig = busy_rig(4);  // 2 3 4 5
  for (int i = 0; i < 1000; ++i) {
    move_before(rig, i % 2 == 0 ? 5 : 4, 3);  // always directly before 3, so the gap halves each time
  }
  EXPECT_THAT(rest_of_order(rig, 5), ElementsAre(2, 5, 4, 3));
}

TEST(JobMoved, ToWhereItStandsChangesNothing) {
  Rig rig = busy_rig(3);
  EXPECT_THAT(move_before(rig, 2, 3), IsEmpty());
  EXPECT_THAT(move_after(rig, 4, 3), IsEmpty());
}

TEST(JobMoved, OfJobsThatRunOrAreGoneOrOfAnotherPriorityIsIgnored) {
  Rig rig = busy_rig(2);
  rig.submit_urgent(4, "a");
  EXPECT_THAT(move_before(rig, 1, 2), IsEmpty());
  EXPECT_THAT(move_before(rig, 3, 1), IsEmpty());
  EXPECT_THAT(move_before(rig, 3, 3), IsEmpty());
  EXPECT_THAT(move_before(rig, 3, 4), IsEmpty());
  EXPECT_THAT(move_before(rig, 99, 2), IsEmpty());
  EXPECT_THAT(move_before(rig, 3, 99), IsEmpty());
}

TEST(JobMoved, OfAHeldJobCountsOnceItIsReleased) {
  Rig rig = busy_rig(2);  // 2 3
  rig.give(JobHeld{JobId{3}, HeldReason::user});
  EXPECT_THAT(move_before(rig, 3, 2), Contains("SetJobOrder 3 normal rank -1 pin any"));
  rig.give(JobReleased{JobId{3}});
  EXPECT_THAT(rest_of_order(rig, 3), ElementsAre(3, 2));
}

TEST(JobMoved, IsTheSameAfterARestart) {
  Rig rig = busy_rig(3);
  move_before(rig, 4, 2);
  rig.give(ServerRestarted{});
  rig.ready(2);  // job 1 or 4 runs: the load belongs to whoever is first
  EXPECT_THAT(rig.scheduler.durable_digest(), HasSubstr("job 4 state=queued priority=normal rank=-1"));
}

// Without the rule, the gpu that holds the other job's model would run that one while the moved job's model loads.
class MovedJob : public ::testing::TestWithParam<Algorithm> {};

TEST_P(MovedJob, StartsNoLaterThanTheOneItWasMovedBeforeAlsoWhenItsModelHasToLoad) {
  Rig rig({.multi_gpu = true, .max_gpus = 2, .single_gpu = "", .resident_limit = 2, .algorithm = GetParam()});
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.model("b");
  rig.submit_pinned(1, "b", "gpu-0");
  rig.ready(1);
  rig.submit_pinned(2, "b", "gpu-1");
  rig.ready(2);
  rig.submit(3, "b");
  rig.submit(4, "a");
  move_before(rig, 4, 3);
  Rig::Lines told;
  const auto note = [&told](const Rig::Lines& lines) { told.insert(told.end(), lines.begin(), lines.end()); };
  note(rig.ended(1, ChunkOutcome::failed, "bad_request"));
  note(rig.ended(2, ChunkOutcome::failed, "bad_request"));
  for (int worker = 3; worker <= 6; ++worker) note(rig.ready(worker));
  const auto moved = std::find(told.begin(), told.end(), "SetJobState 4 running");
  const auto other = std::find(told.begin(), told.end(), "SetJobState 3 running");
  ASSERT_NE(moved, told.end());
  EXPECT_LT(moved, other);
}

INSTANTIATE_TEST_SUITE_P(Each, MovedJob, ::testing::Values(Algorithm::amp, Algorithm::v18, Algorithm::fifo));

// --- priorities and pins --------------------------------------------------------------------------------------

TEST(JobReprioritised, GoesByAgeAmongItsNewEquals) {
  Rig rig = busy_rig(3);  // 2 3 4
  move_before(rig, 4, 2);
  rig.submit_urgent(5, "a");
  EXPECT_THAT(rig.give(JobReprioritised{JobId{4}, Priority::interactive}),
              ElementsAre("SetJobOrder 4 interactive rank 0 pin any"));
  EXPECT_THAT(rig.give(JobReprioritised{JobId{4}, Priority::interactive}), IsEmpty());
  EXPECT_THAT(rest_of_order(rig, 5), ElementsAre(4, 5, 2, 3));
}

TEST(JobPinned, WaitsForItsGpuAndAnUnpinnedOneGoesAnywhere) {
  Rig rig;
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  rig.submit_pinned(1, "a", "gpu-0");
  rig.ready(1);
  rig.submit(2, "a");  // loads on gpu-1
  EXPECT_THAT(rig.give(JobPinned{JobId{2}, "gpu-0"}),
              ElementsAre("SetJobOrder 2 normal rank 0 pin gpu-0", "StopWorker 2"));
  EXPECT_THAT(rig.give(JobPinned{JobId{2}, "gpu-0"}), IsEmpty());
  EXPECT_THAT(rig.give(JobPinned{JobId{2}, std::nullopt}),
              ElementsAre("SetJobOrder 2 normal rank 0 pin any", "StartWorker 3 gpu-1 a"));
}

TEST(JobPinned, GetsAnyOfSeveralEmptyGpus) {
  Rig rig;
  for (int index = 0; index < 3; ++index) rig.gpu(index);
  rig.model("a");
  EXPECT_THAT(rig.submit_pinned(1, "a", "gpu-1"), ElementsAre("StartWorker 1 gpu-1 a"));
  EXPECT_THAT(rig.submit_pinned(2, "a", "gpu-2"), ElementsAre("StartWorker 2 gpu-2 a"));
}

TEST(JobPinned, KeepsTheLoadThatIsUnderWayOnThatGpu) {
  Rig rig;
  rig.gpu(0);
  rig.gpu(1);
  rig.model("a");
  ASSERT_THAT(rig.submit(1, "a"), ElementsAre("StartWorker 1 gpu-0 a"));
  EXPECT_THAT(rig.give(JobPinned{JobId{1}, "gpu-0"}), ElementsAre("SetJobOrder 1 normal rank 0 pin gpu-0"));
  EXPECT_THAT(rig.ready(1), Contains("StartChunk 1 worker 1 job 1 [0]"));
}

TEST(JobPinned, ToAGpuThatIsNotThereIsHeldUntilItComes) {
  Rig rig = busy_rig(1);
  EXPECT_THAT(rig.give(JobPinned{JobId{2}, "gpu-7"}), Contains("SetJobState 2 held no_gpu"));
  EXPECT_THAT(rig.give(JobPinned{JobId{2}, std::nullopt}), Contains("SetJobState 2 queued"));
}

TEST(JobPinned, OfARunningJobIsIgnored) {
  Rig rig = busy_rig(0);
  EXPECT_THAT(rig.give(JobPinned{JobId{1}, std::nullopt}), IsEmpty());
}

// --- pauses ---------------------------------------------------------------------------------------------------

TEST(QueuePaused, HoldsEverybodysWaitingJobsAndLetsTheRunningOneGoOn) {
  Rig rig = busy_rig(2);
  EXPECT_THAT(rig.give(QueuePaused{}), ElementsAre("SetJobState 2 held paused", "SetJobState 3 held paused"));
  EXPECT_THAT(rig.give(QueuePaused{}), IsEmpty());
  EXPECT_THAT(rig.ended(1, ChunkOutcome::failed, "bad_request"), ElementsAre("SetJobState 1 failed bad_request"));
  EXPECT_THAT(rig.give(QueueResumed{}), ElementsAre("SetJobState 2 queued", "SetJobState 3 queued",
                                                    "SetJobState 2 running", "StartChunk 2 worker 1 job 2 [0]"));
}

TEST(QueuePaused, OfOneOwnerHoldsOnlyHisJobsAndThoseThatHeSendsLater) {
  Rig rig = busy_rig(0);
  rig.submit({.id = JobId{2}, .owner = "ada", .model = "a"});
  rig.submit({.id = JobId{3}, .owner = "grace", .model = "a"});
  EXPECT_THAT(rig.give(QueuePaused{"ada"}), ElementsAre("SetJobState 2 held paused"));
  EXPECT_THAT(rig.submit({.id = JobId{4}, .owner = "ada", .model = "a"}), ElementsAre("SetJobState 4 held paused"));
  EXPECT_THAT(rest_of_order(rig, 3), ElementsAre(3));
}

TEST(QueuePaused, OfOneOwnerOutlastsThePauseOfEverybody) {
  Rig rig = busy_rig(0);
  rig.submit({.id = JobId{2}, .owner = "ada", .model = "a"});
  rig.submit({.id = JobId{3}, .owner = "grace", .model = "a"});
  rig.give(QueuePaused{"ada"});
  rig.give(QueuePaused{});
  EXPECT_THAT(rig.give(QueueResumed{}), ElementsAre("SetJobState 3 queued"));
  EXPECT_THAT(rig.give(QueueResumed{"ada"}), ElementsAre("SetJobState 2 queued"));
}

TEST(QueuePaused, KeepsARunningJobFromStartingWhatItHasLeftUntilResumed) {
  Rig rig = busy_rig(0);
  rig.submit(2, "a", {0, 1});
  rig.ended(1, ChunkOutcome::failed, "bad_request");
  rig.made(2, 0);
  rig.made(2, 1);
  rig.ended(2);
  rig.give(QueuePaused{});
  EXPECT_THAT(rig.give(ImageRejected{JobId{2}, 1}), ElementsAre("SetJobState 2 held paused"));
  EXPECT_THAT(rig.give(QueueResumed{}), Contains("StartChunk 3 worker 1 job 2 [1]"));
}

TEST(QueuePaused, StopsALoadThatNobodyWaitsForAnyMore) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.submit(1, "a");
  EXPECT_THAT(rig.give(QueuePaused{}), ElementsAre("StopWorker 1", "SetJobState 1 held paused"));
}

TEST(QueuePaused, AHoldOfItsOwnComesFirstAndOutlastsIt) {
  Rig rig = busy_rig(1);
  rig.give(QueuePaused{});
  EXPECT_THAT(rig.give(JobHeld{JobId{2}, HeldReason::user}), ElementsAre("SetJobState 2 held user"));
  EXPECT_THAT(rig.give(QueueResumed{}), IsEmpty());
  rig.give(QueuePaused{});
  EXPECT_THAT(rig.give(JobReleased{JobId{2}}), ElementsAre("SetJobState 2 held paused"));
  EXPECT_THAT(rig.give(QueueResumed{}), ElementsAre("SetJobState 2 queued"));
}

TEST(QueuePaused, IsToldAgainBeforeTheJobsOfARestartWhichThenStayHeldWithoutAWord) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  rig.give(QueuePaused{"ada"});
  EXPECT_THAT(rig.submit({.id = JobId{1}, .owner = "ada", .model = "a", .held = HeldReason::paused}), IsEmpty());
  EXPECT_THAT(rig.scheduler.durable_digest(), HasSubstr("paused ada"));
}

TEST(QueuePaused, AJobThatWasPausedQueuesWhenItsPauseIsNotToldAgain) {
  Rig rig;
  rig.gpu(0);
  rig.model("a");
  EXPECT_THAT(rig.submit({.id = JobId{1}, .model = "a", .held = HeldReason::paused}), Contains("SetJobState 1 queued"));
}

// --- who was moved in front of whom ----------------------------------------------------------------------------

const Lane kLane{"a", std::nullopt, {}, -1};
const Lane kOther{"b", std::nullopt, {}, -1};

Position at(std::int64_t id, double rank = 0.0, Priority priority = Priority::normal) {
  return {priority, rank, JobId{id}};
}
bool any_before(const Queue& queue, const Position& position) {
  return queue.any_moved_before(position, [](const Lane&) { return true; });
}

TEST(MovedBefore, NobodyIsWhileAllRanksAreZero) {
  Queue queue;
  for (int id = 1; id <= 5; ++id) queue.insert(at(id), kLane);
  for (int id = 1; id <= 5; ++id) EXPECT_FALSE(any_before(queue, at(id)));
}

TEST(MovedBefore, AYoungerJobOfLowerRankWasButNotAnOlderOneThatWasOnlyRenumbered) {
  Queue queue;
  queue.insert(at(1, -2), kLane);  // renumbered
  queue.insert(at(5, -1), kLane);  // moved before 2
  queue.insert(at(2), kLane);
  queue.insert(at(4), kLane);
  queue.insert(at(6), kLane);
  EXPECT_FALSE(any_before(queue, at(1, -2)));
  EXPECT_TRUE(any_before(queue, at(2)));
  EXPECT_TRUE(any_before(queue, at(4)));
  EXPECT_FALSE(any_before(queue, at(6)));  // it would be behind 5 anyway
}

TEST(MovedBefore, EndsWhenTheMovedJobLeavesTheQueue) {
  Queue queue;
  queue.insert(at(2), kLane);
  queue.insert(at(5, -1), kLane);
  queue.insert(at(4, -2), kLane);
  ASSERT_TRUE(any_before(queue, at(2)));
  queue.erase(JobId{5});
  EXPECT_TRUE(any_before(queue, at(2)));
  queue.erase(JobId{4});
  EXPECT_FALSE(any_before(queue, at(2)));
}

TEST(MovedBefore, AsksOnlyForLanesThatCount) {
  Queue queue;
  queue.insert(at(2), kLane);
  queue.insert(at(5, -1), kOther);
  EXPECT_TRUE(queue.any_moved_before(at(2), [](const Lane& lane) { return lane.model == "b"; }));
  EXPECT_FALSE(queue.any_moved_before(at(2), [](const Lane& lane) { return lane.model == "a"; }));
}

TEST(MovedBefore, KeepsPrioritiesApart) {
  Queue queue;
  queue.insert(at(5, -1, Priority::interactive), kLane);
  queue.insert(at(2), kLane);
  EXPECT_FALSE(any_before(queue, at(2)));
}

TEST(MovedBefore, WhoAskedForALaterRankStandsBehindYoungerJobsThatDidNot) {
  Queue queue;
  queue.insert(at(2, 3.0), kLane);
  queue.insert(at(1), kLane);
  EXPECT_FALSE(any_before(queue, at(2, 3.0)));
  queue.insert(at(7), kLane);
  EXPECT_TRUE(any_before(queue, at(2, 3.0)));
}

TEST(MovedBefore, AgreesWithTheDefinitionOnRandomQueues) {
  constexpr std::uint64_t kSeed = 20261124;
  Rng rng(kSeed);
  for (int round = 0; round < 300; ++round) {
    Queue queue;
    std::map<Position, Lane> present;
    for (int step = 0; step < 30; ++step) {
      const auto id = static_cast<std::int64_t>(rng.below(12)) + 1;
      if (queue.contains(JobId{id})) {
        queue.erase(JobId{id});
        std::erase_if(present, [id](const auto& entry) { return entry.first.job.value == id; });
      } else {
        const double rank = static_cast<double>(rng.below(5)) - 2.0;
        const Position position = at(id, rank, rng.chance(0.5) ? Priority::normal : Priority::background);
        const Lane lane = rng.chance(0.5) ? kLane : kOther;
        queue.insert(position, lane);
        present.emplace(position, lane);
      }
      for (const auto& [position, lane] : present) {
        for (const ModelKey model : {"a", "b"}) {
          bool expected = false;
          for (const auto& [other, other_lane] : present) {
            expected = expected || (other_lane.model == model && other.priority == position.priority &&
                                    other.rank < position.rank && other.job > position.job);
          }
          ASSERT_EQ(queue.any_moved_before(position, [&](const Lane& each) { return each.model == model; }), expected)
              << "seed " << kSeed << " round " << round << " step " << step << " job " << position.job.value;
        }
      }
    }
  }
}

}  // namespace
}  // namespace pixelfleet::scheduler
