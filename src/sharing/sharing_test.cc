// Each rule by itself, worked out by hand.
#include <gmock/gmock.h>

#include "sharing/test_rig.h"

namespace pixelfleet::sharing {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

GpuSample with_others(std::int64_t bytes = 6 * kGiB) {
  GpuSample sample = calm("a");
  return add_process(sample, 900, bytes, GpuProcess::Kind::compute, "train");
}

GpuSample at_celsius(double celsius) {
  GpuSample sample = calm("a");
  sample.temperature_celsius = celsius;
  return sample;
}

GpuSample at_load(double ratio) {
  GpuSample sample = calm("a");
  sample.utilization_ratio = ratio;
  return sample;
}

// --- coming and going ---

TEST(Sharing, APoliteGpuOpensWithItsFirstCalmSample) {
  Rig rig(fleet(), {});
  rig.step(GpuArrived{make_gpu("a")});
  EXPECT_EQ(rig.why(), "not_seen_yet");
  EXPECT_THAT(rig.opens, IsEmpty());
  rig.sampled(calm("a"));
  EXPECT_THAT(rig.opens, ElementsAre("a"));
}

TEST(Sharing, AGpuThatNobodyMeasuresOpensAfterThreeSeconds) {
  Rig rig(fleet(), {});
  rig.step(GpuArrived{make_gpu("a")});
  rig.passes(2.9);
  EXPECT_THAT(rig.opens, IsEmpty());
  rig.passes(0.2);
  EXPECT_THAT(rig.opens, ElementsAre("a"));
}

TEST(Sharing, NothingStartsOnAGpuWhereOthersWereFirst) {
  Rig rig(fleet(), {});
  rig.step(GpuArrived{make_gpu("a")});
  rig.sampled(with_others());
  EXPECT_THAT(rig.opens, IsEmpty());
  EXPECT_EQ(rig.why(), "others_compute");
  EXPECT_EQ(rig.verdict().state, Verdict::State::closed);
}

TEST(Sharing, WhenOthersComeTheChunkIsFinishedAndTheMemoryIsTheirs) {
  Rig rig;
  rig.start_worker(1, 100);
  rig.step(ChunkStarted{WorkerId{1}, JobId{7}});
  GpuSample sample = with_others();
  rig.stays(add_process(sample, 100, 11 * kGiB), 1);
  ASSERT_EQ(rig.closes.size(), 1u);
  EXPECT_EQ(rig.closes[0].running, Running::finish);
  EXPECT_EQ(rig.closes[0].workers, Workers::end);
  EXPECT_EQ(rig.reason<OthersCompute>().pid, 900);
  EXPECT_EQ(rig.reason<OthersCompute>().name, "train");
  EXPECT_EQ(rig.reason<OthersCompute>().bytes, 6 * kGiB);
  EXPECT_EQ(rig.verdict().state, Verdict::State::leaving);
  rig.step(ChunkEnded{WorkerId{1}});
  EXPECT_EQ(rig.verdict().state, Verdict::State::leaving);
  rig.step(WorkerEnded{WorkerId{1}});
  EXPECT_EQ(rig.verdict().state, Verdict::State::closed);
}

TEST(Sharing, IdleOnlyGivesTheChunkBackAtOnce) {
  Rig rig;
  rig.settings.gpus["a"].share = Share::idle_only;
  rig.set();
  rig.stays(with_others(), 1);
  ASSERT_EQ(rig.closes.size(), 1u);
  EXPECT_EQ(rig.closes[0].running, Running::abandon);
}

TEST(Sharing, AlwaysDoesNotMindOthers) {
  Rig rig;
  rig.settings.gpus["a"].share = Share::always;
  rig.set();
  rig.stays(with_others(20 * kGiB), 100);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, LessThanAGibibyteAndGraphicsDoNotCount) {
  Rig rig;
  GpuSample sample = with_others(kGiB - kMiB);
  rig.stays(add_process(sample, 901, 3 * kGiB, GpuProcess::Kind::graphics), 30);
  EXPECT_TRUE(rig.is_open());
  rig.stays(with_others(kGiB), 1);
  EXPECT_FALSE(rig.is_open());
}

TEST(Sharing, SeveralSmallOnesCountTogether) {
  Rig rig;
  GpuSample sample = with_others(600 * kMiB);
  rig.stays(add_process(sample, 901, 500 * kMiB), 1);
  EXPECT_EQ(rig.reason<OthersCompute>().bytes, 1100 * kMiB);
  EXPECT_EQ(rig.reason<OthersCompute>().pid, 900) << "the largest";
}

TEST(Sharing, OthersAreThereUntilTheyUseLessThanThreeQuartersOfTheLimit) {
  Rig rig;
  rig.stays(with_others(kGiB), 1);
  rig.stays(with_others(800 * kMiB), 5);
  EXPECT_EQ(rig.why(), "others_compute");
  rig.stays(with_others(700 * kMiB), 1);
  EXPECT_EQ(rig.why(), "others_left");
}

TEST(Sharing, ComesBackAfterAQuietMinute) {
  Rig rig;
  rig.stays(with_others(), 10);
  rig.opens.clear();
  rig.stays(calm("a"), 60);
  EXPECT_THAT(rig.opens, IsEmpty());
  EXPECT_EQ(rig.why(), "others_left");
  EXPECT_EQ(rig.seconds_until(rig.reason<OthersLeft>().until), 1);
  rig.stays(calm("a"), 1);
  EXPECT_THAT(rig.opens, ElementsAre("a"));
}

TEST(Sharing, ComesBackOnTimeWithoutASample) {
  Rig rig;
  rig.stays(with_others(), 10);
  rig.stays(calm("a"), 1);
  rig.opens.clear();
  rig.passes(60.0);
  EXPECT_THAT(rig.opens, ElementsAre("a"));
}

TEST(Sharing, TheQuietTimeBeginsAnewWhenTheyComeBackDuringIt) {
  Rig rig;
  rig.stays(with_others(), 1);
  rig.stays(calm("a"), 50);
  rig.stays(with_others(), 1);
  rig.stays(calm("a"), 60);
  EXPECT_EQ(rig.why(), "others_left");
  rig.stays(calm("a"), 1);
  EXPECT_TRUE(rig.is_open());
}

TEST(Sharing, TheQuietTimeGrowsWhileTheyKeepComingBackAndShrinksAfterAnHour) {
  Rig rig;
  const auto quiet_seconds = [&] {
    rig.stays(with_others(), 1);
    rig.stays(calm("a"), 1);
    const double left = rig.seconds_until(rig.reason<OthersLeft>().until);
    rig.stays(calm("a"), static_cast<int>(left) + 1);
    EXPECT_TRUE(rig.is_open());
    return left;
  };
  EXPECT_EQ(quiet_seconds(), 60);
  EXPECT_EQ(quiet_seconds(), 90);
  EXPECT_EQ(quiet_seconds(), 135);
  for (int i = 0; i < 10; ++i) quiet_seconds();
  EXPECT_EQ(quiet_seconds(), 600) << "no longer than ten minutes";
  rig.stays(calm("a"), 3600);
  EXPECT_EQ(quiet_seconds(), 60);
}

// --- whose memory it is ---

TEST(Sharing, OurWorkersNeverCount) {
  Rig rig;
  rig.start_worker(1, 100);
  GpuSample sample = calm("a");
  rig.stays(add_process(sample, 100, 11 * kGiB), 100);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, AWorkerThatJustEndedIsStillOursInASampleTakenBefore) {
  Rig rig;
  rig.start_worker(1, 100);
  rig.step(WorkerEnded{WorkerId{1}});
  GpuSample sample = calm("a");
  rig.stays(add_process(sample, 100, 11 * kGiB), 2);
  EXPECT_THAT(rig.closes, IsEmpty());
  rig.stays(sample, 3);
  EXPECT_EQ(rig.closes.size(), 1u) << "after four seconds it is somebody else's";
}

TEST(Sharing, AWorkerWhoseProcessIsNotKnownYetIsNoStranger) {
  Rig rig;
  rig.step(WorkerStarted{WorkerId{1}, "a", {7 * kGiB, 3 * kGiB, kGiB}});
  GpuSample sample = calm("a");
  rig.stays(add_process(sample, 100, 9 * kGiB), 10);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, InAContainerWithOtherProcessNumbersTheFiguresDecide) {
  Rig rig;
  rig.start_worker(1, 12);
  GpuSample ours = calm("a");
  rig.stays(add_process(ours, 40'000, 8 * kGiB), 20);
  EXPECT_THAT(rig.closes, IsEmpty()) << "12 is 40000 outside";
  GpuSample both = ours;
  rig.stays(add_process(both, 40'100, 6 * kGiB), 3);
  ASSERT_EQ(rig.closes.size(), 1u) << "nothing starts while that is suspected";
  EXPECT_EQ(rig.closes[0].workers, Workers::keep) << "figures must agree for three seconds before ours leave";
  rig.stays(both, 1);
  ASSERT_EQ(rig.closes.size(), 2u);
  EXPECT_EQ(rig.closes[1].workers, Workers::end);
  EXPECT_EQ(rig.why(), "others_compute");
  EXPECT_FALSE(rig.reason<OthersCompute>().pid);
  // 14 GiB less our 8 and a tenth for what they are off by.
  EXPECT_EQ(rig.reason<OthersCompute>().bytes, 6 * kGiB - 8 * kGiB / 10);
}

TEST(Sharing, ASuspicionThatTheNextFiguresDoNotShareIsOverAtOnce) {
  Rig rig;
  rig.stays(calm("a"), 2);
  GpuSample sample = calm("a");
  *sample.memory_used_bytes = 6 * kGiB;
  *sample.memory_free_bytes = 18 * kGiB;
  rig.stays(sample, 1);
  ASSERT_EQ(rig.closes.size(), 1u);
  EXPECT_EQ(rig.closes[0].workers, Workers::keep);
  rig.opens.clear();
  rig.stays(calm("a"), 1);
  EXPECT_THAT(rig.opens, ElementsAre("a")) << "without a quiet time: nobody was there";
}

TEST(Sharing, ASuspicionIsForgottenWhenTheDriverFallsSilent) {
  Rig rig;
  rig.stays(calm("a"), 2);
  GpuSample sample = calm("a");
  *sample.memory_used_bytes = 6 * kGiB;
  *sample.memory_free_bytes = 18 * kGiB;
  rig.stays(sample, 1);
  rig.opens.clear();
  rig.now += std::chrono::seconds{61};
  rig.step(TimerFired{});
  EXPECT_THAT(rig.opens, ElementsAre("a"));
}

TEST(Sharing, InAContainerThatHidesProcessesTheUsedMemoryDecides) {
  Rig rig;
  GpuSample sample = calm("a");
  *sample.memory_used_bytes = 6 * kGiB;
  *sample.memory_free_bytes = 18 * kGiB;
  rig.stays(sample, 4);
  EXPECT_EQ(rig.reason<OthersCompute>().bytes, 6 * kGiB - 512 * kMiB);
}

TEST(Sharing, WhileAWorkerLoadsOrRunsItsPeakIsAllowedFor) {
  Rig rig;
  rig.start_worker(1, 12);
  GpuSample sample = calm("a");
  add_process(sample, 40'000, 8 * kGiB);
  rig.stays(sample, 10);
  rig.step(ChunkStarted{WorkerId{1}, JobId{7}});
  GpuSample running = calm("a");
  rig.stays(add_process(running, 40'000, 11 * kGiB), 60);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, MemoryThatGoesWithOurWorkersWasOursAndIsAllowedForAfterwards) {
  Rig rig;
  rig.start_worker(1, std::nullopt);
  GpuSample sample = calm("a");
  sample.detail.processes.reset();
  *sample.memory_used_bytes = 11 * kGiB;  // of which 8 are believed
  *sample.memory_free_bytes = 13 * kGiB;
  rig.stays(sample, 10);
  ASSERT_EQ(rig.closes.size(), 2u) << "suspected, then believed";
  rig.step(WorkerEnded{WorkerId{1}});
  GpuSample empty = calm("a");
  empty.detail.processes.reset();
  rig.opens.clear();
  rig.stays(empty, 6);
  EXPECT_THAT(rig.opens, ElementsAre("a")) << "at once, without a quiet time";
  rig.start_worker(2, std::nullopt);
  rig.stays(sample, 100);
  EXPECT_EQ(rig.closes.size(), 2u);
}

TEST(Sharing, MemoryThatStaysWhenOurWorkersGoIsTheirs) {
  Rig rig;
  rig.start_worker(1, std::nullopt);
  GpuSample sample = calm("a");
  sample.detail.processes.reset();
  *sample.memory_used_bytes = 14 * kGiB;
  *sample.memory_free_bytes = 10 * kGiB;
  rig.stays(sample, 10);
  rig.step(WorkerEnded{WorkerId{1}});
  *sample.memory_used_bytes = 6 * kGiB;
  *sample.memory_free_bytes = 18 * kGiB;
  rig.stays(sample, 30);
  EXPECT_EQ(rig.why(), "others_compute");
}

TEST(Sharing, WhatIsUnknownClosesNothing) {
  Rig rig;
  GpuSample nothing;
  nothing.uuid = "a";
  rig.stays(nothing, 100);
  GpuSample sizeless = calm("a");
  sizeless.detail.processes->push_back({900, GpuProcess::Kind::compute, std::nullopt});
  rig.stays(sizeless, 100);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, GarbageClosesNothing) {
  Rig rig;
  GpuSample garbage = calm("a");
  garbage.memory_used_bytes = -1;
  garbage.memory_free_bytes = 5 * kTotal;
  garbage.utilization_ratio = 40;
  garbage.temperature_celsius = 255;
  rig.stays(garbage, 100);
  garbage = calm("a");
  garbage.memory_used_bytes = 20 * kGiB;  // and all of it free
  garbage.temperature_celsius = -40;
  rig.stays(garbage, 100);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, OthersStayWhatTheyWereWhileNothingIsTold) {
  Rig rig;
  rig.stays(with_others(), 5);
  GpuSample nothing;
  nothing.uuid = "a";
  rig.stays(nothing, 1000);
  EXPECT_EQ(rig.why(), "others_compute");
}

// --- load ---

TEST(Sharing, LoadThatIsNotOursClosesAfterFiveSeconds) {
  Rig rig;
  rig.stays(at_load(0.10), 5);
  EXPECT_TRUE(rig.is_open());
  rig.stays(at_load(0.10), 1);
  EXPECT_EQ(rig.why(), "busy_by_others");
  EXPECT_EQ(rig.reason<BusyByOthers>().utilization_ratio, 0.10);
  rig.stays(at_load(0.06), 30);
  EXPECT_EQ(rig.why(), "busy_by_others") << "until half of it";
  rig.stays(at_load(0.04), 6);
  EXPECT_EQ(rig.why(), "others_left");
}

TEST(Sharing, LoadBelowTheLimitOrForAMomentDoesNotCount) {
  Rig rig;
  rig.stays(at_load(0.09), 100);
  for (int i = 0; i < 50; ++i) {
    rig.stays(at_load(1.0), 5);
    rig.stays(at_load(0.0), 1);
  }
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, OurOwnLoadDoesNotCount) {
  Rig rig;
  rig.start_worker(1, 100);
  rig.step(ChunkStarted{WorkerId{1}, JobId{7}});
  GpuSample sample = at_load(1.0);
  rig.stays(add_process(sample, 100, 11 * kGiB), 100);
  rig.step(ChunkEnded{WorkerId{1}});
  rig.stays(sample, 2);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, LoadThatCanNoLongerBeReadCountsAsOver) {
  Rig rig;
  rig.stays(at_load(0.5), 10);
  GpuSample silent = calm("a");
  silent.utilization_ratio.reset();
  rig.stays(silent, 61);
  EXPECT_EQ(rig.why(), "others_left");
}

// --- heat ---

TEST(Sharing, TooHotForFiveSecondsStopsChunksAndKeepsTheWorkers) {
  Rig rig;
  rig.stays(at_celsius(86), 5);
  EXPECT_TRUE(rig.is_open());
  rig.stays(at_celsius(86), 1);  // the card slows down at 90
  ASSERT_EQ(rig.closes.size(), 1u);
  EXPECT_EQ(rig.closes[0].running, Running::finish);
  EXPECT_EQ(rig.closes[0].workers, Workers::keep);
  EXPECT_EQ(rig.reason<TooHot>().celsius, 86);
  EXPECT_EQ(rig.reason<TooHot>().ceiling_celsius, 86);
  rig.stays(at_celsius(79), 300);
  EXPECT_EQ(rig.why(), "too_hot");
  rig.stays(at_celsius(77.5), 10);
  EXPECT_EQ(rig.why(), "too_hot") << "for ten seconds";
  rig.stays(at_celsius(77.5), 1);
  EXPECT_TRUE(rig.is_open());
}

TEST(Sharing, CoolingTakesHalfAMinuteAtLeast) {
  Rig rig;
  rig.stays(at_celsius(95), 6);
  rig.stays(at_celsius(40), 29);
  EXPECT_EQ(rig.why(), "too_hot");
  rig.stays(at_celsius(40), 1);
  EXPECT_TRUE(rig.is_open());
}

TEST(Sharing, ATemperatureThatJumpsEachSecondChangesNothing) {
  Rig rig;
  for (int i = 0; i < 300; ++i) rig.stays(at_celsius(i % 2 == 0 ? 95 : 40), 1);
  EXPECT_THAT(rig.closes, IsEmpty());
}

TEST(Sharing, ACeilingCanBeSetAndTakenAwayWhileItRuns) {
  Rig rig;
  rig.settings.gpus["a"].ceiling = Ceiling{Ceiling::Rule::fixed, 60};
  rig.set();
  rig.stays(at_celsius(65), 6);
  EXPECT_EQ(rig.why(), "too_hot");
  rig.settings.gpus["a"].ceiling = Ceiling{Ceiling::Rule::off, 0};
  rig.set();
  rig.stays(at_celsius(99), 30);
  EXPECT_TRUE(rig.is_open());
}

TEST(Sharing, ASlowdownThresholdThatNoCardHasIsNoCeiling) {
  Rig rig;
  GpuSample sample = at_celsius(70);
  sample.detail.temperature_slowdown_celsius = 0;
  rig.stays(sample, 60);
  EXPECT_TRUE(rig.is_open());
}

TEST(Sharing, HeatThatCanNoLongerBeReadCountsAsOver) {
  Rig rig;
  rig.stays(at_celsius(95), 6);
  rig.opens.clear();
  rig.passes(60);
  EXPECT_THAT(rig.opens, ElementsAre("a"));
}

// --- time ---

TEST(Sharing, QuietHoursEndTheChunkAndTheWorkersAndAreOverOnTheMinute) {
  Rig rig;
  rig.settings.gpus["a"].quiet_hours = {{60, 120}};
  rig.set();
  rig.passes(2 * 3600);
  EXPECT_THAT(rig.closes, IsEmpty()) << "nobody told the local time";
  rig.step(LocalTimeTold{-std::chrono::hours{2}});  // it is midnight here
  rig.passes(3599);
  EXPECT_TRUE(rig.is_open());
  rig.passes(1);
  ASSERT_EQ(rig.closes.size(), 1u);
  EXPECT_EQ(rig.closes[0].running, Running::finish);
  EXPECT_EQ(rig.closes[0].workers, Workers::end);
  EXPECT_EQ(rig.seconds_until(rig.reason<QuietHours>().until), 3600);
  rig.passes(3600);
  EXPECT_TRUE(rig.is_open());
}

TEST(Sharing, QuietHoursHoldForAlwaysToo) {
  Rig rig;
  rig.settings.gpus["a"] = {Share::always, {}, {{0, 0}}};
  rig.set();
  rig.step(LocalTimeTold{});
  EXPECT_EQ(rig.why(), "quiet_hours");
}

// --- overrides ---

TEST(Sharing, AnOverrideLiftsOthersAndQuietHoursButNotHeat) {
  Rig rig;
  rig.settings.gpus["a"].quiet_hours = {{0, 0}};
  rig.set();
  rig.step(LocalTimeTold{});
  GpuSample sample = with_others();
  sample.temperature_celsius = 95;
  rig.stays(sample, 6);
  EXPECT_EQ(rig.why(), "others_compute quiet_hours too_hot");
  rig.step(GpuOverridden{"a", rig.now + seconds(600)});
  EXPECT_EQ(rig.why(), "too_hot");
  sample.temperature_celsius = 50;
  rig.stays(sample, 30);
  EXPECT_TRUE(rig.is_open());
  EXPECT_EQ(rig.seconds_until(*rig.verdict().overridden_until), 570);
  rig.closes.clear();
  rig.passes(570);
  EXPECT_EQ(rig.closes.size(), 1u);
  EXPECT_FALSE(rig.verdict().overridden_since);
}

TEST(Sharing, AnOverrideWithoutEndHoldsUntilTakenBack) {
  Rig rig;
  rig.stays(with_others(), 1);
  rig.step(GpuOverridden{"a"});
  rig.passes(1e6);
  EXPECT_TRUE(rig.is_open());
  rig.step(GpuOverrideEnded{"a"});
  EXPECT_EQ(rig.why(), "others_compute");
}

// --- settings, gpus ---

TEST(Sharing, OnADeskItIsAlways) {
  Settings desk;
  Rig rig(desk);
  EXPECT_EQ(rig.verdict().share, Share::always);
  rig.stays(with_others(), 5);
  EXPECT_TRUE(rig.is_open());
  desk.multi_gpu = Settings::MultiGpu::on;
  rig.step(SettingsChanged{desk});
  EXPECT_EQ(rig.verdict().share, Share::polite);
  EXPECT_EQ(rig.why(), "others_compute") << "at once";
}

TEST(Sharing, AGpuWithADisplayIsAlwaysUnlessSaidOtherwise) {
  Rig rig;
  GpuSample sample = calm("a");
  sample.detail.display_active = true;
  rig.stays(sample, 1);
  EXPECT_EQ(rig.verdict().share, Share::always);
  sample.detail.display_active = false;  // the screen sleeps
  rig.stays(sample, 1);
  EXPECT_EQ(rig.verdict().share, Share::always);
  rig.settings.gpus["a"].share = Share::polite;
  rig.set();
  EXPECT_EQ(rig.verdict().share, Share::polite);
}

TEST(Sharing, CpuAndVirtualGpusAreNobodyElses) {
  Rig rig(fleet(), {});
  rig.step(GpuArrived{make_gpu("cpu-0", GpuKind::cpu)});
  rig.step(GpuArrived{make_gpu("virtual-0", GpuKind::virtual_gpu)});
  EXPECT_THAT(rig.opens, ElementsAre("cpu-0", "virtual-0"));
}

TEST(Sharing, AGpuThatLeavesIsNotToldAndItsHistoryStays) {
  Rig rig;
  rig.stays(with_others(), 5);
  rig.stays(calm("a"), 1);
  rig.step(GpuGone{"a"});
  EXPECT_THAT(rig.sharing.gpus(), IsEmpty());
  rig.passes(30);
  rig.closes.clear();
  rig.step(GpuArrived{make_gpu("a")});
  rig.sampled(calm("a"));
  EXPECT_EQ(rig.why(), "others_left");
  EXPECT_EQ(rig.closes.size(), 1u);
}

TEST(Sharing, NothingIsToldTwice) {
  Rig rig;
  rig.stays(with_others(), 100);
  rig.stays(calm("a"), 200);
  EXPECT_EQ(rig.closes.size(), 1u);
  EXPECT_EQ(rig.opens.size(), 2u);
}

TEST(Sharing, MoreIsToldWhenMoreIsAskedFor) {
  Rig rig;
  rig.stays(at_celsius(95), 6);
  GpuSample sample = with_others();
  sample.temperature_celsius = 95;
  rig.stays(sample, 10);
  ASSERT_EQ(rig.closes.size(), 2u);
  EXPECT_EQ(rig.closes[0].workers, Workers::keep);
  EXPECT_EQ(rig.closes[1].workers, Workers::end);
}

TEST(Sharing, StrangeSettingsAreMadeSane) {
  Rig rig;
  rig.settings.idle_memory_bytes = -5;
  rig.settings.idle_utilization_ratio = 0;
  rig.settings.quiet_time = -seconds(5);
  rig.set();
  rig.stays(calm("a"), 60);
  EXPECT_TRUE(rig.is_open());
}

}  // namespace
}  // namespace pixelfleet::sharing
