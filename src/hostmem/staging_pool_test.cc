// Real files in the real page cache. Where a file system keeps its files in memory anyway (tmpfs), nothing can leave it
// and these tests have nothing to see.
#include "hostmem/staging_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/format.h"
#include "hostmem/page_cache.h"

namespace pixelfleet::hostmem {
namespace {

using control::FilesOfModel;
using control::Message;
using control::ModelIsStaged;
using control::ModelIsUnstaged;

constexpr std::int64_t kMiB = 1 << 20;
constexpr long kTmpfs = 0x01021994;

class TestInbox final : public control::Inbox {
 public:
  void post(Message message) override {
    MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
    arrived_.notify_all();
  }
  bool offer(Message message) override {
    post(std::move(message));
    return true;
  }
  // The next one, waited for.
  Message next() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    MutexLock lock(mutex_);
    while (taken_ == messages_.size()) {
      if (arrived_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
        ADD_FAILURE() << "no message came";
        return control::ShutDown{};
      }
    }
    return messages_[taken_++];
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::vector<Message> messages_ GUARDED_BY(mutex_);
  std::size_t taken_ GUARDED_BY(mutex_) = 0;
};

std::string staged(const Message& message) {
  if (const auto* there = std::get_if<ModelIsStaged>(&message)) return there->model + " staged";
  if (const auto* gone = std::get_if<ModelIsUnstaged>(&message)) return gone->model + " unstaged";
  return "something else";
}

class StagingPoolTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::path(testing::TempDir()) / format("pixelfleet_hostmem_{}", ::getpid());
    std::filesystem::create_directories(directory_);
    struct statfs info {};
    ASSERT_EQ(::statfs(directory_.c_str(), &info), 0);
    if (info.f_type == kTmpfs) GTEST_SKIP() << directory_ << " is in memory anyway: set TEST_TMPDIR to a disk";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // On the disk, and out of memory.
  std::string make_file(const std::string& name, std::int64_t bytes) {
    const std::string path = directory_ / name;
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    const std::string block(static_cast<std::size_t>(kMiB), 'w');
    for (std::int64_t at = 0; at < bytes; at += kMiB) {
      EXPECT_EQ(::write(file.get(), block.data(), block.size()), static_cast<ssize_t>(block.size()));
    }
    EXPECT_EQ(::fsync(file.get()), 0);
    drop(path);
    EXPECT_EQ(resident(path), 0);
    return path;
  }
  static void drop(const std::string& path) { FileInMemory::open(path)->let_go(); }
  static std::int64_t resident(const std::string& path) {
    return FileInMemory::open(path)->resident_bytes()->value_or(-1);
  }
  StagingPool& pool(std::chrono::milliseconds watch_interval = std::chrono::hours(1)) {
    if (!pool_) pool_ = std::make_unique<StagingPool>(StagingPool::Options{watch_interval}, inbox_);
    return *pool_;
  }

  std::filesystem::path directory_;
  TestInbox inbox_;
  std::unique_ptr<StagingPool> pool_;
};

TEST_F(StagingPoolTest, BringsTheFilesOfAModelIntoMemory) {
  const FilesOfModel model{"a", {make_file("a1", 24 * kMiB), make_file("a2", kMiB)}};
  pool().stage(model);
  const Message answer = inbox_.next();
  ASSERT_EQ(staged(answer), "a staged");
  EXPECT_EQ(std::get<ModelIsStaged>(answer).bytes_read, 25 * kMiB);
  EXPECT_GT(std::get<ModelIsStaged>(answer).seconds, 0.0);
  EXPECT_EQ(resident(model.files[0]), 24 * kMiB);
  EXPECT_EQ(resident(model.files[1]), kMiB);
}

TEST_F(StagingPoolTest, WhatIsThereIsNotReadAgain) {
  const FilesOfModel model{"a", {make_file("a", 8 * kMiB)}};
  pool().stage(model);
  inbox_.next();
  pool().stage(model);
  const Message again = inbox_.next();
  ASSERT_EQ(staged(again), "a staged");
  EXPECT_EQ(std::get<ModelIsStaged>(again).bytes_read, 0);
}

TEST_F(StagingPoolTest, LetsGoWhatNoOtherModelNeeds) {
  const std::string shared = make_file("encoder", 8 * kMiB);
  const FilesOfModel a{"a", {make_file("a", 8 * kMiB), shared}};
  const FilesOfModel b{"b", {make_file("b", 8 * kMiB), shared}};
  pool().stage(a);
  inbox_.next();
  pool().stage(b);
  inbox_.next();
  pool().unstage(a);
  pool().stage({"c", {"/nowhere/c"}});  // answered once what was asked before is done
  EXPECT_EQ(staged(inbox_.next()), "c unstaged");
  EXPECT_EQ(resident(a.files[0]), 0);
  EXPECT_EQ(resident(shared), 8 * kMiB);
  EXPECT_EQ(resident(b.files[0]), 8 * kMiB);
}

TEST_F(StagingPoolTest, SeesThatTheSystemDroppedAFile) {
  const FilesOfModel model{"a", {make_file("a", 8 * kMiB)}};
  pool(std::chrono::milliseconds(10)).stage(model);
  ASSERT_EQ(staged(inbox_.next()), "a staged");
  drop(model.files[0]);
  EXPECT_EQ(staged(inbox_.next()), "a unstaged");
}

TEST_F(StagingPoolTest, AFileThatAWorkerHasReadCountsFromThenOn) {
  const FilesOfModel model{"a", {make_file("a", 8 * kMiB)}};
  const FilesOfModel absent{"b", {make_file("b", 8 * kMiB)}};
  const std::atomic<bool> never = false;
  ASSERT_TRUE(FileInMemory::open(model.files[0])->read_in(never));
  pool().check(absent);  // not there: nobody is told
  pool().check(model);
  const Message answer = inbox_.next();
  ASSERT_EQ(staged(answer), "a staged");
  EXPECT_EQ(std::get<ModelIsStaged>(answer).bytes_read, 0);
}

TEST_F(StagingPoolTest, AReadingThatNobodyWantsAnyMoreStopsAndIsAnswered) {
  const std::string endless = directory_ / "endless";  // holes read as zeros, for as long as one likes
  ASSERT_EQ(UniqueFd(::open(endless.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)).get() >= 0, true);
  std::filesystem::resize_file(endless, std::uintmax_t{1} << 36);
  const FilesOfModel big{"big", {endless}};
  const FilesOfModel waits{"waits", {make_file("waits", kMiB)}};
  const FilesOfModel next{"next", {make_file("next", kMiB)}};
  pool().stage(big);
  pool().stage(waits);
  pool().stage(next);
  pool().unstage(waits);
  EXPECT_EQ(staged(inbox_.next()), "waits unstaged");
  pool().unstage(big);
  EXPECT_EQ(staged(inbox_.next()), "big unstaged");
  EXPECT_EQ(staged(inbox_.next()), "next staged");
}

TEST_F(StagingPoolTest, EndsInTheMiddleOfAReading) {
  const std::string endless = directory_ / "endless";
  ASSERT_EQ(UniqueFd(::open(endless.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)).get() >= 0, true);
  std::filesystem::resize_file(endless, std::uintmax_t{1} << 36);
  pool().stage({"big", {endless}});
  pool_.reset();
  drop(endless);
}

TEST_F(StagingPoolTest, AFileThatCannotBeReadIsAnsweredToo) {
  pool().stage({"a", {directory_ / "missing"}});
  EXPECT_EQ(staged(inbox_.next()), "a unstaged");
  pool().stage({"a", {directory_}});
  EXPECT_EQ(staged(inbox_.next()), "a unstaged");
}

}  // namespace
}  // namespace pixelfleet::hostmem
