#include "store/history.h"

#include <gmock/gmock.h>

#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

using control::Change;

TEST(History, IsReadBesideTheServerThatOwnsTheDatabaseNewestFirst) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  std::vector<Change> changes = {make_run(1)};
  for (std::int64_t id = 1; id <= 2'500; ++id) changes.emplace_back(make_job(id, 1));
  expect_commit(*store, changes);
  const auto jobs = read_history(directory.path(), 10'000);
  ASSERT_TRUE(jobs) << jobs.error().message;
  ASSERT_EQ(jobs->size(), 2'500u);
  EXPECT_EQ(jobs->front().id, JobId{2'500});
  EXPECT_EQ(jobs->back().id, JobId{1});
}

TEST(History, HoldsNoMoreThanAskedFor) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  expect_commit(*store, {make_run(1), make_job(1, 1), make_job(2, 1), make_job(3, 1)});
  const auto jobs = read_history(directory.path(), 2);
  ASSERT_EQ(jobs->size(), 2u);
  EXPECT_EQ(jobs->back().id, JobId{2});
}

TEST(History, OfADirectoryWithoutDatabaseIsEmpty) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(read_history(directory.path(), 10)->empty());
}

}  // namespace
}  // namespace pixelfleet::store
