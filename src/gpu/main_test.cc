// The test program is also the monitor that its tests start: `gpu_test gpu-monitor`, and a few bad ones.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <future>
#include <string_view>
#include <thread>

#include "gpu/monitor.h"

namespace {

// As one that hangs in a driver: a process ends only once its traced threads are reaped, by the test in this case.
int outlive_a_kill_as_monitor() {
  std::promise<bool> traced;
  std::thread([&traced] {
    traced.set_value(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
    while (true) ::pause();
  }).detach();
  return traced.get_future().get() ? pixelfleet::gpu::monitor_main() : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "gpu-monitor") return pixelfleet::gpu::monitor_main();
  if (command == "silent-monitor") return ::pause();
  if (command == "garbage-monitor") {
    constexpr std::string_view kGarbage = "{\"gpus\":[{]}\n";
    return ::write(STDOUT_FILENO, kGarbage.data(), kGarbage.size()) > 0 ? ::pause() : 1;
  }
  if (command == "dying-monitor") return 1;
  if (command == "clinging-monitor") return outlive_a_kill_as_monitor();
  ::setenv("PIXELFLEET_SYSFS_ROOT", "/nonexistent", 0);  // the machine's own AMD gpus are not for the tests
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
