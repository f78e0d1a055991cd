// The driver as a whole: starting it, gpus that come, go and fail, Xids.
#include <gmock/gmock.h>

#include "gpu/testing/scripted_nvml.h"

namespace pixelfleet::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

TEST(Nvml, N01AMissingLibraryIsAnAbsentDriver) {
  Report why_not;
  EXPECT_EQ(Nvml::open("libnothing-of-the-kind.so.1", why_not), nullptr);
  EXPECT_EQ(why_not.driver, Driver::absent);
  EXPECT_THAT(why_not.reason, HasSubstr("libnothing-of-the-kind.so.1"));
}

TEST(Nvml, AnotherLibraryIsAFailingDriver) {
  Report why_not;
  EXPECT_EQ(Nvml::open("libc.so.6", why_not), nullptr);
  EXPECT_EQ(why_not.driver, Driver::failing);
}

TEST_F(ScriptedNvml, N03ADriverThatIsNotLoadedSaysSo) {
  EXPECT_THAT(init_fails_with(9).reason, HasSubstr("modprobe nvidia"));
  EXPECT_EQ(why_not_.driver, Driver::failing);
}

TEST_F(ScriptedNvml, N04AnUpgradedDriverAsksForARestart) {
  EXPECT_THAT(init_fails_with(18).reason, HasSubstr("restart the machine"));
  EXPECT_EQ(why_not_.driver, Driver::failing);
}

TEST_F(ScriptedNvml, N05AnUnknownErrorAtTheStartTellsItsCode) {
  EXPECT_THAT(init_fails_with(999).reason, HasSubstr("999"));
}

TEST_F(ScriptedNvml, ADriverThatRecoversCanBeOpenedAgain) {
  init_fails_with(9);
  driver_->says("gpu 0 uuid=GPU-a");
  nvml_ = Nvml::open(driver_->library(), why_not_);
  ASSERT_NE(nvml_, nullptr);
  EXPECT_THAT(uuids(nvml_->read()), ElementsAre("GPU-a"));
}

TEST_F(ScriptedNvml, N07ADriverWithoutAGpuWorks) {
  const Report report = read("count 0");
  EXPECT_EQ(report.driver, Driver::working);
  EXPECT_THAT(report.readings, IsEmpty());
  EXPECT_EQ(read("ret nvmlDeviceGetCount 28").driver, Driver::working) << "no gpu, by code";
}

TEST_F(ScriptedNvml, N08SixteenGpusAreListedByIndex) {
  const Report report = read("count 16");
  ASSERT_EQ(report.readings.size(), 16u);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(report.readings[static_cast<std::size_t>(i)].gpu.index, i);
  EXPECT_EQ(report.readings[15].gpu.name, "Fake GPU 15");
}

TEST_F(ScriptedNvml, N09OneLostGpuIsToldAndTheOthersStay) {
  EXPECT_EQ(read("gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b").readings.size(), 2u);
  const Report report = read("gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b ret * 15");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-a"));
  EXPECT_THAT(report.failing, ElementsAre(FailingGpu{1, "GPU-b", 15, {}}));
  EXPECT_THAT(failure_text(report.failing[0]), HasSubstr("lost"));
  EXPECT_EQ(report_from_line(to_line(report)).value(), report);
}

TEST_F(ScriptedNvml, N09AGpuThatNeverAnsweredHasNoName) {
  const Report report = read("gpu 0 uuid=GPU-a ret nvmlDeviceGetHandleByIndex 15 ; gpu 1 uuid=GPU-b");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-b"));
  EXPECT_THAT(report.failing, ElementsAre(FailingGpu{0, "", 15, {}}));
}

TEST_F(ScriptedNvml, AGpuLostInTheMiddleOfAReadingIsNotReadHalf) {
  const Report report = read("gpu 0 uuid=GPU-a ret nvmlDeviceGetPowerUsage 15 ; gpu 1 uuid=GPU-b");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-b"));
  EXPECT_THAT(report.failing, ElementsAre(FailingGpu{0, "GPU-a", 15, {}}));
}

TEST_F(ScriptedNvml, N10AllLostIsAWorkingDriverWithoutAGpu) {
  const std::string two = "gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b ;";
  read(two);
  const Report report = read(two + "gpu 0 ret * 15 ; gpu 1 ret * 15");
  EXPECT_EQ(report.driver, Driver::working);
  EXPECT_THAT(report.readings, IsEmpty());
  EXPECT_EQ(report.failing.size(), 2u);
}

TEST_F(ScriptedNvml, ATroubleOfAllGpusAlikeIsTheDriversAndCostsNone) {
  const Report report = read("count 2 ; ret nvmlDeviceGetUUID 999");
  EXPECT_EQ(report.driver, Driver::failing);
  EXPECT_THAT(report.reason, HasSubstr("999"));
}

TEST_F(ScriptedNvml, N11ALostGpuComesBack) {
  const std::string script = "gpu 0 uuid=GPU-a ; at 10s gpu 0 ret * 15 ; at 20s gpu 0 ret * 0 ;";
  EXPECT_THAT(uuids(read(script + "now 9s")), ElementsAre("GPU-a"));
  EXPECT_THAT(uuids(read(script + "now 10s")), IsEmpty());
  EXPECT_THAT(uuids(read(script + "now 20s")), ElementsAre("GPU-a"));
}

TEST_F(ScriptedNvml, N12AGpuThatNeedsAResetIsTakenBackAfterIt) {
  const std::string script =
      "gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b ; at 1s gpu 0 ret * 16 recovery reset ; at 2s gpu 0 ret * 0 recovery none ;";
  read(script);
  const Report sick = read(script + "now 1s");
  EXPECT_THAT(sick.failing, ElementsAre(FailingGpu{0, "GPU-a", 16, {}}));
  EXPECT_THAT(failure_text(sick.failing[0]), HasSubstr("reset"));
  const Report well = read(script + "now 2s");
  EXPECT_THAT(uuids(well), ElementsAre("GPU-a", "GPU-b"));
  EXPECT_EQ(well.readings[0].sample.detail.recovery_action, GpuRecovery::none);
}

TEST_F(ScriptedNvml, N13ReshuffledIndicesLeaveEachGpuItsIdentity) {
  const std::string script = R"(gpu 0 uuid=GPU-a mem=24576 ; gpu 1 uuid=GPU-b mem=8192
    at 26s remove gpu 0 ; at 30s add gpu 0 index 1
    )";
  EXPECT_THAT(uuids(read(script)), ElementsAre("GPU-a", "GPU-b"));
  EXPECT_THAT(uuids(read(script + "now 26s")), ElementsAre("GPU-b"));
  const Report report = read(script + "now 30s");
  ASSERT_THAT(uuids(report), ElementsAre("GPU-b", "GPU-a"));
  EXPECT_EQ(report.readings[1].gpu.index, 1);
  EXPECT_EQ(report.readings[1].gpu.memory_total_bytes, 24 * kGiB - 256 * kMiB);
}

TEST_F(ScriptedNvml, N14ASwappedCardIsAnotherGpu) {
  EXPECT_THAT(uuids(read("gpu 0 uuid=GPU-a mem=24576")), ElementsAre("GPU-a"));
  const Report report = read("gpu 0 uuid=GPU-new mem=8192");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-new"));
  EXPECT_EQ(report.readings[0].gpu.memory_total_bytes, 8 * kGiB - 256 * kMiB);
}

TEST_F(ScriptedNvml, N22AStormOfXidsIsCountedInBoundedRounds) {
  const std::string script = "gpu 0 xid 13 x5000 ; gpu 1 xid 31";
  const Report first = read(script);
  EXPECT_THAT(first.readings[0].sample.detail.xids, ElementsAre(GpuXid{13, 4096}));
  const Report second = read(script);
  EXPECT_THAT(second.readings[0].sample.detail.xids, ElementsAre(GpuXid{13, 904}));
  EXPECT_THAT(second.readings[1].sample.detail.xids, ElementsAre(GpuXid{31, 1}));
  EXPECT_THAT(read(script).readings[0].sample.detail.xids, IsEmpty()) << "each is told once";
}

TEST_F(ScriptedNvml, N23Xid79ComesWithTheLossOfItsGpu) {
  const std::string script = "gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b ; at 5s gpu 1 xid 79 ret * 15 ;";
  read(script + "now 0");
  const Report report = read(script + "now 5");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-a"));
  EXPECT_THAT(report.failing, ElementsAre(FailingGpu{1, "GPU-b", 15, {{79, 1}}}));
}

TEST_F(ScriptedNvml, N24XidsOfOneGpuKeepTheirOrder) {
  const std::string script = "gpu 0 xid 63 xid 64 ; at 2s gpu 0 xid 48 ; now 2s";
  EXPECT_THAT(read(script).readings[0].sample.detail.xids, ElementsAre(GpuXid{63, 1}, GpuXid{64, 1}, GpuXid{48, 1}));
}

TEST_F(ScriptedNvml, N27ADriverUpgradedUnderUsIsFailingNotGone) {
  EXPECT_EQ(read("gpu 0 uuid=GPU-a").driver, Driver::working);
  const Report report = read("gpu 0 uuid=GPU-a ; ret * 18 ; init ret 18");
  EXPECT_EQ(report.driver, Driver::failing);
  EXPECT_THAT(report.reason, HasSubstr("upgraded while it was in use"));
}

TEST_F(ScriptedNvml, N28WithoutEventsEverythingElseIsRead) {
  for (const char* trouble : {"ret nvmlEventSetCreate 3", "ret nvmlDeviceRegisterEvents 3", "ret nvmlEventSetWait 3",
                              "missing nvmlEventSetCreate"}) {
    open(std::string("gpu 0 uuid=GPU-a xid 13 ; ") + trouble);
    ASSERT_NE(nvml_, nullptr);
    const Report report = nvml_->read();
    ASSERT_THAT(uuids(report), ElementsAre("GPU-a")) << trouble;
    EXPECT_THAT(report.readings[0].sample.detail.xids, IsEmpty()) << trouble;
  }
}

TEST_F(ScriptedNvml, N29WhatIsNotPermittedIsUnknown) {
  const Report report =
      read("gpu 0 uuid=GPU-a ; ret nvmlDeviceGetComputeRunningProcesses 4 ; ret nvmlDeviceGetPowerUsage 4");
  ASSERT_THAT(uuids(report), ElementsAre("GPU-a"));
  EXPECT_FALSE(report.readings[0].sample.detail.processes) << "nobody is seen, which is not nobody";
  EXPECT_FALSE(report.readings[0].sample.power_watts);
  EXPECT_TRUE(report.readings[0].sample.temperature_celsius);
}

TEST_F(ScriptedNvml, N29AGpuOfSomebodyElseIsNotOurs) {
  const Report report = read("gpu 0 ret nvmlDeviceGetHandleByIndex 4 ; gpu 1 uuid=GPU-b");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-b"));
  EXPECT_THAT(report.failing, IsEmpty());
}

TEST_F(ScriptedNvml, N29ADriverThatIsNotPermittedSaysSo) {
  EXPECT_THAT(init_fails_with(4).reason, HasSubstr("/dev/nvidia"));
}

TEST_F(ScriptedNvml, N30ARecoveryActionThatChangesIsSeenAtOnce) {
  const std::string script = "gpu 0 ; at 3s gpu 0 recovery reboot ;";
  EXPECT_EQ(read(script).readings[0].sample.detail.recovery_action, GpuRecovery::none);
  EXPECT_EQ(read(script + "now 3s").readings[0].sample.detail.recovery_action, GpuRecovery::reboot);
  EXPECT_FALSE(read("gpu 0 recovery unsupported").readings[0].sample.detail.recovery_action);
  EXPECT_FALSE(read("gpu 0 recovery 77").readings[0].sample.detail.recovery_action) << "a word we do not know";
}

TEST_F(ScriptedNvml, TwiceTheSameUuidIsOneGpu) {
  EXPECT_THAT(uuids(read("gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-a")), ElementsAre("GPU-a"));
}

TEST_F(ScriptedNvml, AGpuWithoutAUuidIsNotUsed) {
  const Report report = read("gpu 0 uuid=\"\" ; gpu 1 uuid=GPU-b");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-b"));
  EXPECT_EQ(report.failing.size(), 1u);
}

}  // namespace
}  // namespace pixelfleet::gpu
