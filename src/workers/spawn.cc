#include "workers/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/format.h"
#include "ipc/channel.h"

extern char** environ;

namespace pixelfleet::workers {
namespace {

// The C library of our oldest distribution declares these without extern "C".
int open_pidfd(pid_t pid) { return static_cast<int>(syscall(__NR_pidfd_open, pid, 0)); }
int signal_pidfd(int pidfd, int signal) {
  return static_cast<int>(syscall(__NR_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

// posix_spawn's two settings objects, freed on every way out.
class Settings {
 public:
  Settings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Settings() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

void configure(Settings& settings, int socket, int output) {
  posix_spawn_file_actions_addopen(&settings.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&settings.actions, output, 1);
  posix_spawn_file_actions_adddup2(&settings.actions, output, 2);
  posix_spawn_file_actions_adddup2(&settings.actions, socket, kWorkerSocket);
  // Libraries of the server may hold descriptors that are not close-on-exec.
  posix_spawn_file_actions_addclosefrom_np(&settings.actions, kWorkerSocket + 1);

  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setsigdefault(&settings.attributes, &all);
  // Its own process group: a Ctrl-C in the terminal reaches the server, which ends its workers in order.
  posix_spawnattr_setpgroup(&settings.attributes, 0);
  posix_spawnattr_setflags(&settings.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::vector<std::string> filter_environment(const std::vector<std::string>& environment) {
  static constexpr std::array<std::string_view, 9> kNames{
      "PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "DRI_PRIME"};
  static constexpr std::array<std::string_view, 15> kPrefixes{"LC_",   "CUDA_", "NVIDIA_", "GGML_", "OMP_",
                                                              "GOMP_", "VK_",   "MESA_",   "HIP_",  "ROCR_",
                                                              "HSA_",  "ASAN_", "UBSAN_",  "TSAN_", "LSAN_"};
  std::vector<std::string> kept;
  for (const std::string& entry : environment) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
    bool keep = std::find(kNames.begin(), kNames.end(), name) != kNames.end();
    for (const std::string_view prefix : kPrefixes) keep = keep || name.starts_with(prefix);
    if (keep) kept.push_back(entry);
  }
  return kept;
}

Result<Process> spawn(const Command& command) {
  auto sockets = ipc::Channel::open_pair();
  if (!sockets) return fail(sockets.error());
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(system_error("creating a pipe for a worker's output", errno));
  UniqueFd output(ends[0]);
  const UniqueFd output_of_child(ends[1]);
  fcntl(output.get(), F_SETFL, O_NONBLOCK);

  std::vector<std::string> inherited;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) inherited.emplace_back(*entry);
  std::vector<std::string> environment = filter_environment(inherited);
  for (const auto& [name, value] : command.environment) {
    std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(name + "="); });
    environment.push_back(name + "=" + value);
  }
  std::vector<std::string> arguments{command.program};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());

  Settings settings;
  configure(settings, sockets->second.get(), output_of_child.get());
  Process process;
  const int error = posix_spawn(&process.pid, command.program.c_str(), &settings.actions, &settings.attributes,
                                pointers(arguments).data(), pointers(environment).data());
  if (error != 0) {
    Error failure = system_error(format("starting the worker program {}", command.program), error);
    failure.message += ". Reinstall PixelFleet, or check the program's permissions";
    return fail(std::move(failure));
  }
  process.pidfd.reset(open_pidfd(process.pid));
  if (!process.pidfd) {
    const int reason = errno;
    kill(process.pid, SIGKILL);
    while (waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return fail(system_error("watching a worker process", reason));
  }
  process.socket = std::move(sockets->first);
  process.output = std::move(output);
  return process;
}

void signal_process(const Process& process, int signal) { signal_pidfd(process.pidfd.get(), signal); }

std::optional<ExitStatus> reap(const Process& process, Reap how) {
  siginfo_t info{};
  int result = -1;
  do {
    result = waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED | (how == Reap::now ? WNOHANG : 0));
  } while (result != 0 && errno == EINTR);
  // Somebody else has collected it (SIGCHLD ignored by the host program): ended, but we cannot know how.
  if (result != 0) return ExitStatus{EndedBy::unknown, 0};
  if (info.si_pid == 0) return std::nullopt;
  return ExitStatus{info.si_code == CLD_EXITED ? EndedBy::exit : EndedBy::signal, info.si_status};
}

}  // namespace pixelfleet::workers
