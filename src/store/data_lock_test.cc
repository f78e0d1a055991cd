#include "store/data_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <fstream>

#include "base/unique_fd.h"
#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const RunningServer kServer{4711, "127.0.0.1", 7865, at(1), "0.1.0"};
constexpr const char* kDirectoryVariable = "PIXELFLEET_TEST_LOCK_DIRECTORY";
constexpr char kHasTheLock = 6;  // what the child says, in bytes that no other output has
constexpr char kHasNone = 21;

TEST(DataLockTest, TheHolderIsReadFromTheDirectory) {
  TemporaryDirectory directory;
  const auto lock = DataLock::acquire(directory.path(), kServer);
  ASSERT_TRUE(lock) << lock.error().message;
  const auto server = read_running_server(directory.path());
  ASSERT_TRUE(server);
  EXPECT_EQ(*server, kServer);
}

TEST(DataLockTest, TheAnnouncedPortReplacesTheFirstLine) {
  TemporaryDirectory directory;
  RunningServer self = kServer;
  self.version = "a version with a long name";
  self.port = 0;
  auto lock = DataLock::acquire(directory.path(), self);
  ASSERT_TRUE(lock);
  EXPECT_EQ((*read_running_server(directory.path()))->url(), "");
  ASSERT_TRUE(lock->announce(kServer));
  EXPECT_EQ(*read_running_server(directory.path()), kServer);
}

TEST(DataLockTest, ASecondServerIsToldWhoHasTheDirectory) {
  TemporaryDirectory directory;
  const auto first = DataLock::acquire(directory.path(), kServer);
  ASSERT_TRUE(first);
  const auto second = DataLock::acquire(directory.path(), kServer);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_EQ(second.error().message,
            format("data directory {} is in use by process 4711 (page at http://127.0.0.1:7865); stop it or choose "
                   "another with --data",
                   directory.path().native()));
}

TEST(DataLockTest, WhoHasNoPageYetIsNamedByProcessAlone) {
  TemporaryDirectory directory;
  RunningServer self = kServer;
  self.port = 0;
  const auto first = DataLock::acquire(directory.path(), self);
  const auto second = DataLock::acquire(directory.path(), self);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("is in use by process 4711; stop it"));
}

TEST(DataLockTest, AReleasedDirectoryIsFreeAndNamesNobody) {
  TemporaryDirectory directory;
  { ASSERT_TRUE(DataLock::acquire(directory.path(), kServer)); }
  EXPECT_EQ(*read_running_server(directory.path()), std::nullopt);
  EXPECT_TRUE(DataLock::acquire(directory.path(), kServer));
}

TEST(DataLockTest, AStaleFileWithoutAHolderNamesNobody) {
  TemporaryDirectory directory;
  std::ofstream(directory.path() / "lock") << R"({"pid":1,"address":"127.0.0.1","port":80})"
                                           << "\n";
  EXPECT_EQ(*read_running_server(directory.path()), std::nullopt);
  EXPECT_TRUE(DataLock::acquire(directory.path(), kServer));
}

TEST(DataLockTest, ADirectoryThatIsNotThereHasNoServer) {
  EXPECT_EQ(*read_running_server("/nonexistent/data"), std::nullopt);
}

TEST(DataLockTest, ALineThatIsHalfWrittenOrOfAnotherProgramIsAHolderWithoutAName) {
  for (const char* line : {"", "{\"pid\":47", "[]\n", "{\"pid\":\"x\"}\n", "{\"port\":{}}\n"}) {
    TemporaryDirectory directory;
    const auto lock = DataLock::acquire(directory.path(), kServer);
    std::ofstream(directory.path() / "lock", std::ios::trunc) << line;
    const auto server = read_running_server(directory.path());
    ASSERT_TRUE(server && *server) << line;
    EXPECT_EQ((*server)->url(), "") << line;
    EXPECT_THAT(DataLock::acquire(directory.path(), kServer).error().message, HasSubstr("in use by another process"));
  }
}

TEST(DataLockTest, AnIPv6AddressIsBracketedInTheUrl) {
  RunningServer server = kServer;
  server.address = "::1";
  EXPECT_EQ(server.url(), "http://[::1]:7865");
}

TEST(DataLockTest, ADirectoryThatCannotBeWrittenIsNamedWithTheNextStep) {
  TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "x";
  const auto lock = DataLock::acquire(directory.path() / "file", kServer);
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, AllOf(HasSubstr("cannot use the data directory"), HasSubstr("--data")));
}

// The other process of the next test: takes the lock, says so, waits for an end of input that never comes.
TEST(DataLockChild, DISABLED_HoldsTheLockUntilItDies) {
  const char* directory = ::secure_getenv(kDirectoryVariable);
  ASSERT_NE(directory, nullptr);
  const auto lock = DataLock::acquire(directory, kServer);
  const char answer = lock ? kHasTheLock : kHasNone;
  ASSERT_EQ(::write(STDOUT_FILENO, &answer, 1), 1);
  char ignored = 0;
  ASSERT_EQ(::read(STDIN_FILENO, &ignored, 1), 0);
}

class Child {
 public:
  explicit Child(const std::filesystem::path& directory) {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    EXPECT_EQ(::pipe2(in.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out.data(), O_CLOEXEC), 0);
    const UniqueFd child_in(in[0]);
    const UniqueFd child_out(out[1]);
    to_child_.reset(in[1]);
    from_child_.reset(out[0]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child_in.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, child_out.get(), STDOUT_FILENO);
    std::string program = "/proc/self/exe";
    std::string filter = "--gtest_filter=DataLockChild.DISABLED_HoldsTheLockUntilItDies";
    std::string disabled = "--gtest_also_run_disabled_tests";
    std::string quiet = "--gtest_brief=1";
    std::string variable = std::string(kDirectoryVariable) + "=" + directory.native();
    std::array<char*, 5> arguments = {program.data(), filter.data(), disabled.data(), quiet.data(), nullptr};
    std::array<char*, 2> environment = {variable.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environment.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Child() { end(SIGKILL); }

  // Whether it said that it has the lock; gtest's own lines come before.
  bool has_the_lock() {
    char c = 0;
    while (::read(from_child_.get(), &c, 1) == 1) {
      if (c == kHasTheLock || c == kHasNone) return c == kHasTheLock;
    }
    return false;
  }
  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd to_child_;
  UniqueFd from_child_;
};

TEST(DataLockTest, DeathFreesTheDirectory) {
  TemporaryDirectory directory;
  Child child(directory.path());
  ASSERT_TRUE(child.has_the_lock());
  EXPECT_EQ(DataLock::acquire(directory.path(), kServer).error().code, ErrorCode::conflict);
  EXPECT_EQ(*read_running_server(directory.path()), kServer);
  child.end(SIGKILL);
  EXPECT_EQ(*read_running_server(directory.path()), std::nullopt);
  EXPECT_TRUE(DataLock::acquire(directory.path(), kServer));
}

}  // namespace
}  // namespace pixelfleet::store
