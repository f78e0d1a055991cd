// MIG: the instances of a gpu are the gpus.
#include <gmock/gmock.h>

#include "gpu/testing/scripted_nvml.h"
#include "gpu/visible_devices.h"

namespace pixelfleet::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

constexpr const char* kTwoInstances =
    R"(gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b mig 1 util 88 temp 61 slowdown 87 pci=0000:41:00.0
    gpu 1 instance 0 uuid=MIG-b0 name="MIG 1g.10gb" mem=10240 process 42 compute 2GiB
    gpu 1 instance 3 uuid=MIG-b3 mem=20480 ;)";
std::string two_instances_and(const std::string& more) { return kTwoInstances + more; }

TEST_F(ScriptedNvml, MigInstancesStandForTheirGpu) {
  const Report report = read(kTwoInstances);
  ASSERT_THAT(uuids(report), ElementsAre("GPU-a", "MIG-b0", "MIG-b3"));
  EXPECT_THAT(report.failing, IsEmpty());
  const Reading& first = report.readings[1];
  EXPECT_EQ(first.gpu, (Gpu{"MIG-b0", 200, "MIG 1g.10gb", GpuKind::nvidia, 10 * kGiB}));
  EXPECT_EQ(report.readings[2].gpu.index, 203);
  EXPECT_EQ(report.readings[2].gpu.memory_total_bytes, 20 * kGiB);
  const GpuSample& sample = first.sample;
  EXPECT_EQ(sample.memory_used_bytes, 2 * kGiB);
  EXPECT_EQ(sample.memory_free_bytes, 8 * kGiB);
  EXPECT_EQ(sample.utilization_ratio, std::nullopt) << "never 0, and not the card's";
  EXPECT_EQ(sample.power_watts, std::nullopt);
  EXPECT_EQ(sample.temperature_celsius, 61) << "the card's";
  EXPECT_EQ(sample.detail.temperature_slowdown_celsius, 87);
  EXPECT_EQ(sample.detail.pci_bus_id, "0000:41:00.0");
  EXPECT_EQ(sample.detail.parent_uuid, "GPU-b");
  EXPECT_EQ(sample.detail.mig_enabled, true);
  ASSERT_TRUE(sample.detail.processes);
  EXPECT_EQ(sample.detail.processes->at(0).pid, 42);
  EXPECT_THAT(*report.readings[2].sample.detail.processes, IsEmpty());
  EXPECT_EQ(report_from_line(to_line(report)).value(), report);
}

TEST_F(ScriptedNvml, MigInstancesComeAndGo) {
  EXPECT_THAT(uuids(read(two_instances_and("gpu 1 instance 0 gone"))), ElementsAre("GPU-a", "MIG-b3"));
  EXPECT_THAT(uuids(read(kTwoInstances)), ElementsAre("GPU-a", "MIG-b0", "MIG-b3"));
  EXPECT_THAT(uuids(read(two_instances_and("gpu 1 mig 0"))), ElementsAre("GPU-a", "GPU-b"));
}

TEST_F(ScriptedNvml, AGpuWithMigAndNoInstanceIsToldAndNotUsed) {
  const Report report = read("gpu 0 uuid=GPU-a ; gpu 1 uuid=GPU-b mig 1");
  EXPECT_THAT(uuids(report), ElementsAre("GPU-a"));
  EXPECT_THAT(report.failing, ElementsAre(FailingGpu{1, "GPU-b", kNoMigInstance, {}}));
  EXPECT_THAT(failure_text(report.failing[0]), HasSubstr("MIG on and no instance"));
  EXPECT_EQ(read("gpu 1 uuid=GPU-b mig 1").driver, Driver::working) << "the only one, too";
}

TEST_F(ScriptedNvml, ADriverThatCannotListInstancesLeavesTheGpuAsItIs) {
  for (const char* function : {"nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex"}) {
    EXPECT_THAT(uuids(read(two_instances_and("missing ") + function)), ElementsAre("GPU-a", "GPU-b")) << function;
    nvml_.reset();
    driver_.reset();
  }
}

TEST_F(ScriptedNvml, AnXidGoesToTheInstanceThatItNamesOrToAll) {
  const Report named = read(two_instances_and("gpu 1 instance 3 xid 94"));
  EXPECT_THAT(named.readings[1].sample.detail.xids, IsEmpty());
  EXPECT_THAT(named.readings[2].sample.detail.xids, ElementsAre(GpuXid{94, 1}));
  const Report all = read(two_instances_and("gpu 1 xid 119"));
  EXPECT_THAT(all.readings[0].sample.detail.xids, IsEmpty());
  EXPECT_THAT(all.readings[1].sample.detail.xids, ElementsAre(GpuXid{119, 1}));
  EXPECT_THAT(all.readings[2].sample.detail.xids, ElementsAre(GpuXid{119, 1}));
}

TEST_F(ScriptedNvml, AnInstanceThatDoesNotAnswerIsToldAndTheOthersStay) {
  const Report report = read(two_instances_and("gpu 1 instance 0 ret * 15"));
  EXPECT_THAT(uuids(report), ElementsAre("GPU-a", "MIG-b3"));
  EXPECT_THAT(report.failing, ElementsAre(FailingGpu{200, "", 15, {}}));
  EXPECT_THAT(uuids(read(two_instances_and("gpu 1 ret * 15"))), ElementsAre("GPU-a")) << "the card is lost";
}

TEST_F(ScriptedNvml, CudaVisibleDevicesNamesInstances) {
  const Report kept = only_visible(read(kTwoInstances), std::nullopt, "MIG-b3");
  EXPECT_THAT(uuids(kept), ElementsAre("MIG-b3"));
}

}  // namespace
}  // namespace pixelfleet::gpu
