// What the server sees of a driver in trouble: the source with a real monitor process and the scripted driver.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "gpu/gpu_source.h"
#include "gpu/testing/collecting_inbox.h"
#include "gpu/testing/fake_driver.h"

namespace pixelfleet::gpu {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kTwoGpus = "gpu 0 uuid=GPU-a temp 60 ; gpu 1 uuid=GPU-b temp 60 ;";
std::string two_gpus_and(const std::string& more) { return kTwoGpus + more; }

std::vector<std::string> uuids(const control::GpusSeen& seen) {
  std::vector<std::string> result;
  for (const Gpu& gpu : seen.gpus) result.push_back(gpu.uuid);
  return result;
}

// Of all threads of this process, the oldest first; those that were killed count until they have ended.
std::vector<pid_t> children() {
  std::vector<pid_t> result;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(thread.path() / "children");
    for (pid_t pid = 0; file >> pid;) result.push_back(pid);
  }
  return result;
}

// Reaps the thread that keeps a clinging monitor from ending.
void let_end(pid_t monitor) {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(monitor) + "/task")) {
    const pid_t id = std::stoi(thread.path().filename());
    if (id != monitor) {
      EXPECT_EQ(::waitpid(id, nullptr, __WALL), id);
    }
  }
}

class DriverFaults : public testing::Test {
 protected:
  void start(const std::string& script) {
    driver_.says(script);
    GpuSource::Options options;
    options.monitor_command = {this_program(), monitor_};
    options.first_round = first_round_;
    options.round = round_;
    options.replacement = replacement_;
    source_ = GpuSource::start(options, inbox_).value();
  }
  void start_with_two_gpus() {
    start(kTwoGpus);
    ASSERT_TRUE(wait_for_gpus({"GPU-a", "GPU-b"}));
  }
  bool wait_for_gpus(const std::vector<std::string>& expected) {
    return inbox_.wait_for<control::GpusSeen>([&](const auto& seen) { return uuids(seen) == expected; }).has_value();
  }
  std::optional<control::GpuSamples> wait_for_temperature(double celsius) {
    return inbox_.wait_for<control::GpuSamples>(
        [&](const auto& samples) { return samples.samples.front().temperature_celsius == celsius; });
  }
  // Some more turns of the source's thread: the CPU's samples come once a second.
  void wait_for_more_samples() {
    ASSERT_TRUE(inbox_.wait_for_count<control::GpuSamples>(inbox_.count<control::GpuSamples>() + 2));
  }
  std::optional<Telemetry> wait_for_telemetry(bool available) {
    const auto changed = inbox_.wait_for<control::TelemetryChanged>(
        [&](const auto& message) { return message.telemetry.available == available; });
    return changed ? std::optional<Telemetry>(changed->telemetry) : std::nullopt;
  }

  milliseconds first_round_{10'000};
  milliseconds round_{3'000};
  milliseconds replacement_{60'000};
  std::string monitor_ = "gpu-monitor";
  FakeDriver driver_{""};
  CollectingInbox inbox_;
  std::unique_ptr<GpuSource> source_;
};

TEST_F(DriverFaults, N03TheCpuWorksUntilTheDriverIsLoaded) {
  start("init ret 9");
  ASSERT_TRUE(wait_for_gpus({"cpu-0"}));
  EXPECT_THAT(wait_for_telemetry(false)->reason, HasSubstr("modprobe"));
  driver_.says(kTwoGpus);
  EXPECT_TRUE(wait_for_gpus({"GPU-a", "GPU-b"}));
  EXPECT_TRUE(wait_for_telemetry(true));
}

TEST_F(DriverFaults, N07WithoutAGpuTheCpuIsUsed) {
  start("count 0");
  EXPECT_TRUE(wait_for_gpus({"cpu-0"}));
}

TEST_F(DriverFaults, N08SixteenGpusPassThroughThePipe) {
  start("count 16 ; gpu 3 name=\"" + std::string(200, 'x') + "\"");
  const auto samples = inbox_.wait_for<control::GpuSamples>();
  ASSERT_TRUE(samples);
  EXPECT_EQ(samples->samples.size(), 16u);
}

TEST_F(DriverFaults, N10WhenAllAreLostTheirJobsWaitForThem) {
  start_with_two_gpus();
  driver_.says(two_gpus_and("gpu 0 ret * 15 ; gpu 1 ret * 15"));
  EXPECT_TRUE(wait_for_gpus({})) << "and not the CPU";
  EXPECT_EQ(inbox_.count<control::TelemetryChanged>(), 0) << "the driver itself works";
}

TEST_F(DriverFaults, N11ALostGpuThatComesBackIsSeenAgain) {
  start_with_two_gpus();
  driver_.says(two_gpus_and("gpu 0 ret * 15"));
  EXPECT_TRUE(wait_for_gpus({"GPU-b"}));
  driver_.says(two_gpus_and("gpu 0 temp 77"));
  EXPECT_TRUE(wait_for_temperature(77));
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 3);
}

TEST_F(DriverFaults, N13AReshuffleChangesIndicesAndNoIdentity) {
  start_with_two_gpus();
  driver_.says("gpu 1 uuid=GPU-b temp 60 ; gpu 0 uuid=GPU-a temp 60");
  ASSERT_TRUE(wait_for_gpus({"GPU-b", "GPU-a"}));
}

TEST_F(DriverFaults, N14ASwappedCardReplacesTheOldOne) {
  start_with_two_gpus();
  driver_.says(two_gpus_and("gpu 1 uuid=GPU-new"));
  EXPECT_TRUE(wait_for_gpus({"GPU-a", "GPU-new"}));
}

TEST_F(DriverFaults, N19ASlowRoundWithinTheDeadlineIsTakenAsItIs) {
  round_ = milliseconds(1'000);
  start_with_two_gpus();
  driver_.says(two_gpus_and("gpu 0 temp 77 ; call nvmlDeviceGetCount takes 500ms"));
  EXPECT_TRUE(wait_for_temperature(77));
  driver_.says(two_gpus_and("gpu 0 temp 78 ; call nvmlDeviceGetCount takes 500ms"));
  EXPECT_TRUE(wait_for_temperature(78));
  EXPECT_EQ(inbox_.count<control::TelemetryChanged>(), 0);
}

TEST_F(DriverFaults, N19RoundsBeyondTheDeadlineEndTheTelemetryAndNoGpu) {
  round_ = milliseconds(300);
  start_with_two_gpus();
  driver_.says(two_gpus_and("call nvmlDeviceGetCount takes 1500ms"));
  EXPECT_THAT(wait_for_telemetry(false)->reason, HasSubstr("does not answer"));
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1);
}

TEST_F(DriverFaults, N20AHangThatEndsCostsOneMonitorAndNothingElse) {
  round_ = milliseconds(200);
  start_with_two_gpus();
  driver_.says(two_gpus_and("gpu 0 temp 77 ; clock file ; call nvmlDeviceGetMemoryInfo hang 3s"));
  EXPECT_TRUE(wait_for_temperature(77)) << "by the second monitor";
  EXPECT_EQ(inbox_.count<control::TelemetryChanged>(), 0);
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1);
}

TEST_F(DriverFaults, N20ADriverThatAnswersAgainAfterTheTelemetryWasGivenUpIsHeardAgain) {
  round_ = milliseconds(200);
  first_round_ = milliseconds(2'000);
  replacement_ = milliseconds(4'000);
  start_with_two_gpus();
  driver_.says(two_gpus_and("call nvmlDeviceGetMemoryInfo hang"));
  ASSERT_TRUE(wait_for_telemetry(false));
  EXPECT_THAT(children(), IsEmpty()) << "what a kill ends does not linger";
  driver_.says(two_gpus_and("gpu 0 temp 77"));
  EXPECT_TRUE(wait_for_telemetry(true));
  EXPECT_TRUE(wait_for_temperature(77));
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1) << "the gpus stayed in use";
}

TEST_F(DriverFaults, N20ADriverIsAskedAgainAtOnceWhenAllThatHungInItHaveEnded) {
  monitor_ = "clinging-monitor";
  first_round_ = milliseconds(2'000);
  replacement_ = std::chrono::hours(1);
  start("call nvmlInit hang");
  ASSERT_THAT(wait_for_telemetry(false)->reason, HasSubstr("does not answer"));
  const std::vector<pid_t> hung = children();
  ASSERT_THAT(hung, SizeIs(2));
  driver_.says(kTwoGpus);
  let_end(hung[0]);
  wait_for_more_samples();
  EXPECT_THAT(children(), ElementsAre(hung[1])) << "one hangs still: nothing says that the driver answers";
  let_end(hung[1]);
  EXPECT_TRUE(wait_for_telemetry(true));
  EXPECT_TRUE(wait_for_gpus({"GPU-a", "GPU-b"}));
}

TEST_F(DriverFaults, N20WhileTwoHangNoThirdIsStartedHoweverMuchTimePasses) {
  monitor_ = "clinging-monitor";
  first_round_ = milliseconds(2'000);
  replacement_ = milliseconds(1);
  start("call nvmlInit hang");
  ASSERT_TRUE(wait_for_telemetry(false));
  wait_for_more_samples();
  const std::vector<pid_t> hung = children();
  ASSERT_THAT(hung, SizeIs(2));
  driver_.says(kTwoGpus);
  let_end(hung[0]);
  EXPECT_TRUE(wait_for_telemetry(true)) << "beside one that hangs there is room for one that tries";
  EXPECT_THAT(children(), AllOf(SizeIs(2), Contains(hung[1])));
}

TEST_F(DriverFaults, N21ADriverThatNoLongerCrashesItsMonitorIsHeardAgain) {
  replacement_ = milliseconds(1'000);
  start_with_two_gpus();
  driver_.says(two_gpus_and("segv"));
  ASSERT_TRUE(wait_for_telemetry(false));
  driver_.says(two_gpus_and("gpu 0 temp 77"));
  EXPECT_TRUE(wait_for_telemetry(true));
  EXPECT_TRUE(wait_for_temperature(77));
}

TEST_F(DriverFaults, N21AMonitorThatCrashesInTheDriverIsReplacedOnce) {
  start_with_two_gpus();
  driver_.says(two_gpus_and("segv"));
  EXPECT_THAT(wait_for_telemetry(false)->reason, HasSubstr("monitor ended"));
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1) << "generation goes on";
}

TEST_F(DriverFaults, N22XidsThatFindNoRoomAreToldLater) {
  start_with_two_gpus();
  inbox_.refuse(1);
  driver_.says(two_gpus_and("gpu 1 xid 13 x3"));
  const auto samples = inbox_.wait_for<control::GpuSamples>(
      [](const auto& message) { return message.samples.size() == 2 && !message.samples[1].detail.xids.empty(); });
  ASSERT_TRUE(samples);
  EXPECT_THAT(samples->samples[1].detail.xids, ElementsAre(GpuXid{13, 3}));
  EXPECT_THAT(samples->samples[0].detail.xids, IsEmpty());
}

TEST_F(DriverFaults, N27AnUpgradeUnderUsCostsTheTelemetryUntilItIsOver) {
  start_with_two_gpus();
  driver_.says(two_gpus_and("ret * 18 ; init ret 18"));
  EXPECT_THAT(wait_for_telemetry(false)->reason, HasSubstr("restart the machine"));
  driver_.says(two_gpus_and("driver 570.1"));
  EXPECT_TRUE(wait_for_telemetry(true));
  EXPECT_EQ(inbox_.count<control::GpusSeen>(), 1) << "the gpus stayed in use";
}

TEST_F(DriverFaults, N30ANeededRebootReachesTheServer) {
  start_with_two_gpus();
  driver_.says(two_gpus_and("gpu 0 recovery reboot"));
  EXPECT_TRUE(inbox_.wait_for<control::GpuSamples>(
      [](const auto& message) { return message.samples.front().detail.recovery_action == GpuRecovery::reboot; }));
}

}  // namespace
}  // namespace pixelfleet::gpu
