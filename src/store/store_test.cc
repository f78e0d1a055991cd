#include "store/store.h"

#include <gmock/gmock.h>

#include "store/connection_internal.h"
#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

using control::Change;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StoreTest : public ::testing::Test {
 protected:
  void reopen() {
    store_.reset();
    store_ = open_store(directory_.path());
  }
  // What a column holds, asked past the store.
  std::string ask(const std::string& sql) {
    auto connection = Connection::open(database_file(directory_.path()), Connection::Role::reader, "");
    auto answer = (*connection)->ask(sql);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or("");
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_ = open_store(directory_.path());
};

TEST_F(StoreTest, AJobComesBackWithEveryField) {
  const auto insert = make_job(3, 1, 2);
  expect_commit(*store_, {make_run(1), insert});
  const auto job = store_->job(JobId(3));
  ASSERT_TRUE(job) << job.error().message;
  expect_same(*job, insert.job);
  const auto images = store_->images_of(JobId(3));
  ASSERT_TRUE(images);
  ASSERT_THAT(*images, SizeIs(2));
  expect_same((*images)[0], insert.images[0]);
  expect_same((*images)[1], insert.images[1]);
  const auto image = store_->image(insert.images[1].id);
  ASSERT_TRUE(image);
  expect_same(*image, insert.images[1]);
}

TEST_F(StoreTest, AnUpdateReplacesExactlyTheMutableColumns) {
  const auto insert = make_job(3, 1);
  control::UpdateJob update = make_update(3, JobState::held);
  update.held_reason = HeldReason::model_disabled;
  update.error = JobError{"engine_died", "signal 11", {"line 1", "line 2"}};
  update.worker_deaths = 2;
  update.cancel_requested = true;
  update.started_at = at(10);
  update.finished_at = at(20);
  expect_commit(*store_, {make_run(1), insert, update});
  Job expected = insert.job;
  expected.state = JobState::held;
  expected.held_reason = update.held_reason;
  expected.error = update.error;
  expected.worker_deaths = 2;
  expected.cancel_requested = true;
  expected.started_at = update.started_at;
  expected.finished_at = update.finished_at;
  expect_same(*store_->job(JobId(3)), expected);

  expect_commit(*store_, {make_update(3, JobState::queued)});
  expect_same(*store_->job(JobId(3)), insert.job);
}

TEST_F(StoreTest, AnOrderReplacesPlacePriorityAndPinAndNothingElse) {
  const auto insert = make_job(3, 1);
  expect_commit(*store_, {make_run(1), insert,
                          control::UpdateJobOrder{JobId(3), Priority::background, -2e15, GpuUuid("virtual-1")}});
  Job expected = insert.job;
  expected.requested.priority = Priority::background;
  expected.requested.rank = -2e15;  // further out than a client may ask for
  expected.requested.gpu = "virtual-1";
  expect_same(*store_->job(JobId(3)), expected);

  const JobSpec& asked = insert.job.requested;
  expect_commit(*store_, {control::UpdateJobOrder{JobId(3), asked.priority, asked.rank, asked.gpu}});
  expect_same(*store_->job(JobId(3)), insert.job);
}

TEST_F(StoreTest, AnEndedJobCanBeLoadedWithItsImagesToOpenItAgain) {
  const auto insert = make_job(3, 1, 2);
  expect_commit(*store_, {make_run(1), insert, make_update(3, JobState::failed)});
  const auto rows = store_->load_job(JobId(3));
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->job.state, JobState::failed);
  ASSERT_THAT(rows->images, SizeIs(2));
  expect_same(rows->images[1], insert.images[1]);
  EXPECT_EQ(store_->load_job(JobId(4)).error().code, ErrorCode::not_found);
}

TEST_F(StoreTest, WhatWasLearnedLastOfEachKindOfWorkOutlastsTheProcess) {
  const control::LearnedCost load{"load_from_disk", "a", "H100", -0.25, 3.0};
  const control::LearnedCost run{"run", "sdxl/euler", "H100", 0.5, 1.0};
  EXPECT_THAT(store_->restore()->costs, IsEmpty());
  expect_commit(*store_, {control::PutCost{run, from_unix_ms(1)}, control::PutCost{load, from_unix_ms(2)}});
  control::LearnedCost later = run;
  later.log_ratio = 0.75;
  later.count = 2.0;
  expect_commit(*store_, {control::PutCost{later, from_unix_ms(3)}});
  reopen();
  EXPECT_THAT(store_->restore()->costs, ElementsAre(load, later));
}

TEST_F(StoreTest, TheHealthOfGpusIsKeptAsItIsAndAsItCameToBe) {
  control::GpuStateRow first{.gpu = "GPU-a",
                             .at = from_unix_ms(1),
                             .from = "healthy",
                             .state = "suspect",
                             .reason = "fault",
                             .since = from_unix_ms(1),
                             .until = {},
                             .back_off_level = 0,
                             .hold = "none",
                             .hardware = "sound",
                             .workers = "reapable",
                             .job = JobId{7},
                             .model = "a",
                             .evidence = {"crash while running job 7", "line \"of\" log"},
                             .boot_id = "b1"};
  control::GpuStateRow second = first;
  second.at = from_unix_ms(5);
  second.from = "suspect";
  second.state = "quarantined";
  second.until = from_unix_ms(30'005);
  second.job.reset();
  control::GpuStateRow other = first;
  other.gpu = "GPU-b";
  expect_commit(*store_,
                {control::AppendGpuState{first}, control::AppendGpuState{other}, control::AppendGpuState{second}});
  reopen();
  EXPECT_THAT(store_->restore()->gpu_states, ElementsAre(second, other));
  EXPECT_THAT(*store_->gpu_history("GPU-a", 10), ElementsAre(second, first));
  EXPECT_THAT(*store_->gpu_history("GPU-a", 1), ElementsAre(second));
  EXPECT_THAT(*store_->gpu_history("GPU-c", 10), IsEmpty());
}

TEST_F(StoreTest, ADisabledModelOutlastsARestartUntilItIsEnabled) {
  const control::DisabledModel model{
      "a", "3 loads failed on 2 gpus", {"truncated"}, "a.safetensors 5", from_unix_ms(9)};
  expect_commit(*store_, {control::PutDisabledModel{model}});
  reopen();
  EXPECT_THAT(store_->restore()->disabled_models, ElementsAre(model));
  expect_commit(*store_, {control::DropDisabledModel{"a"}});
  EXPECT_THAT(store_->restore()->disabled_models, IsEmpty());
}

TEST_F(StoreTest, PausesAreReplacedAsAWholeAndOutlastARestart) {
  EXPECT_EQ(store_->restore()->pauses, Pauses{});
  expect_commit(*store_, {control::PutPauses{{.all = true, .owners = {"ada", "grace"}}}});
  reopen();
  EXPECT_EQ(store_->restore()->pauses, (Pauses{.all = true, .owners = {"ada", "grace"}}));
  expect_commit(*store_, {control::PutPauses{{.all = false, .owners = {"grace"}}}});
  EXPECT_EQ(store_->restore()->pauses, (Pauses{.all = false, .owners = {"grace"}}));
}

TEST_F(StoreTest, AnUploadComesBackWithEveryField) {
  const control::Upload upload{UploadId(4), "uploads/4.png", "image/png", 640, 480, 99, at(1)};
  expect_commit(*store_, {control::InsertUpload{upload}});
  const auto found = store_->upload(UploadId(4));
  EXPECT_EQ(store_->load_upload(UploadId(4))->file, upload.file);
  EXPECT_EQ(store_->load_upload(UploadId(9)).error().code, ErrorCode::not_found);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->file, upload.file);
  EXPECT_EQ(found->media_type, upload.media_type);
  EXPECT_EQ(found->width, 640);
  EXPECT_EQ(found->height, 480);
  EXPECT_EQ(found->bytes, 99);
  EXPECT_EQ(found->created_at, upload.created_at);
}

TEST_F(StoreTest, WhatIsNotThereIsNotFoundByName) {
  EXPECT_EQ(store_->job(JobId(9)).error(), (Error{ErrorCode::not_found, "there is no job 9"}));
  EXPECT_EQ(store_->image(ImageId(9)).error(), (Error{ErrorCode::not_found, "there is no image 9"}));
  EXPECT_EQ(store_->upload(UploadId(9)).error(), (Error{ErrorCode::not_found, "there is no upload 9"}));
  EXPECT_THAT(*store_->images_of(JobId(9)), IsEmpty());
}

TEST_F(StoreTest, ARestartRestoresOpenJobsWithImagesSettingsCountersAndTheLastIds) {
  std::vector<Change> changes = {make_run(1), make_run(2)};
  for (std::int64_t id = 1; id <= 6; ++id) changes.emplace_back(make_job(id, 1 + id % 2, 2));
  const JobState states[] = {JobState::queued, JobState::held,   JobState::running,
                             JobState::done,   JobState::failed, JobState::cancelled};
  for (std::int64_t id = 1; id <= 6; ++id) changes.emplace_back(make_update(id, states[id - 1]));
  control::UpdateJob cancelling = make_update(3, JobState::running);
  cancelling.cancel_requested = true;
  changes.emplace_back(cancelling);
  changes.emplace_back(make_chunk(8, 3, {0, 1}));
  changes.emplace_back(make_publication(3, 1, 8));
  changes.emplace_back(control::PutSettings{{{"multi_gpu.enabled", "true"}, {"multi_gpu.max_gpus", "2"}}});
  changes.emplace_back(control::PutSettings{{{"multi_gpu.max_gpus", "3"}}});
  changes.emplace_back(control::InsertUpload{{UploadId(5), "uploads/5.png", "image/png", 1, 1, 1, at(1)}});
  changes.emplace_back(make_event(41));
  changes.emplace_back(make_event(42));
  expect_commit(*store_, changes);
  reopen();

  const auto restored = store_->restore();
  ASSERT_TRUE(restored) << restored.error().message;
  ASSERT_THAT(restored->open_jobs, SizeIs(3));
  EXPECT_EQ(restored->open_jobs[0].job.state, JobState::queued);
  EXPECT_EQ(restored->open_jobs[1].job.state, JobState::held);
  const auto& running = restored->open_jobs[2];
  EXPECT_EQ(running.job.id, JobId(3));
  EXPECT_EQ(running.job.state, JobState::running);
  EXPECT_EQ(running.job.published, 1);
  EXPECT_TRUE(running.job.cancel_requested);
  ASSERT_THAT(running.images, SizeIs(2));
  EXPECT_EQ(running.images[0].state, ImageState::pending);
  EXPECT_EQ(running.images[1].state, ImageState::published);
  EXPECT_EQ(restored->counts, (JobCounts{1, 1, 1, 1, 1, 1}));
  EXPECT_THAT(restored->settings,
              ElementsAre(std::pair("multi_gpu.enabled", "true"), std::pair("multi_gpu.max_gpus", "3")));
  EXPECT_EQ(restored->last_seq, 42);
  EXPECT_EQ(restored->last_run, RunId(2));
  EXPECT_EQ(restored->last_job, JobId(6));
  EXPECT_EQ(restored->last_image, ImageId(6001));
  EXPECT_EQ(restored->last_chunk, ChunkId(8));
  EXPECT_EQ(restored->last_worker, WorkerId(108));
  EXPECT_EQ(restored->last_upload, UploadId(5));
}

TEST_F(StoreTest, AnEmptyStoreRestoresToNothing) {
  const auto restored = store_->restore();
  ASSERT_TRUE(restored);
  EXPECT_THAT(restored->open_jobs, IsEmpty());
  EXPECT_EQ(restored->counts, JobCounts{});
  EXPECT_EQ(restored->last_seq, 0);
  EXPECT_FALSE(restored->last_job);
}

TEST_F(StoreTest, AttemptsThatRanWhenTheServerDiedAreClosedAsLost) {
  expect_commit(*store_, {make_run(1), make_job(1, 1, 2), make_chunk(1, 1, {0}), make_chunk(2, 1, {1}),
                          control::FinishChunk{ChunkId(1), "done", std::nullopt, at(9)}});
  reopen();
  ASSERT_TRUE(store_->restore());
  EXPECT_EQ(ask("SELECT group_concat(id || outcome || coalesce(finished_at_ms, '-'), ' ') FROM attempts"),
            format("1done{} 2lost-", to_unix_ms(at(9))));
}

TEST_F(StoreTest, AChunkKeepsItsIndicesItsGpuAndWhyItFailed) {
  expect_commit(*store_, {make_run(1), make_job(1, 1, 3), make_chunk(4, 1, {0, 2}),
                          control::FinishChunk{ChunkId(4), "failed", JobError{"out_of_memory", "no", {}}, at(9)}});
  EXPECT_EQ(ask("SELECT indices FROM chunks WHERE id = 4 AND job_id = 1"), "[0,2]");
  EXPECT_EQ(ask("SELECT worker_id || gpu || outcome FROM attempts WHERE id = 4 AND chunk_id = 4"),
            "104virtual-0failed");
  EXPECT_THAT(ask("SELECT error FROM attempts"), HasSubstr("out_of_memory"));
}

TEST_F(StoreTest, PublishingSetsWhatMadeTheImageAndCountsIt) {
  const auto insert = make_job(1, 1, 2);
  const auto publication = make_publication(1, 1, 4);
  expect_commit(*store_, {make_run(1), insert, make_chunk(4, 1, {0, 1}), publication});
  Image expected = insert.images[1];
  expected.state = ImageState::published;
  expected.bytes = publication.bytes;
  expected.effective = publication.effective;
  expected.published_at = publication.published_at;
  expect_same(*store_->image(ImageId(1001)), expected);
  EXPECT_EQ(store_->job(JobId(1))->published, 1);
}

TEST_F(StoreTest, ALatePublicationOfAnOlderAttemptChangesNothing) {
  expect_commit(*store_, {make_run(1), make_job(1, 1), make_chunk(4, 1, {0}), make_chunk(5, 1, {0})});
  expect_commit(*store_, {make_publication(1, 0, 4)});
  EXPECT_EQ(store_->image(ImageId(1000))->state, ImageState::pending);
  EXPECT_EQ(store_->job(JobId(1))->published, 0);
  expect_commit(*store_, {make_publication(1, 0, 5)});
  EXPECT_EQ(store_->job(JobId(1))->published, 1);
}

TEST_F(StoreTest, ADoublePublicationCountsOnce) {
  expect_commit(*store_, {make_run(1), make_job(1, 1), make_chunk(4, 1, {0})});
  control::PublishImage again = make_publication(1, 0, 4);
  expect_commit(*store_, {make_publication(1, 0, 4), again});
  again.bytes = 1;
  expect_commit(*store_, {again});
  EXPECT_EQ(store_->job(JobId(1))->published, 1);
  EXPECT_EQ(store_->image(ImageId(1000))->bytes, 12'345);
}

TEST_F(StoreTest, AnImageWithoutAnAttemptCannotBePublished) {
  expect_commit(*store_, {make_run(1), make_job(1, 1), make_publication(1, 0, 0)});
  EXPECT_EQ(store_->job(JobId(1))->published, 0);
}

TEST_F(StoreTest, ANewAttemptDoesNotTakeBackWhatIsPublished) {
  expect_commit(*store_, {make_run(1), make_job(1, 1), make_chunk(4, 1, {0}), make_publication(1, 0, 4),
                          make_chunk(5, 1, {0}), make_publication(1, 0, 5)});
  EXPECT_EQ(store_->job(JobId(1))->published, 1);
}

TEST_F(StoreTest, ABatchOfAThousandIsAllOrNone) {
  std::vector<Change> changes = {make_run(1)};
  for (std::int64_t id = 1; id <= 1000; ++id) changes.emplace_back(make_job(id, 1));
  changes.emplace_back(make_job(500, 1));
  const auto refused = store_->commit(changes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(*store_->jobs({}), IsEmpty());
  EXPECT_FALSE(store_->run_directory_taken("run_1"));
  EXPECT_EQ(store_->restore()->counts, JobCounts{});

  changes.pop_back();
  expect_commit(*store_, changes);
  const auto restored = store_->restore();
  EXPECT_EQ(restored->counts.queued, 1000);
  // Enough for several threads to read them: still each once and in order.
  ASSERT_THAT(restored->open_jobs, SizeIs(1000));
  for (std::int64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(restored->open_jobs[static_cast<std::size_t>(i)].job.id, JobId(i + 1));
  }
}

TEST_F(StoreTest, AChangeOfAJobThatIsNotThereUndoesTheBatch) {
  const auto refused = store_->commit(std::vector<Change>{make_run(1), make_update(77, JobState::done)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{ErrorCode::not_found, "the store has no job 77"}));
  EXPECT_FALSE(store_->run_directory_taken("run_1"));
}

TEST_F(StoreTest, TwoImagesCannotHaveOnePath) {
  auto first = make_job(1, 1);
  auto second = make_job(2, 1);
  second.images[0].path = first.images[0].path;
  const auto refused = store_->commit(std::vector<Change>{make_run(1), first, second});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("images.path"));
}

TEST_F(StoreTest, ARunDirectoryIsTakenByARunOrByAnImageBelowIt) {
  auto insert = make_job(1, 1);
  insert.images[0].path = "elsewhere/x.png";
  expect_commit(*store_, {make_run(1), insert});
  EXPECT_TRUE(store_->run_directory_taken("run_1"));
  EXPECT_TRUE(store_->run_directory_taken("elsewhere"));
  EXPECT_FALSE(store_->run_directory_taken("run_2"));
  EXPECT_FALSE(store_->run_directory_taken("else"));
  EXPECT_FALSE(store_->run_directory_taken("elsewhere/x"));
}

TEST(StoreEventsTest, OnlyTheNewestEventsAreKeptAndOldOnesGoInSmallSteps) {
  TemporaryDirectory directory;
  Options options = small_options();
  {
    auto store = open_store(directory.path(), options);
    std::vector<Change> changes;
    for (std::int64_t seq = 1; seq <= 1000; ++seq) changes.emplace_back(make_event(seq));
    expect_commit(*store, changes);
  }
  options.events_kept = 100;
  auto store = open_store(directory.path(), options);
  expect_commit(*store, {make_event(1001)});
  const auto after_one = store->events(0, 2000);
  EXPECT_LT(after_one->size(), 1001u);
  EXPECT_GT(after_one->size(), 900u) << "one commit must not delete everything at once";
  for (std::int64_t seq = 1002; seq <= 1050; ++seq) expect_commit(*store, {make_event(seq)});
  const auto kept = store->events(0, 2000);
  ASSERT_THAT(*kept, SizeIs(100));
  EXPECT_EQ(kept->front()->seq, 951);
  EXPECT_EQ(kept->back()->seq, 1050);
}

TEST_F(StoreTest, AJobNeedsItsRun) {
  const auto refused = store_->commit(std::vector<Change>{make_job(1, 99)});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("FOREIGN KEY"));
}

TEST_F(StoreTest, ADamagedRowIsNamed) {
  expect_commit(*store_, {make_run(1), make_job(1, 1)});
  auto other = Connection::open(database_file(directory_.path()), Connection::Role::writer, "");
  ASSERT_TRUE((*other)->execute("UPDATE jobs SET settings = '{\"steps\":' WHERE id = 1"));
  const auto job = store_->job(JobId(1));
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, ErrorCode::corrupt);
  EXPECT_THAT(job.error().message, HasSubstr("job 1 is damaged in column settings"));
  EXPECT_EQ(store_->restore().error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace pixelfleet::store
