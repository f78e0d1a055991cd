#include "gpu/monitor_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <utility>

extern char** environ;

namespace pixelfleet::gpu {
namespace {

constexpr std::size_t kMaxLineBytes = 256 * 1024;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(system_error("cannot make a pipe", errno));
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// posix_spawn's two settings objects, freed on every way out.
class SpawnSettings {
 public:
  SpawnSettings(int input, int output) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);  // a Ctrl-C in the terminal is the server's to handle
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

}  // namespace

Result<MonitorProcess> MonitorProcess::start(const std::vector<std::string>& command) {
  auto input = make_pipe();
  auto output = make_pipe();
  if (!input) return fail(input.error());
  if (!output) return fail(output.error());
  if (::fcntl(output->read.get(), F_SETFL, O_NONBLOCK) != 0) {
    return fail(system_error("cannot prepare the monitor's pipe", errno));
  }
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const SpawnSettings settings(input->read.get(), output->write.get());
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, arguments[0], &settings.actions, &settings.attributes, arguments.data(), environ);
  if (error != 0) return fail(system_error("cannot start the gpu monitor " + command.front(), error));
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  return MonitorProcess(pid, std::move(pidfd), std::move(input->write), std::move(output->read));
}

MonitorProcess::MonitorProcess(pid_t pid, UniqueFd pidfd, UniqueFd input, UniqueFd output)
    : pid_(pid), pidfd_(std::move(pidfd)), input_(std::move(input)), output_(std::move(output)) {}

MonitorProcess::MonitorProcess(MonitorProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      partial_(std::move(other.partial_)) {}

MonitorProcess::~MonitorProcess() { static_cast<void>(end()); }

std::optional<Lingering> MonitorProcess::end() {
  if (pid_ < 0) return std::nullopt;
  input_.reset();
  ::kill(pid_, SIGKILL);
  constexpr int kPatienceMs = 100;
  pollfd ended{pidfd_.get(), POLLIN, 0};
  ::poll(&ended, 1, kPatienceMs);
  Lingering lingering(std::exchange(pid_, -1), std::move(pidfd_));
  if (lingering.has_ended()) return std::nullopt;
  return lingering;
}

bool Lingering::has_ended() {
  pid_t reaped = -1;
  do {
    reaped = ::waitpid(pid_, nullptr, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  return reaped != 0;
}

MonitorProcess::Received MonitorProcess::read_reports() {
  Received received;
  char buffer[16'384];
  while (true) {
    const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      received.ended = got == 0 || errno != EAGAIN;
      break;
    }
    partial_.append(buffer, static_cast<std::size_t>(got));
    if (partial_.size() > kMaxLineBytes) {
      received.ended = true;
      break;
    }
    for (auto end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
      auto report = report_from_line(std::string_view(partial_).substr(0, end));
      partial_.erase(0, end + 1);
      if (!report) {
        received.ended = true;
        return received;
      }
      received.reports.push_back(std::move(*report));
    }
  }
  return received;
}

}  // namespace pixelfleet::gpu
