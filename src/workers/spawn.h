// Starts a worker process and keeps what its parent needs: pidfd, socket, output pipe.
//
// posix_spawn only: fork would copy the page tables of a big server. The child gets /dev/null, one pipe as stdout and
// stderr, and its socket as descriptor 3; nothing else of the server reaches it, neither descriptors nor signal
// dispositions nor unlisted environment variables. Must be called on a thread that lives as long as the worker: the
// child asks the kernel to be killed when that thread ends.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "workers/exit_status.h"

namespace pixelfleet::workers {

struct Command {
  std::string program;
  std::vector<std::string> arguments;                            // without the program's name
  std::vector<std::pair<std::string, std::string>> environment;  // added to what is inherited
};

inline constexpr int kWorkerSocket = 3;  // the descriptor under which a worker finds its socket

struct Process {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd socket;  // our end
  UniqueFd output;  // non-blocking; what the child prints
};

Result<Process> spawn(const Command& command);

// Sends a signal; a process that has ended already is no error.
void signal_process(const Process& process, int signal);

enum class Reap { now, wait };
// The exit status once the process has ended, and removes the zombie. With Reap::now nothing where it still runs.
std::optional<ExitStatus> reap(const Process& process, Reap how);

// What a worker inherits of `environment` ("NAME=value"): what loaders, locales and drivers read, nothing of ours.
std::vector<std::string> filter_environment(const std::vector<std::string>& environment);

}  // namespace pixelfleet::workers
