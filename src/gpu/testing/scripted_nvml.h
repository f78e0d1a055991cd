// ScriptedNvml: tests with the scripted driver (tests/fake_nvml) in their own process.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "gpu/nvml.h"
#include "gpu/testing/fake_driver.h"

namespace pixelfleet::gpu {

// The library in this process, with a script that a test may replace between two readings.
class ScriptedNvml : public testing::Test {
 protected:
  void open(const std::string& script) {
    nvml_.reset();
    driver_.reset();  // takes its variables with it, so before the next one sets them
    driver_ = std::make_unique<FakeDriver>(script);
    nvml_ = Nvml::open(driver_->library(), why_not_);
  }
  Report read(const std::string& script) {
    if (driver_ == nullptr) {
      open(script);
    } else {
      driver_->says(script);
    }
    if (nvml_ == nullptr) return why_not_;
    return nvml_->read();
  }
  Report init_fails_with(int code) {
    open("init ret " + std::to_string(code));
    EXPECT_EQ(nvml_, nullptr);
    return why_not_;
  }

  std::unique_ptr<FakeDriver> driver_;
  std::unique_ptr<Nvml> nvml_;
  Report why_not_;
};

inline std::vector<std::string> uuids(const Report& report) {
  std::vector<std::string> result;
  for (const Reading& reading : report.readings) result.push_back(reading.gpu.uuid);
  return result;
}

}  // namespace pixelfleet::gpu
