#include "cli/gpu_commands.h"

#include <gmock/gmock.h>

#include "base/json_full.h"

namespace pixelfleet::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr IdleLimits kLimits{1000.0, 0.10};

Json gpu(int index, Json used, Json ratio, const char* state = "idle", const char* kind = "nvidia") {
  return {{"uuid", "GPU-" + std::to_string(index)},
          {"index", index},
          {"kind", kind},
          {"state", state},
          {"memory_total_bytes", 24'000},
          {"memory_used_bytes", std::move(used)},
          {"utilization_ratio", std::move(ratio)}};
}

TEST(IdleGpus, AreThoseWithLittleMemoryInUseAndLittleWork) {
  EXPECT_THAT(idle_gpus({gpu(0, 999, 0.09), gpu(1, 1000, 0.0), gpu(2, 0, 0.10)}, kLimits), ElementsAre("GPU-0"));
}

TEST(IdleGpus, AreNotThoseWhereTheServerLoadsOrWorksNorACpu) {
  EXPECT_THAT(idle_gpus({gpu(0, 0, 0.0, "busy"), gpu(1, 0, 0.0, "loading"), gpu(2, 0, 0.0, "offline"),
                         gpu(3, 0, 0.0, "draining"), gpu(4, 0, 0.0, "idle", "cpu"), gpu(5, 0, 0.0, "unused")},
                        kLimits),
              ElementsAre("GPU-5"));
}

TEST(IdleGpus, NeedAKnownMemoryUseAndNoKnownWork) {
  EXPECT_THAT(idle_gpus({gpu(0, nullptr, 0.0), gpu(1, 5, nullptr)}, kLimits), ElementsAre("GPU-1"));
  EXPECT_THAT(idle_gpus(Json::array(), kLimits), IsEmpty());
}

TEST(IdleGpus, MayDriveScreens) {
  const auto process = [](const char* kind, Json used) { return Json{{"kind", kind}, {"memory_used_bytes", used}}; };
  Json drives = gpu(0, 1500, 0.0);
  drives["detail"]["processes"] = {process("graphics", 600), process("graphics", nullptr)};
  Json computes = gpu(1, 1500, 0.0);
  computes["detail"]["processes"] = {process("graphics", 400), process("compute", 1100)};
  EXPECT_THAT(idle_gpus({drives, computes}, kLimits), ElementsAre("GPU-0"));
}

TEST(IdleGpus, WithMostFreeMemoryComeFirstThenByIndex) {
  EXPECT_THAT(idle_gpus({gpu(2, 500, 0.0), gpu(1, 100, 0.0), gpu(0, 100, 0.0)}, kLimits),
              ElementsAre("GPU-0", "GPU-1", "GPU-2"));
}

}  // namespace
}  // namespace pixelfleet::cli
