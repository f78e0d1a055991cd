#include "gpu/nvml.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "gpu/testing/fake_driver.h"

namespace pixelfleet::gpu {
namespace {

TEST(Nvml, AMissingLibraryIsAnAbsentDriver) {
  Report why_not;
  EXPECT_EQ(Nvml::open("libnothing-of-the-kind.so.1", why_not), nullptr);
  EXPECT_EQ(why_not.driver, Driver::absent);
  EXPECT_NE(why_not.reason.find("libnothing-of-the-kind.so.1"), std::string::npos);
}

TEST(Nvml, AnotherLibraryIsAFailingDriver) {
  Report why_not;
  EXPECT_EQ(Nvml::open("libc.so.6", why_not), nullptr);
  EXPECT_EQ(why_not.driver, Driver::failing);
}

TEST(Nvml, ReadsWhatEachGpuCanTell) {
  const FakeDriver fake(nullptr);
  Report why_not;
  const auto nvml = Nvml::open(fake.library(), why_not);
  ASSERT_NE(nvml, nullptr) << why_not.reason;
  const Report report = nvml->read();
  ASSERT_EQ(report.readings.size(), 2u);
  const Reading& first = report.readings[0];
  EXPECT_EQ(first.gpu, (Gpu{"GPU-aaaa-0000", 0, "Fake A", GpuKind::nvidia, std::int64_t{23} << 30}));
  EXPECT_EQ(first.sample.memory_used_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(first.sample.memory_free_bytes, std::int64_t{21} << 30);
  EXPECT_EQ(first.sample.utilization_ratio, 0.37);
  EXPECT_EQ(first.sample.temperature_celsius, 61.0);
  EXPECT_EQ(first.sample.power_watts, 250.5);
  const Reading& second = report.readings[1];
  EXPECT_EQ(second.gpu.memory_total_bytes, std::int64_t{8} << 30) << "by the older function";
  EXPECT_FALSE(second.sample.utilization_ratio);
  EXPECT_FALSE(second.sample.temperature_celsius);
  EXPECT_FALSE(second.sample.power_watts);
}

TEST(Nvml, GarbageIsUnknownNotAReading) {
  const FakeDriver fake("garbage");
  Report why_not;
  const auto nvml = Nvml::open(fake.library(), why_not);
  ASSERT_NE(nvml, nullptr);
  const Report report = nvml->read();
  ASSERT_EQ(report.readings.size(), 2u);
  EXPECT_FALSE(report.readings[0].sample.utilization_ratio);
  EXPECT_FALSE(report.readings[0].sample.temperature_celsius);
  EXPECT_FALSE(report.readings[1].sample.memory_used_bytes);
  EXPECT_EQ(report.readings[0].gpu.name.substr(0, 3), "?xx");
  EXPECT_EQ(report.readings[0].gpu.name.size(), 95u);
}

TEST(Nvml, AFailedStartTellsWhatToDo) {
  const FakeDriver fake("init-error");
  Report why_not;
  EXPECT_EQ(Nvml::open(fake.library(), why_not), nullptr);
  EXPECT_EQ(why_not.driver, Driver::failing);
  EXPECT_NE(why_not.reason.find("restart the machine"), std::string::npos);
}

TEST(SaneName, IsNeverEmptyAndAlwaysText) {
  EXPECT_EQ(sane_name("", 0), "NVIDIA gpu");
  EXPECT_EQ(sane_name("  \x01 ", 4), "NVIDIA gpu");
  EXPECT_EQ(sane_name("abcdef", 3), "abc");
  EXPECT_EQ(sane_name("a\xFF\nb", 4), "a? b");
}

}  // namespace
}  // namespace pixelfleet::gpu
