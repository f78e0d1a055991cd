#include "hostmem/available_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/format.h"

namespace pixelfleet::hostmem {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class AvailableMemory : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void machine(std::int64_t gib) {
    put("proc/meminfo",
        format("MemTotal:       24684096 kB\nMemFree:  5 kB\nMemAvailable: {} kB\n", gib * 1024 * 1024));
  }

  const std::filesystem::path root_ =
      std::filesystem::path(testing::TempDir()) / format("pixelfleet_memory_{}", ::getpid());
};

TEST_F(AvailableMemory, IsWhatTheMachineHasWhereNoCgroupLimitsIt) {
  machine(20);
  EXPECT_EQ(available_bytes(root_), 20 * kGiB);
  put("proc/self/cgroup", "0::/\n");
  put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(available_bytes(root_), 20 * kGiB);
  EXPECT_EQ(default_limit_bytes(root_), 10 * kGiB);
}

TEST_F(AvailableMemory, TheNarrowestCgroupOnTheWayUpCounts) {
  machine(20);
  put("proc/self/cgroup", "0::/system.slice/pixelfleet.service\n");
  put("sys/fs/cgroup/system.slice/memory.max", format("{}\n", 6 * kGiB));
  put("sys/fs/cgroup/system.slice/pixelfleet.service/memory.max", format("{}\n", 8 * kGiB));
  EXPECT_EQ(available_bytes(root_), 6 * kGiB);
}

TEST_F(AvailableMemory, AContainerSeesItsOwnGroupAsTheMount) {
  machine(20);
  put("proc/self/cgroup", "0::/\n");
  put("sys/fs/cgroup/memory.max", format("{}\n", 4 * kGiB));
  EXPECT_EQ(available_bytes(root_), 4 * kGiB);
}

TEST_F(AvailableMemory, ReadsTheFirstGenerationOfCgroupsToo) {
  machine(20);
  put("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", format("{}\n", 3 * kGiB));
  EXPECT_EQ(available_bytes(root_), 3 * kGiB);
}

TEST_F(AvailableMemory, IsNothingWhereNothingCanBeRead) { EXPECT_EQ(default_limit_bytes(root_), 0); }

TEST(AvailableMemoryHere, ThisMachineHasSome) { EXPECT_GT(available_bytes(), 0); }

}  // namespace
}  // namespace pixelfleet::hostmem
