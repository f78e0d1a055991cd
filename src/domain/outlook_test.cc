#include "domain/outlook.h"

#include <gtest/gtest.h>

#include "base/json_full.h"
#include "domain/live.h"

namespace pixelfleet {
namespace {

using Kind = WaitingReason::Kind;

WaitingReason warm() {
  WaitingReason reason;
  reason.kind = Kind::waits_for_warm_gpu;
  reason.gpu = {"GPU-2", 2};
  reason.model = "sdxl";
  reason.ready_in_s = 3.2;
  reason.load_s = 19.0;
  reason.pushes_out = {"flux"};
  reason.jobs_waiting = 3;
  return reason;
}

TEST(WaitingReason, SaysWhatWaitingAndLoadingElsewhereCost) {
  EXPECT_EQ(to_english(warm()),
            "waits for gpu 2 which holds the model, free in 4 s; loading elsewhere takes 19 s and would push out flux "
            "which 3 jobs wait for");
}

TEST(WaitingReason, CountsOneJobAsOne) {
  WaitingReason reason = warm();
  reason.jobs_waiting = 1;
  EXPECT_TRUE(to_english(reason).ends_with("push out flux which 1 job waits for"));
  reason = {};
  reason.jobs_ahead = 1;
  EXPECT_EQ(to_english(reason), "1 job is in front of it");
}

TEST(WaitingReason, NamesTheOwnersShareOfTheJobsInFront) {
  WaitingReason reason;
  reason.jobs_ahead = 12;
  reason.own_jobs_ahead = 3;
  EXPECT_EQ(to_english(reason), "12 jobs are in front of it, 3 of these of the same owner");
}

TEST(WaitingReason, SaysWhatIsTooLarge) {
  WaitingReason reason;
  reason.kind = Kind::no_gpu_fits;
  reason.needed_bytes = std::int64_t{14} << 30;
  reason.largest_bytes = std::int64_t{8} << 30;
  EXPECT_EQ(to_english(reason), "needs 14.0 GiB of gpu memory; the largest gpu in use that it may use has 8.0 GiB");
}

TEST(WaitingReason, SpeaksOfLongTimesInMinutesAndHours) {
  WaitingReason reason = warm();
  reason.load_s.reset();
  reason.ready_in_s = 200.0;
  EXPECT_TRUE(to_english(reason).ends_with("free in 3 min"));
  reason.ready_in_s = 9000.0;
  EXPECT_TRUE(to_english(reason).ends_with("free in 2.5 h"));
}

TEST(WaitingReason, AsJsonHoldsOnlyWhatBelongsToItsKind) {
  const Json expected = {{"kind", "waits_for_warm_gpu"},
                         {"text", to_english(warm())},
                         {"gpu", "GPU-2"},
                         {"gpu_index", 2},
                         {"model", "sdxl"},
                         {"ready_in_s", 3.2},
                         {"load_s", 19.0},
                         {"pushes_out", {"flux"}},
                         {"jobs_waiting", 3}};
  EXPECT_EQ(to_json(warm()), expected);
}

TEST(StartInterval, WithoutALatestIsOpen) {
  EXPECT_EQ(to_json(StartInterval{from_unix_ms(1000), std::nullopt}),
            (Json{{"earliest_ms", 1000}, {"latest_ms", nullptr}}));
}

TEST(OutlookOf, JobsBeyondThoseThatWereLookedAtAreBehindThem) {
  LiveState live;
  Job job;
  job.id = JobId{9};
  EXPECT_EQ(outlook_of(job, live), std::nullopt);
  auto outlooks = std::make_shared<Outlooks>();
  outlooks->jobs[JobId{1}] = {};
  outlooks->jobs[JobId{2}] = {};
  live.outlooks = outlooks;
  EXPECT_EQ(outlook_of(job, live), std::nullopt);  // it came after the look
  outlooks->complete = false;
  EXPECT_EQ(outlook_of(job, live)->reason.jobs_ahead, 2);
}

TEST(OutlookOf, AHeldJobHasItsReasonAtOnce) {
  Job job;
  job.state = JobState::held;
  job.held_reason = HeldReason::user;
  EXPECT_EQ(to_english(outlook_of(job, {})->reason), "somebody holds it; release it to let it start");
}

}  // namespace
}  // namespace pixelfleet
