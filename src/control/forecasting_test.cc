#include "control/forecasting.h"

#include <gtest/gtest.h>

#include "control/forecast_thread.h"
#include "control/mailbox.h"

namespace pixelfleet::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Requests final : public Forecaster {
 public:
  void look(ForecastRequest request) override { taken.push_back(std::move(request)); }
  std::vector<ForecastRequest> taken;
};

class ForecastingTest : public ::testing::Test {
 protected:
  void happen(Duration after) {
    now_ += after;
    forecasting_.something_happened();
    forecasting_.look_if_due(scheduler_, now_);
  }
  void answer() { forecasting_.take(std::make_shared<const Outlooks>()); }

  Requests requests_;
  Forecasting forecasting_{&requests_};
  scheduler::Scheduler scheduler_;
  Instant now_{seconds{1000}};
};

TEST_F(ForecastingTest, LooksAtMostOnceASecond) {
  forecasting_.set_waiting_jobs(1);
  happen(milliseconds{0});
  answer();
  for (int i = 0; i < 9; ++i) happen(milliseconds{100});
  EXPECT_EQ(requests_.taken.size(), 1u);
  EXPECT_EQ(forecasting_.due(), now_ + milliseconds{100});
  happen(milliseconds{100});
  EXPECT_EQ(requests_.taken.size(), 2u);
}

TEST_F(ForecastingTest, LooksAgainOnlyAfterTheAnswer) {
  forecasting_.set_waiting_jobs(1);
  happen(milliseconds{0});
  happen(seconds{10});
  EXPECT_EQ(requests_.taken.size(), 1u);
  EXPECT_EQ(forecasting_.due(), std::nullopt);
  answer();
  happen(milliseconds{1});
  EXPECT_EQ(requests_.taken.size(), 2u);
}

TEST_F(ForecastingTest, LooksLessOftenWhileOnlyTimePasses) {
  forecasting_.set_waiting_jobs(1);
  happen(milliseconds{0});
  answer();
  EXPECT_EQ(forecasting_.due(), now_ + seconds{5});
}

TEST_F(ForecastingTest, DoesNotLookWhileNothingWaits) {
  happen(seconds{1});
  EXPECT_TRUE(requests_.taken.empty());
  EXPECT_EQ(forecasting_.due(), std::nullopt);
}

TEST_F(ForecastingTest, TellsWhatHasStartedSinceTheLastLook) {
  forecasting_.set_waiting_jobs(1);
  forecasting_.job_started(JobId{3}, now_);
  happen(milliseconds{0});
  answer();
  happen(seconds{1});
  ASSERT_EQ(requests_.taken.size(), 2u);
  ASSERT_EQ(requests_.taken[0].started.size(), 1u);
  EXPECT_EQ(requests_.taken[0].started[0].first, JobId{3});
  EXPECT_TRUE(requests_.taken[1].started.empty());
}

// One gpu, one model, five jobs: the first one runs.
scheduler::Scheduler busy_scheduler(Instant now) {
  scheduler::Scheduler scheduler;
  scheduler::Policy policy;
  policy.multi_gpu = true;
  (void)scheduler.step(scheduler::PolicyChanged{policy}, now);
  (void)scheduler.step(scheduler::GpuArrived{{"gpu-0", 0, "", GpuKind::virtual_gpu, std::int64_t{24} << 30}}, now);
  scheduler::ModelFacts model;
  model.key = "a";
  model.memory_bytes = std::int64_t{8} << 30;
  (void)scheduler.step(scheduler::ModelKnown{model}, now);
  for (int id = 1; id <= 5; ++id) {
    scheduler::JobFacts job;
    job.id = JobId{id};
    job.model = "a";
    job.missing = {0};
    (void)scheduler.step(scheduler::JobSubmitted{job}, now);
  }
  (void)scheduler.step(scheduler::WorkerReady{WorkerId{1}}, now);
  return scheduler;
}

TEST(LookAhead, GivesEachWaitingJobAReasonAndAnInterval) {
  const Instant now{seconds{1000}};
  scheduler::StartForecast forecast(1);
  const Outlooks outlooks = look_ahead(forecast, {busy_scheduler(now), now, {}, true});
  EXPECT_EQ(outlooks.soonest_first, (std::vector<JobId>{JobId{2}, JobId{3}, JobId{4}, JobId{5}}));
  for (const auto& [job, outlook] : outlooks.jobs) {
    ASSERT_TRUE(outlook.start.has_value()) << job.value;
    EXPECT_LT(outlook.start->earliest, *outlook.start->latest) << job.value;
  }
  EXPECT_EQ(outlooks.jobs.at(JobId{2}).reason.kind, WaitingReason::Kind::runs_next);
}

TEST(ForecastThread, AnswersThroughTheInbox) {
  const Instant now{seconds{1000}};
  Mailbox mailbox;
  ForecastThread thread(mailbox, 1);
  thread.look({busy_scheduler(now), now, {}, true});
  const std::vector<Message> messages = mailbox.drain(std::nullopt);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<ForecastMade>(messages[0]).outlooks->jobs.size(), 4u);
}

TEST(ForecastThread, EndsWithoutEverHavingLooked) {
  Mailbox mailbox;
  const ForecastThread thread(mailbox, 1);
}

}  // namespace
}  // namespace pixelfleet::control
