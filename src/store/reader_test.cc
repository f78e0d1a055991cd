// What readers see: pages that neither repeat nor skip, one state of the database, nothing held afterwards.
#include <gmock/gmock.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "store/connection_internal.h"
#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

using control::Change;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReaderTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_ = open_store(directory_.path());
};

std::vector<std::int64_t> ids_of(const std::vector<Job>& jobs) {
  std::vector<std::int64_t> ids;
  for (const Job& job : jobs) ids.push_back(job.id.value);
  return ids;
}

std::vector<std::int64_t> ids_of(const std::vector<Image>& images) {
  std::vector<std::int64_t> ids;
  for (const Image& image : images) ids.push_back(image.id.value);
  return ids;
}

TEST_F(ReaderTest, PagingThroughJobsGivesEachOnceNewestFirst) {
  std::vector<Change> changes = {make_run(1)};
  for (std::int64_t id = 1; id <= 2'000; ++id) {
    changes.emplace_back(make_job(id, 1));
    if (id % 3 == 0) changes.emplace_back(make_update(id, JobState::done));
    if (id % 3 == 1) changes.emplace_back(make_update(id, JobState::failed));
  }
  expect_commit(*store_, changes);
  const auto page_through = [&](std::vector<JobState> states) {
    control::JobQuery query{std::move(states), 199, std::nullopt};
    std::vector<std::int64_t> seen;
    while (true) {
      const auto page = store_->jobs(query);
      EXPECT_TRUE(page);
      if (!page || page->empty()) return seen;
      for (const std::int64_t id : ids_of(*page)) seen.push_back(id);
      query.after = page->back().id;
    }
  };
  const auto all = page_through({});
  ASSERT_THAT(all, SizeIs(2'000));
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<std::int64_t>(2'000 - i));

  const auto two_states = page_through({JobState::done, JobState::failed, JobState::done});
  ASSERT_THAT(two_states, SizeIs(1'333));
  for (std::size_t i = 1; i < two_states.size(); ++i) ASSERT_LT(two_states[i], two_states[i - 1]);
  for (const std::int64_t id : two_states) ASSERT_NE(id % 3, 2);
}

TEST_F(ReaderTest, ImagesAreListedOncePublishedNewestFirst) {
  expect_commit(*store_, {make_run(1), make_job(1, 1, 3), make_job(2, 1, 2), make_chunk(1, 1, {0, 1, 2}),
                          make_chunk(2, 2, {0, 1}), make_publication(2, 1, 2), make_publication(1, 2, 1),
                          make_publication(1, 0, 1)});
  EXPECT_THAT(ids_of(*store_->images({})), ElementsAre(2001, 1002, 1000));
  EXPECT_THAT(ids_of(*store_->images({std::nullopt, 2, std::nullopt})), ElementsAre(2001, 1002));
  EXPECT_THAT(ids_of(*store_->images({std::nullopt, 2, ImageId(1002)})), ElementsAre(1000));
  EXPECT_THAT(ids_of(*store_->images({JobId(1), 50, std::nullopt})), ElementsAre(1002, 1000));
  EXPECT_THAT(ids_of(*store_->images({JobId(1), 50, ImageId(1002)})), ElementsAre(1000));
  EXPECT_THAT(ids_of(*store_->images_of(JobId(1))), ElementsAre(1000, 1001, 1002));
}

TEST_F(ReaderTest, PagingThroughTenThousandImagesGivesEachOnce) {
  std::vector<Change> changes = {make_run(1)};
  for (std::int64_t id = 1; id <= 10; ++id) {
    changes.emplace_back(make_job(id, 1, 1000));
    std::vector<int> indices(1000);
    std::iota(indices.begin(), indices.end(), 0);
    changes.emplace_back(make_chunk(id, id, indices));
    for (int index = 0; index < 1000; ++index) changes.emplace_back(make_publication(id, index, id));
  }
  expect_commit(*store_, changes);
  control::ImageQuery query{std::nullopt, 173, std::nullopt};
  std::int64_t next = 10'999;  // ids run from 1000 to 10999
  while (true) {
    const auto page = store_->images(query);
    ASSERT_TRUE(page);
    if (page->empty()) break;
    for (const Image& image : *page) ASSERT_EQ(image.id.value, next--);
    query.after = page->back().id;
  }
  EXPECT_EQ(next, 999);
}

TEST_F(ReaderTest, EventsComeBackAfterASequenceNumberOldestFirst) {
  expect_commit(*store_, {make_event(1), make_event(2), make_event(3)});
  const auto events = store_->events(1, 10);
  ASSERT_TRUE(events);
  ASSERT_THAT(*events, SizeIs(2));
  EXPECT_EQ((*events)[0]->seq, 2);
  EXPECT_EQ((*events)[0]->type, "job.updated");
  EXPECT_EQ((*events)[0]->at, at(2));
  EXPECT_EQ((*events)[0]->data, "{\"n\":2}");
  EXPECT_THAT(*store_->events(0, 2), SizeIs(2));
  EXPECT_THAT(*store_->events(3, 10), IsEmpty());
}

TEST_F(ReaderTest, ManyThreadsReadWhileTheControlThreadCommits) {
  expect_commit(*store_, {make_run(1)});
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0;
  std::atomic<int> torn = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        // Each commit adds two jobs: a reader sees both or none.
        const auto jobs = store_->jobs({{JobState::queued, JobState::done}, 200, std::nullopt});
        if (!jobs) {
          ++failures;
        } else if (jobs->size() % 2 != 0) {
          ++torn;
        }
      }
    });
  }
  for (std::int64_t id = 1; id <= 100; id += 2) {
    expect_commit(*store_, {make_job(id, 1), make_job(id + 1, 1), make_update(id, JobState::done)});
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(torn, 0);
}

TEST_F(ReaderTest, AnIdleReaderKeepsNoReadTransactionOpen) {
  expect_commit(*store_, {make_run(1), make_job(1, 1), make_chunk(1, 1, {0}), make_publication(1, 0, 1)});
  ASSERT_TRUE(store_->jobs({{JobState::queued}, 10, std::nullopt}));
  ASSERT_TRUE(store_->job(JobId(1)));
  ASSERT_TRUE(store_->images({}));
  ASSERT_TRUE(store_->image(ImageId(1000)));
  ASSERT_TRUE(store_->events(0, 10));
  // A reader that still held an old snapshot would make this checkpoint busy (1), and the log would grow for ever.
  auto other = Connection::open(database_file(directory_.path()), Connection::Role::writer, "");
  EXPECT_EQ(*(*other)->ask("PRAGMA wal_checkpoint(TRUNCATE)"), "0");
  EXPECT_EQ(std::filesystem::file_size(directory_.path() / "pixelfleet.db-wal"), 0u);
}

}  // namespace
}  // namespace pixelfleet::store
