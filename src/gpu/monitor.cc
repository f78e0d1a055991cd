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
#include "gpu/amd.h"
#include "gpu/nvml.h"
#include "gpu/visible_devices.h"

namespace pixelfleet::gpu {
namespace {

constexpr int kIntervalMs = 1000;

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// What NVIDIA's library says in one round. One that failed is opened anew in the next round: drivers are repaired and
// reloaded.
Report read_nvidia(std::unique_ptr<Nvml>& nvml, const std::string& library) {
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

std::vector<Reading> read_amd() {
  auto readings = read_amd_gpus(environment("PIXELFLEET_SYSFS_ROOT").value_or("/sys"));
  for (const char* variable : {"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"}) {
    readings = visible_to_cuda(std::move(readings), environment(variable));
  }
  return readings;
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
  bool had_nvidia = false, had_amd = false;
  do {
    Report nvidia = read_nvidia(nvml, library);
    if (nvidia.driver == Driver::absent && had_nvidia) {  // as during an upgrade
      nvidia = {Driver::failing, "the NVIDIA driver's library is gone; is the driver being upgraded?", {}};
    }
    had_nvidia = nvidia.driver != Driver::absent;
    std::vector<Reading> amd = read_amd();
    had_amd = had_amd || !amd.empty();
    Report report = with_amd_gpus(std::move(nvidia), std::move(amd));
    if (report.driver == Driver::absent && had_amd) report = {};  // all of them are gone, and may come back
    if (!write_line(reports.get(), to_line(report))) return 0;
    if (report.driver == Driver::absent) return 0;  // nothing will change while we run
  } while (wait_for_next_round());
  return 0;
}

}  // namespace pixelfleet::gpu
