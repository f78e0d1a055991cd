// MonitorProcess: one life of the gpu monitor as its parent sees it: spawn, lines, end.
//
// Not thread-safe. Destruction kills the process; one that cannot be killed (it waits inside the driver) is left
// behind: nobody waits for it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "gpu/report.h"

namespace pixelfleet::gpu {

class MonitorProcess {
 public:
  // `command`: the program's path and its arguments.
  static Result<MonitorProcess> start(const std::vector<std::string>& command);
  ~MonitorProcess();
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

 private:
  MonitorProcess(pid_t pid, UniqueFd pidfd, UniqueFd input, UniqueFd output);

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd input_;   // closing it tells the monitor to end
  UniqueFd output_;  // not blocking
  std::string partial_;
};

}  // namespace pixelfleet::gpu
