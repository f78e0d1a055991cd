#include "simulator/forecast.h"

#include <gtest/gtest.h>

#include "simulator/testing_trace.h"

namespace pixelfleet::simulator {
namespace {

using std::chrono::seconds;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

// One gpu; a run takes 10 s, a load 5 s.
class FinishTest : public ::testing::Test {
 protected:
  FinishTest() {
    scheduler::Policy policy;
    policy.multi_gpu = true;
    give(scheduler::PolicyChanged{policy});
    give(scheduler::GpuArrived{{"gpu-0", 0, "", GpuKind::virtual_gpu, 24 * kGiB}});
    scheduler::ModelFacts model;
    model.key = "a";
    model.memory_bytes = 8 * kGiB;
    scheduler::CostPrior prior;
    prior.run = {.overhead_seconds = 10.0, .step_seconds = 1e-6, .pixel_exponent = 1.0};
    prior.load = {.start_seconds = 5.0};
    model.priors = {prior};
    give(scheduler::ModelKnown{model});
  }
  void give(const scheduler::Event& event) { (void)scheduler_.step(event, now_); }
  static std::vector<scheduler::JobFacts> jobs(int first, int count) {
    std::vector<scheduler::JobFacts> jobs;
    for (int i = 0; i < count; ++i) {
      scheduler::JobFacts job;
      job.id = JobId{first + i};
      job.model = "a";
      job.missing = {0};
      jobs.push_back(job);
    }
    return jobs;
  }
  double seconds_until(Instant at) const { return std::chrono::duration<double>(at - now_).count(); }

  scheduler::Scheduler scheduler_;
  const Instant now_{seconds{1'000'000}};
};

TEST_F(FinishTest, ExtraJobsEndAfterWhatWaitsAlready) {
  for (const scheduler::JobFacts& job : jobs(1, 2)) give(scheduler::JobSubmitted{job});
  const auto finish = predict_finish(scheduler_, now_, jobs(100, 10), {.plays = 20});
  ASSERT_TRUE(finish.has_value());
  EXPECT_NEAR(seconds_until(finish->expected), 5.0 + 120.0, 25.0);  // others may come, and luck varies
  EXPECT_LE(finish->earliest, finish->expected);
  EXPECT_LT(finish->expected, finish->latest);
}

TEST_F(FinishTest, WithoutExtraJobsItIsNow) { EXPECT_EQ(predict_finish(scheduler_, now_, {})->latest, now_); }

TEST_F(FinishTest, AJobThatIsHeldHasNoEndInSight) {
  auto extra = jobs(100, 1);
  extra[0].held = HeldReason::user;
  EXPECT_EQ(predict_finish(scheduler_, now_, extra), std::nullopt);
}

TEST_F(FinishTest, AJobThatFitsNowhereHasNoEndInSight) {
  scheduler::ModelFacts large;
  large.key = "large";
  large.memory_bytes = 80 * kGiB;
  give(scheduler::ModelKnown{large});
  auto extra = jobs(100, 1);
  extra[0].model = "large";
  EXPECT_EQ(predict_finish(scheduler_, now_, extra), std::nullopt);
}

TEST(PredictFinish, TwiceTheGpusTakeAboutHalfTheTime) {
  Trace trace = small_trace({"4090-24"});
  for (int i = 0; i < 60; ++i) add_job(trace, 0.0, 1, 4);
  RunOptions options;
  const double one = predict_finish_s(trace, options).value();
  trace.machine.gpus.push_back("4090-24");
  EXPECT_NEAR(predict_finish_s(trace, options).value() / one, 0.5, 0.05);
}

}  // namespace
}  // namespace pixelfleet::simulator
