#include "workers/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/format.h"
#include "base/unique_fd.h"

namespace pixelfleet::workers {
namespace {

// --- Landlock: the headers of our oldest distribution know ABI 2 only, so its interface is spelt out here -----------

struct Ruleset {
  std::uint64_t files;
  std::uint64_t network;  // from ABI 4
  std::uint64_t scoped;   // from ABI 6
};
struct [[gnu::packed]] BeneathPath {
  std::uint64_t allowed;
  std::int32_t parent;
};

constexpr std::uint64_t bit(int n) { return std::uint64_t{1} << n; }
constexpr std::uint64_t kExecute = bit(0);
constexpr std::uint64_t kWriteFile = bit(1);
constexpr std::uint64_t kReadFile = bit(2);
constexpr std::uint64_t kReadDirectory = bit(3);
constexpr std::uint64_t kRemoveAndMake = 0x1FF0;   // bits 4 to 12
constexpr std::uint64_t kRefer = bit(13);          // from ABI 2
constexpr std::uint64_t kTruncate = bit(14);       // from ABI 3
constexpr std::uint64_t kDeviceControl = bit(15);  // from ABI 5
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kDeviceControl;
constexpr std::uint64_t kNetwork = 0x3;  // bind and connect of TCP
constexpr std::uint64_t kScoped = 0x3;   // abstract sockets and signals to outside the cage

long landlock_abi() { return syscall(__NR_landlock_create_ruleset, nullptr, 0, 1u); }

std::uint64_t known_to(long abi, std::uint64_t rights) {
  if (abi < 2) rights &= ~kRefer;
  if (abi < 3) rights &= ~kTruncate;
  if (abi < 5) rights &= ~kDeviceControl;
  return rights;
}

// One layer of rules: of the rights that it handles, only those allowed below some path remain.
class Layer {
 public:
  Layer(long abi, Ruleset handled) : handled_(known_to(abi, handled.files)) {
    const Ruleset known{handled_, abi >= 4 ? handled.network : 0, abi >= 6 ? handled.scoped : 0};
    const std::size_t size = abi >= 6   ? sizeof(Ruleset)
                             : abi >= 4 ? offsetof(Ruleset, scoped)
                                        : offsetof(Ruleset, network);
    ruleset_.reset(static_cast<int>(syscall(__NR_landlock_create_ruleset, &known, size, 0u)));
  }

  // A path that does not exist needs no permission.
  void allow(const std::string& path, std::uint64_t rights) {
    const UniqueFd target(open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status {};
    if (!target || fstat(target.get(), &status) != 0) return;
    if (!S_ISDIR(status.st_mode)) rights &= kOfFiles;
    const BeneathPath rule{rights & handled_, target.get()};
    if (rule.allowed != 0) syscall(__NR_landlock_add_rule, ruleset_.get(), 1 /* beneath a path */, &rule, 0u);
  }

  bool enforce() { return ruleset_ && syscall(__NR_landlock_restrict_self, ruleset_.get(), 0u) == 0; }

 private:
  std::uint64_t handled_;
  UniqueFd ruleset_;
};

std::vector<std::string> device_files(Devices devices) {
  std::vector<std::string> paths{"/dev/null", "/dev/zero"};
  if (devices == Devices::amd) paths.insert(paths.end(), {"/dev/dri", "/dev/kfd"});
  if (devices == Devices::nvidia) {
    paths.emplace_back("/dev/dri");
    if (DIR* directory = opendir("/dev"); directory != nullptr) {
      while (const dirent* entry = readdir(directory)) {
        if (std::string_view(entry->d_name).starts_with("nvidia")) paths.push_back(format("/dev/{}", entry->d_name));
      }
      closedir(directory);
    }
  }
  return paths;
}

// Compiled kernels are cached below the home directory; without it every start compiles them again.
std::vector<std::string> kernel_caches(Devices devices) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || devices == Devices::none) return {};
  return {format("{}/.nv", home), format("{}/.cache/mesa_shader_cache", home),
          format("{}/.cache/radv_builtin_shaders", home)};
}

std::string forbid_writing(Devices devices) {
  const long abi = landlock_abi();
  if (abi < 1) return format("no Landlock ({})", strerror(errno));
  const std::uint64_t writing = kWriteFile | kRemoveAndMake | kRefer | kTruncate;
  Layer layer(abi, {writing | kDeviceControl, kNetwork, kScoped});
  for (const std::string& path : device_files(devices)) layer.allow(path, kWriteFile | kTruncate | kDeviceControl);
  for (const std::string& path : kernel_caches(devices)) layer.allow(path, writing);
  return layer.enforce() ? "" : format("Landlock was refused ({})", strerror(errno));
}

// --- seccomp --------------------------------------------------------------------------------------------------------

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;
#endif

// Ways to other processes, to the network, to more rights. Engines need none; each fails with EPERM.
constexpr std::array kForbidden{__NR_socket,          __NR_execve,           __NR_execveat,
                                __NR_ptrace,          __NR_process_vm_readv, __NR_process_vm_writev,
                                __NR_pidfd_getfd,     __NR_io_uring_setup,   __NR_bpf,
                                __NR_perf_event_open, __NR_userfaultfd,      __NR_mount,
                                __NR_umount2,         __NR_pivot_root,       __NR_unshare,
                                __NR_setns,           __NR_add_key,          __NR_request_key,
                                __NR_keyctl,          __NR_init_module,      __NR_finit_module,
                                __NR_delete_module,   __NR_kexec_load,       __NR_open_by_handle_at};

sock_filter statement(std::uint32_t code, std::size_t value) {
  return sock_filter{static_cast<std::uint16_t>(code), 0, 0, static_cast<std::uint32_t>(value)};
}
sock_filter jump(std::uint32_t code, std::size_t value, std::size_t if_true, std::size_t if_false) {
  return sock_filter{static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
                     static_cast<std::uint8_t>(if_false), static_cast<std::uint32_t>(value)};
}

std::string forbid_system_calls() {
  if (kArchitecture == 0) return "no system call filter for this kind of processor";
  const std::size_t count = kForbidden.size();
  std::vector<sock_filter> program;
  program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  // The x32 numbers of x86-64 would be a second door to every call.
  program.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, count + 1, 0));
  for (std::size_t i = 0; i < count; ++i) {
    program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::size_t>(kForbidden[i]), count - i, 0));
  }
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0) {
    return format("the system call filter was refused ({})", strerror(errno));
  }
  return "";
}

void limit_resources() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 1024);
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

// As root the process would still hold rights that pass by the cage, such as reading other processes' memory. It keeps
// reading files by name, so that root's models stay readable.
void drop_privileges() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(__NR_capget, &header, data) != 0) return;
  const std::uint32_t kept = (1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH);
  data[0] = {data[0].effective & kept, data[0].permitted & kept, 0};
  data[1] = {};
  syscall(__NR_capset, &header, data);
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string_view name(SandboxLevel level) {
  switch (level) {
    case SandboxLevel::none: return "none";
    case SandboxLevel::partial: return "partial";
    case SandboxLevel::full: return "full";
  }
  return "none";
}

SandboxReport enter_sandbox(Devices devices) {
  limit_resources();
  // Without its device file the driver starts a privileged helper, which no_new_privs would forbid for good.
  if (devices == Devices::nvidia && access("/dev/nvidia-uvm", F_OK) != 0) {
    return {SandboxLevel::none, "/dev/nvidia-uvm is missing and the driver must be able to create it"};
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return {SandboxLevel::none, format("no_new_privs was refused ({})", strerror(errno))};
  }
  drop_privileges();
  const std::string files = forbid_writing(devices);
  const std::string calls = forbid_system_calls();
  if (files.empty() && calls.empty()) return {SandboxLevel::full, ""};
  if (!files.empty() && !calls.empty()) return {SandboxLevel::none, files + "; " + calls};
  return {SandboxLevel::partial, files + calls};
}

std::string restrict_reading(const std::vector<std::string>& files, const std::vector<std::string>& libraries) {
  const long abi = landlock_abi();
  if (abi < 1) return format("no Landlock ({})", strerror(errno));
  constexpr std::uint64_t kReading = kExecute | kReadFile | kReadDirectory;
  Layer layer(abi, {kReading, 0, 0});
  for (const char* path : {"/usr", "/lib", "/lib64", "/lib32", "/opt/rocm", "/opt/cuda", "/nix/store", "/proc", "/sys",
                           "/dev", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/vulkan", "/etc/OpenCL",
                           "/etc/nvidia", "/etc/localtime", "/etc/nsswitch.conf", "/run/nvidia-persistenced"}) {
    layer.allow(path, kReading);
  }
  for (const std::string& library : libraries) {
    if (library.empty()) continue;
    // A packaged engine finds its own dependencies beside it or one directory up.
    layer.allow(directory_of(library), kReading);
    layer.allow(directory_of(directory_of(library)), kReading);
  }
  for (const std::string& path : kernel_caches(Devices::nvidia)) layer.allow(path, kReading);
  if (const char* listed = std::getenv("LD_LIBRARY_PATH"); listed != nullptr) {
    for (std::string_view rest = listed; !rest.empty();) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      if (end > 0) layer.allow(std::string(rest.substr(0, end)), kReading);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  for (const std::string& file : files) layer.allow(file, kReadFile | kReadDirectory);
  return layer.enforce() ? "" : format("Landlock was refused ({})", strerror(errno));
}

bool die_with_parent(int socket) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
  // Between our start and that call the parent may have died: then somebody else is our parent now.
  ucred creator{};
  socklen_t size = sizeof(creator);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &creator, &size) != 0) return false;
  return creator.pid == getppid();
}

}  // namespace pixelfleet::workers
