#include "gpu/gpu_source.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "base/mutex.h"
#include "domain/gpu_spec.h"
#include "gpu/testing/fake_driver.h"

namespace pixelfleet::gpu {
namespace {

// Collects messages; `wait_for` blocks until one of a type, and like `accept`, has come.
class CollectingInbox final : public control::Inbox {
 public:
  void post(control::Message message) override {
    const MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
    came_.notify_all();
  }
  bool offer(control::Message message) override {
    post(std::move(message));
    return true;
  }
  template <class T, class Accept>
  std::optional<T> wait_for(Accept accept) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(mutex_);
    while (true) {
      for (const control::Message& message : messages_) {
        if (const T* found = std::get_if<T>(&message); found != nullptr && accept(*found)) return *found;
      }
      if (came_.wait_until(mutex_, give_up) == std::cv_status::timeout) return std::nullopt;
    }
  }
  template <class T>
  std::optional<T> wait_for() {
    return wait_for<T>([](const T&) { return true; });
  }
  template <class T>
  int count() {
    const MutexLock lock(mutex_);
    int n = 0;
    for (const control::Message& message : messages_) n += std::holds_alternative<T>(message) ? 1 : 0;
    return n;
  }

 private:
  Mutex mutex_;
  CondVar came_;
  std::vector<control::Message> messages_ GUARDED_BY(mutex_);
};

class Source : public testing::Test {
 protected:
  std::unique_ptr<GpuSource> start(const std::string& command = "gpu-monitor") {
    return GpuSource::start(options(command), inbox_).value();
  }
  static GpuSource::Options options(const std::string& command) {
    GpuSource::Options options;
    options.monitor_command = {this_program(), command};
    options.first_round = std::chrono::milliseconds(2000);
    options.round = std::chrono::milliseconds(200);
    return options;
  }
  static GpuSource::Options impatient(const std::string& command) {
    GpuSource::Options result = options(command);
    result.first_round = std::chrono::milliseconds(50);
    return result;
  }

  CollectingInbox inbox_;
};

TEST_F(Source, AGivenListReplacesDetection) {
  GpuSource::Options given;
  given.instead = parse_gpu_spec("2x24GiB").value();
  const auto source = GpuSource::start(given, inbox_);
  ASSERT_TRUE(source);
  ASSERT_EQ(inbox_.count<control::GpusSeen>(), 1) << "before start() returns";
  EXPECT_EQ(inbox_.wait_for<control::GpusSeen>()->gpus, given.instead);
  EXPECT_EQ(inbox_.count<control::TelemetryChanged>(), 0);
}

TEST_F(Source, SeesNvidiaGpusAndTheirCondition) {
  const FakeDriver fake(nullptr);
  const auto source = start();
  const auto seen = inbox_.wait_for<control::GpusSeen>();
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->gpus.size(), 2u);
  EXPECT_EQ(seen->gpus[0].uuid, "GPU-aaaa-0000");
  EXPECT_EQ(seen->gpus[1].name, "Fake B");
  const auto samples = inbox_.wait_for<control::GpuSamples>();
  ASSERT_TRUE(samples);
  EXPECT_EQ(samples->samples[0].temperature_celsius, 61.0);
}

TEST_F(Source, HonoursCudaVisibleDevices) {
  const FakeDriver fake(nullptr);
  ::setenv("CUDA_VISIBLE_DEVICES", "GPU-bb", 1);
  const auto source = start();
  const auto seen = inbox_.wait_for<control::GpusSeen>();
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->gpus.size(), 1u);
  EXPECT_EQ(seen->gpus[0].uuid, "GPU-bbbb-1111");
}

TEST_F(Source, ALostGpuLeavesTheListAndTheOthersStay) {
  const FakeDriver fake("lost");
  const auto source = start();
  const auto later = inbox_.wait_for<control::GpusSeen>([](const auto& seen) { return seen.gpus.size() == 1; });
  ASSERT_TRUE(later);
  EXPECT_EQ(later->gpus[0].uuid, "GPU-aaaa-0000");
}

TEST_F(Source, WithoutADriverTheCpuIsTheGpu) {
  ::setenv("PIXELFLEET_NVML_LIBRARY", "libnothing-of-the-kind.so.1", 1);
  const auto source = start();
  const auto seen = inbox_.wait_for<control::GpusSeen>();
  ::unsetenv("PIXELFLEET_NVML_LIBRARY");
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->gpus.size(), 1u);
  EXPECT_EQ(seen->gpus[0].uuid, "cpu-0");
  EXPECT_EQ(seen->gpus[0].kind, GpuKind::cpu);
  EXPECT_FALSE(seen->gpus[0].name.empty());
  EXPECT_GT(seen->gpus[0].memory_total_bytes, std::int64_t{64} << 20);
  const auto samples = inbox_.wait_for<control::GpuSamples>();
  ASSERT_TRUE(samples);
  EXPECT_GT(samples->samples.at(0).memory_free_bytes.value_or(0), 0);
  EXPECT_EQ(inbox_.count<control::TelemetryChanged>(), 0) << "nothing is wrong here";
}

TEST_F(Source, AFailingDriverIsTold) {
  const FakeDriver fake("init-error");
  const auto source = start();
  const auto telemetry = inbox_.wait_for<control::TelemetryChanged>();
  ASSERT_TRUE(telemetry);
  EXPECT_FALSE(telemetry->telemetry.available);
  EXPECT_NE(telemetry->telemetry.reason.find("restart the machine"), std::string::npos);
}

TEST_F(Source, AHangingDriverCostsTwoMonitorsAndNoGpu) {
  const FakeDriver fake("hang-later");
  const auto source = start();
  const auto telemetry = inbox_.wait_for<control::TelemetryChanged>();
  ASSERT_TRUE(telemetry);
  EXPECT_FALSE(telemetry->telemetry.available);
  EXPECT_NE(telemetry->telemetry.reason.find("does not answer"), std::string::npos);
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1) << "the gpus seen before stay in use";
}

TEST_F(Source, ADriverThatHangsFromTheStartLeavesTheCpu) {
  const FakeDriver fake("hang");
  const auto source = GpuSource::start(impatient("gpu-monitor"), inbox_);
  const auto telemetry = inbox_.wait_for<control::TelemetryChanged>();
  ASSERT_TRUE(telemetry);
  EXPECT_FALSE(telemetry->telemetry.available);
  EXPECT_EQ(inbox_.wait_for<control::GpusSeen>()->gpus.at(0).uuid, "cpu-0");
}

TEST_F(Source, AMonitorThatDiesOrTalksNonsenseIsReplacedOnce) {
  for (const char* command : {"dying-monitor", "garbage-monitor"}) {
    CollectingInbox inbox;
    const auto source = GpuSource::start(options(command), inbox);
    const auto telemetry = inbox.wait_for<control::TelemetryChanged>();
    ASSERT_TRUE(telemetry) << command;
    EXPECT_NE(telemetry->telemetry.reason.find("monitor ended"), std::string::npos) << telemetry->telemetry.reason;
  }
}

TEST_F(Source, EndsAtOnceWhileAMonitorHangs) {
  auto source = start("silent-monitor");
  source.reset();
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 0);
}

TEST_F(Source, AProgramThatCannotBeStartedIsTold) {
  GpuSource::Options missing = options("gpu-monitor");
  missing.monitor_command = {"/nonexistent/pixelfleet", "gpu-monitor"};
  const auto source = GpuSource::start(missing, inbox_);
  const auto telemetry = inbox_.wait_for<control::TelemetryChanged>();
  ASSERT_TRUE(telemetry);
  EXPECT_NE(telemetry->telemetry.reason.find("/nonexistent/pixelfleet"), std::string::npos);
}

TEST_F(Source, OneLookNeedsNoServer) {
  const FakeDriver fake(nullptr);
  const auto statuses = look_at_gpus(options("gpu-monitor"), std::chrono::seconds(10));
  ASSERT_TRUE(statuses);
  ASSERT_EQ(statuses->size(), 2u);
  EXPECT_EQ((*statuses)[0].sample.power_watts, 250.5);

  const auto silent = look_at_gpus(options("silent-monitor"), std::chrono::milliseconds(30));
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->at(0).gpu.uuid, "cpu-0");

  GpuSource::Options given;
  given.instead = parse_gpu_spec("cpu+8GiB").value();
  const auto listed = look_at_gpus(given, std::chrono::seconds(1));
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_TRUE((*listed)[0].sample.memory_free_bytes);
  EXPECT_FALSE((*listed)[1].sample.memory_free_bytes);
}

}  // namespace
}  // namespace pixelfleet::gpu
