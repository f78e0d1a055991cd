#include "workers/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/format.h"
#include "base/unique_fd.h"

namespace pixelfleet::workers {
namespace {

// Each check runs in a process of its own, as no cage can be left again. Exit code 0: as expected; 100: the kernel
// has no such cage (the test is then skipped).
constexpr int kNoCage = 100;

bool can_open(const std::string& path, int flags) {
  return UniqueFd(open(path.c_str(), flags | O_CLOEXEC, 0600)).get() >= 0;
}

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() {
    file_ = format("{}/sandbox_test_{}", testing::TempDir(), getpid());
    std::ofstream(file_) << "model";
    std::ofstream(file_ + ".other") << "secret";
  }
  ~SandboxTest() override {
    unlink(file_.c_str());
    unlink((file_ + ".other").c_str());
  }
  std::string file_;
};

#define EXPECT_IN_OWN_PROCESS(...)                                                                                  \
  EXPECT_EXIT(                                                                                                      \
      _exit(__VA_ARGS__),                                                                                           \
      [](int status) { return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kNoCage); }, \
      "")

TEST_F(SandboxTest, NothingCanBeWrittenExceptToSharedMemory) {
  EXPECT_IN_OWN_PROCESS([&] {
    if (enter_sandbox(Devices::none).level != SandboxLevel::full) return kNoCage;
    if (can_open(file_, O_WRONLY)) return 1;
    if (can_open(file_ + ".new", O_WRONLY | O_CREAT)) return 2;
    if (unlink(file_.c_str()) == 0) return 3;
    if (truncate(file_.c_str(), 0) == 0) return 4;
    const UniqueFd memory(memfd_create("test", MFD_CLOEXEC));
    if (write(memory.get(), "x", 1) != 1) return 5;
    if (!can_open(file_, O_RDONLY)) return 6;
    return 0;
  }());
}

TEST_F(SandboxTest, OnlyTheModelsFilesCanBeRead) {
  EXPECT_IN_OWN_PROCESS([&] {
    if (enter_sandbox(Devices::none).level != SandboxLevel::full) return kNoCage;
    if (!restrict_reading({file_}, {}).empty()) return 1;
    if (!can_open(file_, O_RDONLY)) return 2;
    if (can_open(file_ + ".other", O_RDONLY)) return 3;
    if (can_open("/etc/passwd", O_RDONLY)) return 4;
    if (!can_open("/proc/self/status", O_RDONLY)) return 5;
    // Its environment may hold the server's secrets.
    const UniqueFd environment(open(format("/proc/{}/environ", getppid()).c_str(), O_RDONLY | O_CLOEXEC));
    char byte = 0;
    if (read(environment.get(), &byte, 1) > 0) return 6;
    return 0;
  }());
}

TEST_F(SandboxTest, NoSocketsNoProgramsNoTracing) {
  EXPECT_IN_OWN_PROCESS([] {
    if (enter_sandbox(Devices::none).level != SandboxLevel::full) return kNoCage;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 1;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 2;
    char program[] = "/bin/true";
    char* const arguments[] = {program, nullptr};
    execv(program, arguments);
    if (errno != EPERM) return 3;
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) >= 0) return 4;
    rlimit core{};
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) return 5;
    return 0;
  }());
}

TEST(DieWithParent, NoticesAParentThatIsNotTheCreatorOfItsSocket) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  // The creator is this process, the parent of this process is another one.
  EXPECT_EXIT(
      {
        int own[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, own) != 0) _exit(9);
        _exit((die_with_parent(ends[1]) ? 0 : 1) + (die_with_parent(own[1]) ? 2 : 0));
      },
      ::testing::ExitedWithCode(0), "");
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace pixelfleet::workers
