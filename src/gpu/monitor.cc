#include "gpu/monitor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "gpu/nvml.h"
#include "gpu/visible_devices.h"

namespace pixelfleet::gpu {
namespace {

constexpr int kIntervalMs = 1000;

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// One round. A library that failed is opened anew in the next round: drivers are repaired and reloaded.
Report read_round(std::unique_ptr<Nvml>& nvml, const std::string& library) {
  Report report;
  if (!nvml) nvml = Nvml::open(library, report);
  if (!nvml) return report;
  report = nvml->read();
  if (report.driver != Driver::working) {
    nvml.reset();
    return report;
  }
  return only_visible(std::move(report), environment("NVIDIA_VISIBLE_DEVICES"), environment("CUDA_VISIBLE_DEVICES"));
}

bool write_line(int fd, std::string line) {
  line += '\n';
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = ::write(fd, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

// False when the parent has gone.
bool wait_for_next_round() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&input, 1, kIntervalMs);
  if (ready <= 0) return ready == 0 || errno == EINTR;
  char byte = 0;
  return ::read(STDIN_FILENO, &byte, 1) > 0;
}

}  // namespace

int monitor_main() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::signal(SIGPIPE, SIG_IGN);
  // Reports go to a descriptor of their own: a print of the driver's library cannot mix with them.
  const UniqueFd reports(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  const std::string library = environment("PIXELFLEET_NVML_LIBRARY").value_or(kNvmlLibrary);
  std::unique_ptr<Nvml> nvml;
  bool had_driver = false;
  do {
    Report report = read_round(nvml, library);
    if (report.driver == Driver::absent && had_driver) {  // as during an upgrade
      report = {Driver::failing, "the NVIDIA driver's library is gone; is the driver being upgraded?", {}};
    }
    if (!write_line(reports.get(), to_line(report))) return 0;
    if (report.driver == Driver::absent) return 0;  // nothing will change while we run
    had_driver = true;
  } while (wait_for_next_round());
  return 0;
}

}  // namespace pixelfleet::gpu
