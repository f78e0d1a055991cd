#include "simulator/metrics.h"

#include <gtest/gtest.h>

namespace pixelfleet::simulator {
namespace {

using Kind = Operation::Kind;

JobRecord job(double arrival_s, double start_s, double end_s, int user = 0, double ideal_run_s = 1.0) {
  JobRecord record;
  record.arrival_s = arrival_s;
  record.start_s = start_s;
  record.end_s = end_s;
  record.user = user;
  record.ideal_run_s = ideal_run_s;
  return record;
}

Operation operation(Kind kind, int gpu, double start_s, double end_s) {
  return {.kind = kind, .gpu = gpu, .model = 0, .job = -1, .start_s = start_s, .end_s = end_s};
}

std::vector<double> one_to(int count) {
  std::vector<double> values;
  for (int i = 1; i <= count; ++i) values.push_back(i);
  return values;
}

TEST(Percentile, IsTheNearestRank) {
  EXPECT_EQ(percentile(one_to(20), 0.95), 19.0);
  EXPECT_EQ(percentile(one_to(20), 0.99), 20.0);
  EXPECT_EQ(percentile(one_to(20), 0.50), 10.0);
  EXPECT_EQ(percentile(one_to(5), 0.50), 3.0);
  EXPECT_EQ(percentile(one_to(1), 0.50), 1.0);
  EXPECT_EQ(percentile(one_to(1), 0.0), 1.0);
}

TEST(Percentile, OfARoundProductDoesNotSlipToTheNextRank) {
  for (int hundreds = 1; hundreds <= 90; ++hundreds) {
    EXPECT_EQ(percentile(one_to(100 * hundreds), 0.99), 99.0 * hundreds) << hundreds;
    EXPECT_EQ(percentile(one_to(100 * hundreds), 0.95), 95.0 * hundreds) << hundreds;
  }
}

TEST(Metrics, WaitsAreOfAllJobs) {
  RunRecord record;
  record.jobs = {job(10, 40, 50), job(0, 0, 5), job(20, 30, 35)};  // waits 30, 0, 10
  const Metrics metrics = metrics_of(record, {}, 1);
  EXPECT_EQ(metrics.jobs, 3);
  EXPECT_DOUBLE_EQ(metrics.mean_wait_s, 40.0 / 3.0);
  EXPECT_EQ(metrics.p50_wait_s, 10.0);
  EXPECT_EQ(metrics.p95_wait_s, 30.0);
  EXPECT_EQ(metrics.max_wait_s, 30.0);
  EXPECT_EQ(sorted_waits(record), (std::vector<double>{0.0, 10.0, 30.0}));
}

TEST(Metrics, LoadsBehindARunAreLoadsButNotForegroundOnes) {
  RunRecord record;
  record.jobs = {job(0, 4, 10)};
  record.operations = {operation(Kind::load, 0, 0, 4), operation(Kind::run, 0, 4, 10),
                       operation(Kind::load_behind, 0, 5, 9), operation(Kind::load, 1, 2, 4.5)};
  const Metrics metrics = metrics_of(record, {}, 2);
  EXPECT_EQ(metrics.loads, 3);
  EXPECT_EQ(metrics.foreground_loads, 2);
  EXPECT_DOUBLE_EQ(metrics.foreground_load_s, 6.5);
}

TEST(Metrics, SetsMakespanAndMeanFlowAgainstTheirBounds) {
  RunRecord record;
  record.jobs = {job(0, 2, 10), job(5, 10, 25)};  // flows 10 and 20
  const Bounds bounds{.makespan_s = 20.0, .mean_flow_s = 10.0, .load_floor = 1, .belady_loads = 1};
  const Metrics metrics = metrics_of(record, bounds, 1);
  EXPECT_DOUBLE_EQ(metrics.makespan_over_bound, 1.25);
  EXPECT_DOUBLE_EQ(metrics.flow_over_bound, 1.5);
}

// One gpu, 20 s: loads 0-4, runs 4-10, loads behind 8-12 (2 s of it alone), idle 12-20.
// A job waits 14-15 and again 15-17; nothing waits in 12-14 and 17-20.
TEST(Metrics, SplitsGpuTimeWithoutCountingAnySecondTwice) {
  RunRecord record;
  record.jobs = {job(0, 4, 10), job(14, 15, 16), job(15, 17, 20)};
  record.operations = {operation(Kind::load, 0, 0, 4), operation(Kind::run, 0, 4, 10),
                       operation(Kind::load_behind, 0, 8, 12)};
  const Utilisation part = metrics_of(record, {}, 1).utilisation;
  EXPECT_DOUBLE_EQ(part.run, 6.0 / 20.0);
  EXPECT_DOUBLE_EQ(part.load, 6.0 / 20.0);
  EXPECT_DOUBLE_EQ(part.idle_with_queue, 3.0 / 20.0);
  EXPECT_DOUBLE_EQ(part.idle_empty, 5.0 / 20.0);
}

TEST(Metrics, CountsEveryGpuAndEndsWithTheLastJob) {
  RunRecord record;
  record.jobs = {job(0, 0, 10)};
  // A load that nobody needs outlasts the last job: only its part before that counts.
  record.operations = {operation(Kind::run, 0, 0, 10), operation(Kind::load, 1, 8, 14)};
  const Utilisation part = metrics_of(record, {}, 2).utilisation;
  EXPECT_DOUBLE_EQ(part.run, 0.5);
  EXPECT_DOUBLE_EQ(part.load, 0.1);
  EXPECT_DOUBLE_EQ(part.idle_empty, 0.4);
}

// User 1: slowdowns 1 and 3, mean 2; user 2: 4. Jain = (2 + 4)^2 / (2 * (4 + 16)) = 0.9.
TEST(Metrics, FairnessComparesUsersNotJobs) {
  RunRecord record;
  record.jobs = {job(0, 0, 1, 1, 1.0), job(0, 1, 6, 1, 2.0), job(0, 6, 12, 2, 3.0)};
  const Fairness fairness = metrics_of(record, {}, 1).fairness;
  EXPECT_DOUBLE_EQ(fairness.jain, 0.9);
  EXPECT_EQ(fairness.worst_user, 2);
  EXPECT_DOUBLE_EQ(fairness.worst_slowdown, 4.0);
}

// Of six jobs three are user 1's, who counts as heavy; 2 and 3 wait 4, 6 and 8 s.
TEST(Metrics, TheLightUsersAreThoseWhoSendLeastUpToHalfOfTheJobs) {
  RunRecord record;
  record.jobs = {job(0, 90, 91, 1), job(0, 91, 92, 1), job(0, 92, 93, 1),
                 job(0, 4, 5, 2),   job(0, 6, 7, 3),   job(0, 8, 9, 3)};
  EXPECT_DOUBLE_EQ(metrics_of(record, {}, 1).promises.light_wait_s, 6.0);
  record.jobs.pop_back();
  EXPECT_DOUBLE_EQ(metrics_of(record, {}, 1).promises.light_wait_s, 5.0) << "2 of 5";
}

// Eleven jobs: the two longest by themselves, of 20 and 30 s, take 10 and 14 s on several gpus.
TEST(Metrics, LargeJobsAreTheTenthThatIsLongestByItself) {
  RunRecord record;
  for (int i = 0; i < 9; ++i) record.jobs.push_back(job(0, 0, 100, 0, 1.0));
  record.jobs.push_back(job(0, 5, 15, 0, 20.0));
  record.jobs.push_back(job(0, 5, 19, 0, 30.0));
  EXPECT_DOUBLE_EQ(metrics_of(record, {}, 1).promises.large_job_s, 12.0);
}

TEST(Metrics, AnEmptyRecordIsNoDivisionByZero) {
  const Metrics metrics = metrics_of({}, {}, 4);
  EXPECT_EQ(metrics.jobs, 0);
  EXPECT_EQ(metrics.mean_wait_s, 0.0);
  EXPECT_EQ(metrics.makespan_over_bound, 0.0);
  EXPECT_EQ(metrics.utilisation.run, 0.0);
  EXPECT_EQ(metrics.fairness.jain, 1.0);
  EXPECT_EQ(metrics.promises.light_wait_s, 0.0);
  EXPECT_EQ(metrics.promises.large_job_s, 0.0);
}

}  // namespace
}  // namespace pixelfleet::simulator
