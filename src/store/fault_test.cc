// Every commit is there or not there, whatever the disk does: the n-th operation fails, for every n until a run is
// clean; the disk fills up; the power goes.
#include <gmock/gmock.h>

#include "base/log.h"
#include "store/connection_internal.h"
#include "store/fault_vfs_internal.h"
#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

using control::Change;
using Lasting = FaultVfs::Lasting;
using ::testing::HasSubstr;

// A job's life in three commits; more would only repeat operations.
std::vector<std::vector<Change>> life_of_a_job() {
  return {{make_run(1), make_job(1, 1, 2), make_event(1)},
          {make_chunk(1, 1, {0, 1}), make_update(1, JobState::running), make_event(2)},
          {make_publication(1, 0, 1), make_publication(1, 1, 1), make_update(1, JobState::done),
           control::FinishChunk{ChunkId(1), "done", std::nullopt, at(9)}, make_event(3)}};
}

Options options_on(const FaultVfs& vfs, std::int64_t ballast_bytes = 0) {
  Options options;
  options.ballast_bytes = ballast_bytes;
  options.vfs = vfs.name();
  return options;
}

// What the tables hold, in one line: after each commit of life_of_a_job() it is one of these.
constexpr const char* kFingerprint =
    "SELECT (SELECT count(*) FROM runs) || ' ' || (SELECT coalesce(group_concat(state || published), '-') FROM jobs) "
    "|| "
    "' ' || (SELECT coalesce(group_concat(state || coalesce(attempt, '-')), '-') FROM images) || ' ' || "
    "(SELECT coalesce(group_concat(coalesce(outcome, 'open')), '-') FROM attempts) || ' ' || "
    "(SELECT group_concat(state || count) FROM job_counts WHERE count > 0 OR state = 'held') || ' ' || "
    "(SELECT coalesce(max(seq), 0) FROM events)";

// Without failures by now; on the same layer, because it does not wait for the disk.
std::string fingerprint(const std::filesystem::path& directory, const FaultVfs& vfs) {
  // Opening migrates what an interrupted first start left, and checks every page.
  open_store(directory, options_on(vfs));
  auto connection = Connection::open(database_file(directory), Connection::Role::writer, vfs.name());
  auto line = (*connection)->ask(kFingerprint);
  EXPECT_TRUE(line) << line.error().message;
  return line.value_or("");
}

const std::vector<std::string>& stages() {
  static const std::vector<std::string> stages = {"0 - - - held0 0", "1 queued0 pending-,pending- - held0,queued1 1",
                                                  "1 running0 pending1,pending1 open held0,running1 2",
                                                  "1 done2 published1,published1 done done1,held0 3"};
  return stages;
}

struct Life {
  std::size_t acknowledged = 0;  // commits that said yes
  std::optional<Error> failure;  // of the first that said no, or of open()
};

Life live(const std::filesystem::path& directory, const FaultVfs& vfs) {
  Life run;
  const auto store = Store::open(directory, options_on(vfs));
  if (!store) {
    run.failure = store.error();
    return run;
  }
  for (const auto& changes : life_of_a_job()) {
    if (const auto done = (*store)->commit(changes); !done) {
      run.failure = done.error();
      return run;
    }
    ++run.acknowledged;
  }
  return run;
}

// What was acknowledged is there. What was refused is not, except after a failed sync, where nobody can know.
void expect_all_or_nothing(const std::string& found, const Life& run, bool outcome_unknown, int n) {
  const auto stage = std::find(stages().begin(), stages().end(), found);
  ASSERT_NE(stage, stages().end()) << "half a commit at operation " << n << ": " << found;
  const auto index = static_cast<std::size_t>(stage - stages().begin());
  if (outcome_unknown) {
    EXPECT_GE(index, run.acknowledged) << "operation " << n;
    EXPECT_LE(index, run.acknowledged + 1) << "operation " << n;
  } else {
    EXPECT_EQ(index, run.acknowledged) << "operation " << n << ": " << run.failure.value_or(Error{}).message;
  }
}

// The thousands of expected failures below are not worth a line each.
class StoreFaultTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { log::configure(log::Level::error, log::Style::text); }
};

// Runs the life with the n-th operation failing, for n = 1, 2 ... until none fails; returns how many n there were.
int fail_each_operation(Lasting lasting) {
  for (int n = 1;; ++n) {
    TemporaryDirectory directory;
    FaultVfs vfs;
    vfs.fail_at(n, lasting);
    const Life run = live(directory.path(), vfs);
    const bool clean = vfs.failures() == 0;
    const bool sync_failed = vfs.sync_failed();
    vfs.heal();
    expect_all_or_nothing(fingerprint(directory.path(), vfs), run, sync_failed, n);
    if (clean) {
      EXPECT_EQ(run.acknowledged, 3u);
      return n;
    }
    if (::testing::Test::HasFailure()) return n;
  }
}

TEST_F(StoreFaultTest, AFailingOperationLeavesEachCommitWholeOrAbsent) {
  EXPECT_GT(fail_each_operation(Lasting::once), 50) << "the loop no longer reaches the commits";
}

TEST_F(StoreFaultTest, ADiskThatDiesLeavesEachCommitWholeOrAbsent) {
  EXPECT_GT(fail_each_operation(Lasting::from_then_on), 50);
}

TEST_F(StoreFaultTest, APowerCutLosesNothingThatWasAcknowledged) {
  for (int n = 1;; ++n) {
    TemporaryDirectory directory;
    FaultVfs vfs;
    Rng rng(static_cast<std::uint64_t>(n));
    vfs.fail_at(n, Lasting::from_then_on);
    const Life run = live(directory.path(), vfs);
    const bool clean = vfs.failures() == 0;
    vfs.lose_power(rng);
    vfs.heal();
    // The commit that was under way may have reached the disk.
    expect_all_or_nothing(fingerprint(directory.path(), vfs), run, run.failure.has_value(), n);
    if (clean || HasFailure()) break;
  }
}

// The store works on after a failure that passes: the same commit again does what it said it did not.
TEST_F(StoreFaultTest, AfterAFailureThatPassesTheSameCommitSucceeds) {
  const auto life = life_of_a_job();
  for (int n = 1;; ++n) {
    TemporaryDirectory directory;
    FaultVfs vfs;
    auto store = open_store(directory.path(), options_on(vfs));
    vfs.fail_at(n, Lasting::once);
    for (const auto& changes : life) {
      if (!store->commit(changes)) expect_commit(*store, changes);
    }
    const bool clean = vfs.failures() == 0;
    EXPECT_EQ(store->job(JobId(1))->published, 2) << n;
    store.reset();
    EXPECT_EQ(fingerprint(directory.path(), vfs), stages().back()) << n;
    if (clean || HasFailure()) break;
  }
}

TEST_F(StoreFaultTest, AFullDiskIsAnOrdinaryAnswerAtEveryWrite) {
  const auto life = life_of_a_job();
  for (int n = 1;; ++n) {
    TemporaryDirectory directory;
    FaultVfs vfs;
    auto store = open_store(directory.path(), options_on(vfs));
    int writes = 0;
    vfs.fill_disk([&] { return ++writes >= n; });
    Life run;
    for (const auto& changes : life) {
      const auto done = store->commit(changes);
      if (!done) {
        run.failure = done.error();
        EXPECT_EQ(done.error().code, ErrorCode::disk_full);
        EXPECT_THAT(done.error().message, HasSubstr("free some space"));
        break;
      }
      ++run.acknowledged;
    }
    const bool clean = !run.failure;
    EXPECT_TRUE(store->jobs({})) << "reads go on";
    // There is space again: the same server goes on where it was refused.
    vfs.heal();
    for (std::size_t i = run.acknowledged; i < life.size(); ++i) expect_commit(*store, life[i]);
    store.reset();
    EXPECT_EQ(fingerprint(directory.path(), vfs), stages().back()) << n;
    if (clean || HasFailure()) break;
  }
}

TEST_F(StoreFaultTest, ADiskThatIsFullAtTheFirstStartSaysSo) {
  TemporaryDirectory directory;
  FaultVfs vfs;
  vfs.fill_disk([] { return true; });
  const auto store = Store::open(directory.path(), options_on(vfs));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::disk_full);
}

TEST_F(StoreFaultTest, TheBallastLetsRunningJobsFinishWhileSubmissionsAreRefused) {
  TemporaryDirectory directory;
  FaultVfs vfs;
  auto store = open_store(directory.path(), options_on(vfs, 64 << 10));
  const std::filesystem::path ballast = directory.path() / "ballast";
  EXPECT_EQ(std::filesystem::file_size(ballast), 64u << 10);
  const auto life = life_of_a_job();
  expect_commit(*store, life[0]);

  // Only what the ballast holds is left on this disk.
  vfs.fill_disk([&] { return std::filesystem::exists(ballast); });
  const auto refused = store->commit(std::vector<Change>{make_job(2, 1)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::disk_full);
  EXPECT_FALSE(std::filesystem::exists(ballast));
  expect_commit(*store, life[1]);
  expect_commit(*store, life[2]);
  EXPECT_EQ(store->job(JobId(1))->state, JobState::done);
  EXPECT_FALSE(store->job(JobId(2)));
}

TEST_F(StoreFaultTest, AReportOfARunningJobIsTriedAgainWithTheBallastsSpace) {
  TemporaryDirectory directory;
  FaultVfs vfs;
  auto store = open_store(directory.path(), options_on(vfs, 64 << 10));
  const auto life = life_of_a_job();
  expect_commit(*store, life[0]);
  vfs.fill_disk([&] { return std::filesystem::exists(directory.path() / "ballast"); });
  expect_commit(*store, life[1]);
  EXPECT_EQ(store->job(JobId(1))->state, JobState::running);
  // Once there is space again, it is kept for the next time.
  vfs.heal();
  expect_commit(*store, life[2]);
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "ballast"));
}

}  // namespace
}  // namespace pixelfleet::store
