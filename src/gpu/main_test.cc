// The test program is also the monitor that its tests start: `gpu_test gpu-monitor`, and a few bad ones.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <string_view>

#include "gpu/monitor.h"

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "gpu-monitor") return pixelfleet::gpu::monitor_main();
  if (command == "silent-monitor") return ::pause();
  if (command == "garbage-monitor") {
    constexpr std::string_view kGarbage = "{\"gpus\":[{]}\n";
    return ::write(STDOUT_FILENO, kGarbage.data(), kGarbage.size()) > 0 ? ::pause() : 1;
  }
  if (command == "dying-monitor") return 1;
  ::setenv("PIXELFLEET_SYSFS_ROOT", "/nonexistent", 0);  // the machine's own AMD gpus are not for the tests
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
