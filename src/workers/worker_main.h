// The worker process: enters its sandbox, loads one model into one engine, makes pictures until it is told to end.
//
// This is `pixelfleet worker --socket-fd 3`. Loading starts such a process and unloading ends it; it keeps no state of
// its own. stdout belongs to nobody here: what an engine prints goes to stderr, which the server keeps as evidence.
#pragma once

#include <string_view>

namespace pixelfleet::workers {

// Names of the environment variables by which the supervisor tells what must be known before the first message.
namespace worker_environment {
inline constexpr const char* kSandbox = "PIXELFLEET_WORKER_SANDBOX";  // "off": for debuggers
inline constexpr const char* kDevices = "PIXELFLEET_WORKER_DEVICES";  // nvidia, amd; anything else: none
inline constexpr const char* kModel = "PIXELFLEET_WORKER_MODEL";      // for people who look at the process
}  // namespace worker_environment

// Runs to the end of the process, with the exit codes of exit_status.h; never returns to the caller.
[[noreturn]] void worker_main(int socket_fd, std::string_view build);

}  // namespace pixelfleet::workers
