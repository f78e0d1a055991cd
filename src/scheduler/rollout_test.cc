// The roll-out: when it takes another choice than the base rule's, and when it is not tried.
#include "scheduler/rollout.h"

#include <gmock/gmock.h>

#include "scheduler/test_board.h"

namespace pixelfleet::scheduler {
namespace {

using Kind = Choice::Kind;
constexpr auto kOnDisk = Situation::File::on_disk;

// Jobs 1 and 2 for a model that the only gpu holds.
Situation two_jobs(double seconds1, double seconds2) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.seconds = seconds1});
  s.waits(2, a, {.seconds = seconds2});
  return s;
}

TEST(Rollout, TakesAnotherChoiceThatIsClearlyCheaper) {
  // Ends at 100 and 101, or at 1 and 101.
  const Situation s = two_jobs(100.0, 1.0);
  EXPECT_EQ(best_by_rollout(s.board, run(0, 0, 1), {run(0, 0, 1), run(0, 0, 2)}).job, JobId{2});
}

TEST(Rollout, StaysWithTheBaseChoiceWhereLittleIsGained) {
  // Ends at 100 and 199, or at 99 and 199: a third of a percent. Then at 100 and 190, or at 90 and 190: 3.4 percent.
  Situation s = two_jobs(100.0, 99.0);
  EXPECT_EQ(best_by_rollout(s.board, run(0, 0, 1), {run(0, 0, 2)}).job, JobId{1});
  s = two_jobs(100.0, 90.0);
  EXPECT_EQ(best_by_rollout(s.board, run(0, 0, 1), {run(0, 0, 2)}).job, JobId{2});
}

TEST(Rollout, CountsTheWaitBehindIt) {
  // Job 1 has waited ten aging times: each second more costs eleven times one of job 2's.
  Situation s = two_jobs(30.0, 20.0);
  s.board.model(0).window[0].arrived -= 750.0;
  EXPECT_EQ(best_by_rollout(s.board, run(0, 0, 2), {run(0, 0, 1)}).job, JobId{1});
}

TEST(Rollout, WaitsForWhatIsBeingReadWhenALoadWouldDisturbIt) {
  // The load of b shares the disk with the reading for a, which five jobs of 1 s need a second from now.
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.gigabytes = 20.0, .file = kOnDisk});
  const int b = s.model({.gigabytes = 20.0, .file = kOnDisk});
  s.stages(a, 1.0);
  for (int id = 1; id <= 5; ++id) s.waits(id, a, {.seconds = 1.0});
  s.waits(6, b);
  EXPECT_TRUE(worth_a_rollout(s.board, load(g, b, 6), {load(g, b, 6)}));
  EXPECT_EQ(best_by_rollout(s.board, load(g, b, 6), {load(g, b, 6)}).kind, Kind::none);

  s.stages(a, 200.0);
  EXPECT_EQ(best_by_rollout(s.board, load(g, b, 6), {load(g, b, 6)}).kind, Kind::load) << "that takes too long";
}

TEST(Rollout, OnlyWaitsInsteadOfALoadFromTheDiskThatDisturbsAReading) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model({.file = kOnDisk});
  const int from_disk = s.model({.file = kOnDisk});
  const int in_host = s.model();
  const int held = s.model({.file = kOnDisk});
  s.holds(s.gpu(), held);
  for (const int model : {from_disk, in_host, held}) s.waits(model, model);
  const auto alone = [&](int model) { return worth_a_rollout(s.board, load(g, model), {load(g, model)}); };
  EXPECT_FALSE(alone(from_disk)) << "nothing is being read";
  s.stages(a, 5.0);
  EXPECT_TRUE(alone(from_disk));
  EXPECT_FALSE(alone(in_host));
  EXPECT_FALSE(alone(held)) << "it has a gpu to go to";
}

TEST(Rollout, IsTriedWhereALoadIsAmongSeveralCandidates) {
  Situation s = two_jobs(10.0, 10.0);
  s.gpu();
  EXPECT_TRUE(worth_a_rollout(s.board, run(0, 0, 1), {run(0, 0, 1), load(1, 0)}));
  EXPECT_TRUE(worth_a_rollout(s.board, load(1, 0), {load(1, 0), run(0, 0, 1)}));
  EXPECT_FALSE(worth_a_rollout(s.board, run(0, 0, 1), {run(0, 0, 1), run(0, 0, 2)}));
  EXPECT_FALSE(worth_a_rollout(s.board, load(1, 0), {load(1, 0)})) << "there is nothing to compare";
  EXPECT_FALSE(worth_a_rollout(s.board, {}, {load(1, 0), load(0, 0)})) << "the rule waits on purpose";
}

TEST(Rollout, IsNotTriedForOverdueJobsNorWhereItIsOff) {
  Situation s = two_jobs(10.0, 10.0);
  s.gpu();
  Choice overdue = load(1, 0);
  overdue.index = kNever;
  EXPECT_FALSE(worth_a_rollout(s.board, overdue, {load(1, 0), run(0, 0, 1)}));
  s.board.tuning.rollout = Part::off;
  EXPECT_FALSE(worth_a_rollout(s.board, load(1, 0), {load(1, 0), run(0, 0, 1)}));
}

TEST(Rollout, IsNotTriedWithMoreThan48JobsWaiting) {
  Situation s = two_jobs(10.0, 10.0);
  s.gpu();
  for (int id = 3; id <= 48; ++id) s.waits(id, 0);
  EXPECT_TRUE(worth_a_rollout(s.board, load(1, 0), {load(1, 0), run(0, 0, 1)}));
  s.waits(49, 0);
  EXPECT_FALSE(worth_a_rollout(s.board, load(1, 0), {load(1, 0), run(0, 0, 1)}));
}

TEST(Rollout, LooksAtFiveCandidates) {
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  std::vector<Choice> others;
  for (int id = 1; id <= 6; ++id) {
    s.waits(id, a, {.seconds = id == 6 ? 1.0 : 80.0});
    others.push_back(run(g, a, id));
  }
  EXPECT_EQ(best_by_rollout(s.board, others[0], others).job, JobId{1});
  std::swap(others[4], others[5]);
  EXPECT_EQ(best_by_rollout(s.board, others[0], others).job, JobId{6});
}

TEST(Rollout, CountsLoadsOnEqualGpusAsOneCandidate) {
  Situation s;
  const int a = s.model();
  const int b = s.model();
  for (int id = 1; id <= 5; ++id) s.gpu();
  s.gpu({.type = 1});
  s.holds(0, b);
  s.waits(1, a, {.by_type = {80.0, 1.0}});
  std::vector<Choice> others;
  for (int g = 0; g < 6; ++g) others.push_back(load(g, a, 1));
  EXPECT_EQ(best_by_rollout(s.board, others[1], others).gpu, 5) << "the sixth, but the third that differs";
}

TEST(Rollout, DoesNotWeighWhatMayNotBeWeighedToTheEnd) {
  // 64 gpus and 40 models: the plays would take more work than is allowed, so the base choice stands.
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  s.holds(g, a);
  s.waits(1, a, {.seconds = 80.0});
  s.waits(2, a, {.seconds = 1.0});
  EXPECT_EQ(best_by_rollout(s.board, run(g, a, 1), {run(g, a, 2)}).job, JobId{2});
  const int filler = s.model();
  for (int other = 1; other < kMaxBoardGpus; ++other) s.runs(s.gpu(), filler, 1e6);
  for (int model = 0; model < 40; ++model) {
    const int unlucky = s.model({.gigabytes = 90.0});
    s.waits(100 + model, unlucky, {.seconds = 5.0});
  }
  EXPECT_EQ(best_by_rollout(s.board, run(g, a, 1), {run(g, a, 2)}).job, JobId{1});
}

TEST(Rollout, WeighsAnInteractiveJobsWaitMoreThanThatOfOthers) {
  // Loading for the interactive job first it ends at 20 s, the other one at 25; the other one first: at 25 and 5.
  Situation s;
  const int g = s.gpu();
  const int a = s.model();
  const int b = s.model();
  s.board.load_beside_run = false;
  s.holds(g, a);
  s.waits(1, a, {.seconds = 5.0});
  s.waits(2, b, {.priority = Priority::interactive});
  EXPECT_EQ(best_by_rollout(s.board, load(g, b, 2), {run(g, a, 1)}).kind, Kind::load);
  s.board.model(b).window[0].priority = Priority::normal;
  EXPECT_EQ(best_by_rollout(s.board, load(g, b, 2), {run(g, a, 1)}).kind, Kind::run) << "among equals it pays";
}

}  // namespace
}  // namespace pixelfleet::scheduler
