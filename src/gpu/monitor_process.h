// MonitorProcess: one life of the gpu monitor as its parent sees it: spawn, lines, end.
//
// Not thread-safe. Its end is a kill; a process that waits inside the driver outlives that, for as long as the driver
// lets it hang. What is left of it (Lingering) tells when it is gone.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "gpu/report.h"

namespace pixelfleet::gpu {

// A process that was killed and has not ended. Not thread-safe. Destruction leaves it behind: nobody waits for it.
class Lingering {
 public:
  Lingering(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  // Readable once it has ended; -1 on a kernel that cannot tell.
  int fd() const { return pidfd_.get(); }
  // Asks the kernel, and reaps it. Not to be asked again once it has ended.
  bool has_ended();

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

class MonitorProcess {
 public:
  // `command`: the program's path and its arguments.
  static Result<MonitorProcess> start(const std::vector<std::string>& command);
  ~MonitorProcess();  // as end(), and forgets what lingers
  MonitorProcess(MonitorProcess&& other) noexcept;
  MonitorProcess& operator=(MonitorProcess&&) = delete;

  // Readable when read_reports() has something to say.
  int fd() const { return output_.get(); }

  // What came since the last call, in order. Never blocks.
  struct Received {
    std::vector<Report> reports;
    bool ended = false;  // the process has closed its output, or sent what is no report
  };
  Received read_reports();

  // Kills it. What has not ended a moment later lingers. Nothing else may be asked of it then.
  std::optional<Lingering> end();

 private:
  MonitorProcess(pid_t pid, UniqueFd pidfd, UniqueFd input, UniqueFd output);

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd input_;   // closing it tells the monitor to end
  UniqueFd output_;  // not blocking
  std::string partial_;
};

}  // namespace pixelfleet::gpu
