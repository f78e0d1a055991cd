// What single gpus tell: every value, unknown ones, impossible ones.
#include <gmock/gmock.h>

#include "base/utf8.h"
#include "gpu/testing/scripted_nvml.h"

namespace pixelfleet::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

TEST_F(ScriptedNvml, WithoutAScriptThereIsOneHealthyGpu) {
  open("");
  ::unsetenv("FAKE_NVML_SCRIPT");
  const Report report = nvml_->read();
  ASSERT_EQ(report.readings.size(), 1u);
  EXPECT_EQ(report.readings[0].gpu.name, "Fake GPU 0");
  EXPECT_THAT(report.failing, IsEmpty());
}

TEST_F(ScriptedNvml, AScreenOrADesktopMakesADisplay) {
  const auto drives = [&](const std::string& script) {
    return read(script).readings.at(0).sample.detail.display_active;
  };
  EXPECT_EQ(drives("gpu 0 uuid=GPU-a"), false);
  EXPECT_EQ(drives("gpu 0 display_active 1"), true);
  EXPECT_EQ(drives("gpu 0 display_attached 1"), true);
  EXPECT_EQ(drives("gpu 0 display_active none display_attached 1"), true);
  EXPECT_EQ(drives("gpu 0 display_active none display_attached 0"), false);
  EXPECT_EQ(drives("gpu 0 display_active none display_attached none"), std::nullopt);
  EXPECT_EQ(drives("gpu 0 display_active 7 display_attached none"), std::nullopt);
}

TEST_F(ScriptedNvml, ProcessesHaveTheNamesOfTheirPrograms) {
  const Report report =
      read(R"(gpu 0 process 42 compute 2GiB process 42 name "/usr/bin/python3" process 43 compute 1GiB)");
  const auto& processes = report.readings.at(0).sample.detail.processes;
  ASSERT_TRUE(processes);
  ASSERT_EQ(processes->size(), 2u);
  EXPECT_EQ((*processes)[0].name, "python3");
  EXPECT_EQ((*processes)[1].name, "");
  EXPECT_EQ(report_from_line(to_line(report)).value(), report);
}

TEST_F(ScriptedNvml, ReadsEverythingAGpuTells) {
  const Report report = read(R"(driver 550.163 ; cuda 12040
    gpu 0 uuid=GPU-a name="Card A" mem=24576 mem reserved=512 pci=00000000:41:00.0
    gpu 0 process 42 compute 2GiB process 43 graphics 100MiB
    gpu 0 temp 61 slowdown 87 shutdown 95 util 37 memutil 12 power 250.5 limit 450 energy 12345
    gpu 0 sm_clock 1695 mem_clock 10501 throttle sw_power_cap,hw_thermal
    gpu 0 pcie_gen 3 pcie_width 8 ecc_corrected 7 ecc_uncorrected 1
    gpu 0 rows_corrected 2 rows_uncorrected 1 rows_pending 1 recovery drain_and_reset)");
  EXPECT_EQ(report.driver_version, "550.163");
  EXPECT_EQ(report.cuda_version, "12.4");
  ASSERT_EQ(report.readings.size(), 1u);
  const Reading& gpu = report.readings[0];
  EXPECT_EQ(gpu.gpu, (Gpu{"GPU-a", 0, "Card A", GpuKind::nvidia, 24'064 * kMiB})) << "without what is reserved";
  GpuSample expected;
  expected.uuid = "GPU-a";
  expected.memory_used_bytes = 2148 * kMiB;
  expected.memory_free_bytes = 21'916 * kMiB;
  expected.utilization_ratio = 0.37;
  expected.temperature_celsius = 61;
  expected.power_watts = 250.5;
  GpuDetail& detail = expected.detail;
  detail.pci_bus_id = "00000000:41:00.0";
  detail.memory_reserved_bytes = 512 * kMiB;
  detail.memory_utilization_ratio = 0.12;
  detail.temperature_slowdown_celsius = 87;
  detail.temperature_shutdown_celsius = 95;
  detail.power_limit_watts = 450;
  detail.energy_joules = 12'345;
  detail.sm_clock_hertz = 1.695e9;
  detail.memory_clock_hertz = 1.0501e10;
  detail.throttle_reasons = {"sw_power_cap", "hw_thermal"};
  detail.pcie_generation = 3;
  detail.pcie_width = 8;
  detail.pcie_generation_max = 4;
  detail.pcie_width_max = 16;
  detail.ecc_corrected = 7;
  detail.ecc_uncorrected = 1;
  detail.rows_remapped_corrected = 2;
  detail.rows_remapped_uncorrected = 1;
  detail.rows_remapping_pending = true;
  detail.rows_remapping_failed = false;
  detail.mig_enabled = false;
  detail.display_active = false;
  detail.processes = {{42, GpuProcess::Kind::compute, 2 * kGiB}, {43, GpuProcess::Kind::graphics, 100 * kMiB}};
  detail.recovery_action = GpuRecovery::drain_and_reset;
  EXPECT_EQ(report_from_line(to_line(report)).value(), report) << "nothing is lost in the pipe";
  EXPECT_EQ(gpu.sample, expected) << to_line(report);
}

TEST_F(ScriptedNvml, N02AnOldDriverWithoutNewerFunctionsIsReadByTheOlderOnes) {
  const Report report = read(R"(gpu 0 uuid=GPU-a mem=8192 pci=00000000:41:00.0 process 42 compute 2GiB
    missing nvmlInit_v2 ; missing nvmlDeviceGetCount_v2 ; missing nvmlDeviceGetHandleByIndex_v2
    missing nvmlDeviceGetMemoryInfo_v2 ; missing nvmlDeviceGetComputeRunningProcesses_v3
    missing nvmlDeviceGetCurrentClocksEventReasons ; missing nvmlDeviceGetPciInfo_v3 ; missing nvmlEventSetWait_v2
    missing nvmlSystemGetCudaDriverVersion_v2
    gpu 0 throttle hw_slowdown xid 31)");
  ASSERT_THAT(uuids(report), ElementsAre("GPU-a")) << report.reason;
  const GpuSample& sample = report.readings[0].sample;
  EXPECT_EQ(report.readings[0].gpu.memory_total_bytes, 8 * kGiB);
  EXPECT_EQ(sample.memory_used_bytes, 2 * kGiB + 256 * kMiB) << "the older function counts what is reserved";
  EXPECT_FALSE(sample.detail.memory_reserved_bytes);
  EXPECT_EQ(sample.detail.processes->at(0), (GpuProcess{42, GpuProcess::Kind::compute, 2 * kGiB}));
  EXPECT_THAT(*sample.detail.throttle_reasons, ElementsAre("hw_slowdown"));
  EXPECT_EQ(sample.detail.pci_bus_id, "0000:41:00.0");
  EXPECT_THAT(sample.detail.xids, ElementsAre(GpuXid{31, 1}));
  EXPECT_EQ(report.cuda_version, "12.4");
}

TEST_F(ScriptedNvml, N02ADriverThatSaysFunctionNotFoundIsReadByTheOlderOnesToo) {
  const Report report = read("gpu 0 uuid=GPU-a ; ret nvmlDeviceGetCount_v2 13 ; ret nvmlDeviceGetMemoryInfo_v2 13");
  ASSERT_THAT(uuids(report), ElementsAre("GPU-a")) << report.reason;
  EXPECT_EQ(report.readings[0].gpu.memory_total_bytes, 24 * kGiB);
}

TEST_F(ScriptedNvml, N02AMissingSensorFunctionIsAnUnknownValue) {
  const Report report = read("missing nvmlDeviceGetTemperature ; missing nvmlDeviceGetFieldValues");
  ASSERT_EQ(report.readings.size(), 1u);
  EXPECT_FALSE(report.readings[0].sample.temperature_celsius);
  EXPECT_FALSE(report.readings[0].sample.detail.recovery_action);
  EXPECT_TRUE(report.readings[0].sample.power_watts);
}

TEST_F(ScriptedNvml, N15UtilisationOfMigIsUnknown) {
  const Report report = read("gpu 0 mig 1 util none power none instance 0");
  ASSERT_EQ(report.readings.size(), 1u);
  const GpuSample& sample = report.readings[0].sample;
  EXPECT_EQ(sample.detail.mig_enabled, true);
  EXPECT_FALSE(sample.utilization_ratio);
  EXPECT_FALSE(sample.detail.memory_utilization_ratio);
  EXPECT_FALSE(sample.power_watts);
  EXPECT_TRUE(sample.temperature_celsius);
}

TEST_F(ScriptedNvml, N16ImpossibleMemoryIsUnknownAndTheSizeStays) {
  const std::int64_t total = 24 * kGiB - 256 * kMiB;
  EXPECT_EQ(read("gpu 0 mem=24576").readings[0].gpu.memory_total_bytes, total);
  const Report all_ones = read("gpu 0 mem used=18446744073709551615 mem free=18446744073709551615");
  EXPECT_FALSE(all_ones.readings[0].sample.memory_used_bytes);
  EXPECT_FALSE(all_ones.readings[0].sample.memory_free_bytes);
  const Report too_much = read("gpu 0 mem used=30000");
  EXPECT_FALSE(too_much.readings[0].sample.memory_used_bytes) << "more than there is";
  const Report no_size = read("gpu 0 mem=18446744073709551615");
  EXPECT_EQ(no_size.readings[0].gpu.memory_total_bytes, total) << "the last one seen";
  EXPECT_FALSE(no_size.readings[0].sample.memory_used_bytes);
}

TEST_F(ScriptedNvml, AGpuWithoutMemoryOfItsOwnHasTheHosts) {
  const Report report = read("gpu 0 mem none");
  EXPECT_GT(report.readings[0].gpu.memory_total_bytes, 64 * kMiB);
  EXPECT_FALSE(report.readings[0].sample.memory_free_bytes);
}

TEST_F(ScriptedNvml, N17AnEndlessNameWithControlCharactersIsText) {
  const Report report = read("gpu 0 name=\"\\x1b[31m\\xff" + std::string(120, 'x') + "\"");
  const std::string& name = report.readings[0].gpu.name;
  EXPECT_EQ(name.substr(0, 6), "[31m?x");
  EXPECT_EQ(name.size(), 95u);
  EXPECT_FALSE(find_invalid_utf8(name));
}

TEST_F(ScriptedNvml, N18ImpossibleTemperaturesAreUnknown) {
  for (const char* celsius : {"255", "-40", "4294967295"}) {
    const Report report = read(std::string("gpu 0 slowdown 200 temp ") + celsius);
    EXPECT_FALSE(report.readings[0].sample.temperature_celsius) << celsius;
    EXPECT_FALSE(report.readings[0].sample.detail.temperature_slowdown_celsius);
  }
  EXPECT_EQ(read("gpu 0 temp 0").readings[0].sample.temperature_celsius, 0.0) << "cold, but possible";
}

TEST_F(ScriptedNvml, OtherImpossibleNumbersAreUnknown) {
  const GpuSample sample =
      read(
          "gpu 0 util 4000 memutil 101 power 9999 limit -1 sm_clock 4000000 pcie_gen 999 pcie_width 0 mig 7 "
          "ecc_corrected -1 energy -1")
          .readings[0]
          .sample;
  EXPECT_FALSE(sample.utilization_ratio);
  EXPECT_FALSE(sample.detail.memory_utilization_ratio);
  EXPECT_FALSE(sample.power_watts);
  EXPECT_FALSE(sample.detail.power_limit_watts);
  EXPECT_FALSE(sample.detail.sm_clock_hertz);
  EXPECT_FALSE(sample.detail.pcie_generation);
  EXPECT_FALSE(sample.detail.pcie_width);
  EXPECT_FALSE(sample.detail.mig_enabled);
  EXPECT_FALSE(sample.detail.ecc_corrected);
  EXPECT_FALSE(sample.detail.energy_joules);
}

TEST_F(ScriptedNvml, N25AnOscillatingTemperatureIsReportedAsItIs) {
  const std::string script = "gpu 0 temp wave 60 95 1s ;";
  EXPECT_EQ(read(script + "now 100ms").readings[0].sample.temperature_celsius, 60.0);
  EXPECT_EQ(read(script + "now 600ms").readings[0].sample.temperature_celsius, 95.0);
  EXPECT_EQ(read(script + "now 1100ms").readings[0].sample.temperature_celsius, 60.0);
}

TEST_F(ScriptedNvml, ARampGoesFromOneValueToTheOtherAndStays) {
  const std::string script = "at 10s gpu 0 temp ramp 60 90 10s ;";
  EXPECT_EQ(read(script + "now 15s").readings[0].sample.temperature_celsius, 75.0);
  EXPECT_EQ(read(script + "now 99s").readings[0].sample.temperature_celsius, 90.0);
}

TEST_F(ScriptedNvml, N26AnotherProcessThatTakesNearlyEverythingIsSeen) {
  const std::string script =
      "gpu 0 mem=24576 mem reserved=0 ; at 5s gpu 0 process 4242 compute 23347 ; at 9s gpu 0 process 4242 gone ;";
  EXPECT_EQ(read(script).readings[0].sample.memory_free_bytes, 24 * kGiB);
  const GpuSample taken = read(script + "now 5s").readings[0].sample;
  EXPECT_EQ(taken.memory_free_bytes, 1229 * kMiB);
  EXPECT_THAT(*taken.detail.processes, ElementsAre(GpuProcess{4242, GpuProcess::Kind::compute, 23'347 * kMiB}));
  const GpuSample given_back = read(script + "now 9s").readings[0].sample;
  EXPECT_EQ(given_back.memory_free_bytes, 24 * kGiB);
  EXPECT_THAT(*given_back.detail.processes, IsEmpty());
}

TEST_F(ScriptedNvml, ProcessesThatHideTheirMemoryAreStillThere) {
  const Report report = read("gpu 0 process 7 compute 18446744073709551615B");
  EXPECT_THAT(*report.readings[0].sample.detail.processes,
              ElementsAre(GpuProcess{7, GpuProcess::Kind::compute, std::nullopt}));
}

TEST_F(ScriptedNvml, MoreProcessesThanExpectedAreAllListed) {
  std::string script;
  for (int pid = 1; pid <= 70; ++pid) script += "gpu 0 process " + std::to_string(pid) + " compute 1\n";
  EXPECT_EQ(read(script).readings[0].sample.detail.processes->size(), 70u);
}

TEST_F(ScriptedNvml, ErrorsOfAScriptAreToldWithTheirLineAndTheRestHolds) {
  testing::internal::CaptureStderr();
  const Report report = read("gpu 0 uuid=GPU-a\ngpu 0 tmp 3 ; at x gpu 0 temp 1\nfly ; count 17\nat 1s gpu 9 temp 4");
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_THAT(uuids(report), ElementsAre("GPU-a"));
  for (const char* error :
       {"line 2: a gpu has nothing called \"tmp\"", "line 2: the time \"x\"",
        "line 3: no statement begins with \"fly\"", "line 3: count is 0-16", "line 4: there is no gpu 9"}) {
    EXPECT_THAT(told, HasSubstr(error));
  }
}

TEST(SaneName, IsNeverEmptyAndAlwaysText) {
  EXPECT_EQ(sane_name("", 0), "NVIDIA gpu");
  EXPECT_EQ(sane_name("  \x01 ", 4), "NVIDIA gpu");
  EXPECT_EQ(sane_name("abcdef", 3), "abc");
  EXPECT_EQ(sane_name("a\xFF\nb", 4), "a? b");
}

}  // namespace
}  // namespace pixelfleet::gpu
