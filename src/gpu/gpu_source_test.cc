#include "gpu/gpu_source.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "domain/gpu_spec.h"
#include "gpu/testing/collecting_inbox.h"
#include "gpu/testing/fake_driver.h"

namespace pixelfleet::gpu {
namespace {

constexpr const char* kTwoGpus =
    "gpu 0 uuid=GPU-aaaa-0000 temp 61 power 250.5 ; gpu 1 uuid=GPU-bbbb-1111 name=\"Fake B\" ;";
std::string two_gpus_and(const std::string& more) { return kTwoGpus + more; }

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
  const FakeDriver fake(kTwoGpus);
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
  const FakeDriver fake(kTwoGpus);
  ::setenv("CUDA_VISIBLE_DEVICES", "GPU-bb", 1);
  const auto source = start();
  const auto seen = inbox_.wait_for<control::GpusSeen>();
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->gpus.size(), 1u);
  EXPECT_EQ(seen->gpus[0].uuid, "GPU-bbbb-1111");
}

TEST_F(Source, N09ALostGpuLeavesTheListAndTheOthersStay) {
  FakeDriver fake(kTwoGpus);
  const auto source = start();
  ASSERT_TRUE(inbox_.wait_for<control::GpusSeen>());
  fake.says(two_gpus_and("gpu 1 ret * 15 xid 79"));
  const auto later = inbox_.wait_for<control::GpusSeen>([](const auto& seen) { return seen.gpus.size() == 1; });
  ASSERT_TRUE(later);
  EXPECT_EQ(later->gpus[0].uuid, "GPU-aaaa-0000");
  const auto evidence = inbox_.wait_for<control::GpuSamples>(
      [](const auto& samples) { return samples.samples.size() == 2 && samples.samples[1].detail.driver_code; });
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->samples[1].uuid, "GPU-bbbb-1111");
  EXPECT_EQ(evidence->samples[1].detail.driver_code, 15);
  EXPECT_EQ(evidence->samples[1].detail.xids, (std::vector<GpuXid>{{79, 1}}));
}

TEST_F(Source, N01WithoutADriverTheCpuIsTheGpu) {
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

TEST_F(Source, N04AFailingDriverIsTold) {
  const FakeDriver fake("init ret 18");
  const auto source = start();
  const auto telemetry = inbox_.wait_for<control::TelemetryChanged>();
  ASSERT_TRUE(telemetry);
  EXPECT_FALSE(telemetry->telemetry.available);
  EXPECT_NE(telemetry->telemetry.reason.find("restart the machine"), std::string::npos);
}

TEST_F(Source, N20AHangingDriverCostsTwoMonitorsAndNoGpu) {
  FakeDriver fake(kTwoGpus);
  const auto source = start();
  ASSERT_TRUE(inbox_.wait_for<control::GpuSamples>());
  fake.says(two_gpus_and("call nvmlDeviceGetMemoryInfo hang"));
  const auto telemetry = inbox_.wait_for<control::TelemetryChanged>();
  ASSERT_TRUE(telemetry);
  EXPECT_FALSE(telemetry->telemetry.available);
  EXPECT_NE(telemetry->telemetry.reason.find("does not answer"), std::string::npos);
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1) << "the gpus seen before stay in use";
}

TEST_F(Source, N06ADriverThatHangsFromTheStartLeavesTheCpu) {
  const FakeDriver fake("call nvmlInit hang");
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

TEST_F(Source, LooksNeedNoServer) {
  const FakeDriver fake(kTwoGpus);
  GpuLook look(options("gpu-monitor"), std::chrono::seconds(10));
  const auto statuses = look.look();
  ASSERT_TRUE(statuses);
  ASSERT_EQ(statuses->size(), 2u);
  EXPECT_EQ((*statuses)[0].sample.power_watts, 250.5);

  const auto silent = GpuLook(options("silent-monitor"), std::chrono::milliseconds(30)).look();
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->at(0).gpu.uuid, "cpu-0");

  GpuSource::Options given;
  given.instead = parse_gpu_spec("cpu+8GiB").value();
  const auto listed = GpuLook(given, std::chrono::seconds(1)).look();
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_TRUE((*listed)[0].sample.memory_free_bytes);
  EXPECT_FALSE((*listed)[1].sample.memory_free_bytes);
}

TEST_F(Source, LooksSayThatADriverFellSilentAndSeeItReturn) {
  FakeDriver fake(kTwoGpus);
  GpuLook look(options("gpu-monitor"), std::chrono::seconds(10));
  ASSERT_TRUE(look.look());
  const auto until = [&](auto wanted) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    auto seen = look.look();
    while (!wanted(seen) && std::chrono::steady_clock::now() < give_up) {
      ::poll(nullptr, 0, 20);  // a look never waits once there was a report
      seen = look.look();
    }
    return seen;
  };
  fake.says(two_gpus_and("segv"));
  const auto silent = until([](const auto& seen) { return !seen; });
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::unavailable) << "not the CPU: the gpus are still there";
  fake.says(kTwoGpus);
  const auto back = until([](const auto& seen) { return seen.has_value(); });
  ASSERT_TRUE(back);
  EXPECT_EQ(back->size(), 2u);
}

}  // namespace
}  // namespace pixelfleet::gpu
