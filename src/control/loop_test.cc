#include "control/loop.h"

#include <gtest/gtest.h>

#include "control/testing.h"

namespace pixelfleet::control {
namespace {

using testing::demo_catalog;
using testing::Diary;
using testing::LoopTest;

TEST_F(LoopTest, AnswersASubmissionOnlyAfterItsCommit) {
  open_with_gpu();
  const auto receipt = submit(2);
  ASSERT_TRUE(receipt) << receipt.error().message;
  EXPECT_EQ(receipt->run_dir, receipt->jobs[0].run_dir);
  EXPECT_LT(place("commit"), place("reply"));
  EXPECT_LT(place("reply"), place("tell job.created"));
  EXPECT_EQ(count("start worker 1 demo-landscape"), 1);
}

TEST_F(LoopTest, StartsAChunkOnlyAfterItsRowIsCommitted) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  make_ready();
  EXPECT_LT(place("row chunk 1"), place("run chunk 1"));
  EXPECT_LT(place("run chunk 1"), place("tell job.updated"));
}

TEST_F(LoopTest, AJobIsDoneWhenItsLastPictureIsCommitted) {
  open_with_gpu();
  ASSERT_TRUE(submit(2));
  make_ready();
  hand_over(0);
  written(0);
  EXPECT_EQ(count("tell image.published"), 1);
  hand_over(1);
  turn(ChunkIsOver{workers.requests[0].worker, ChunkId{1}, "done", {}});
  EXPECT_EQ(count("row job 1 done"), 0) << "a picture is still being written";
  written(1);
  EXPECT_LT(place("row image 1/1"), place("row job 1 done"));
  EXPECT_EQ(count("log job 1 done"), 1);
  EXPECT_EQ(loop->live()->counts.done, 1);
  EXPECT_EQ(loop->live()->counts.running, 0);
}

TEST_F(LoopTest, APictureOfALostAttemptIsFencedOff) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  make_ready();
  hand_over(0);
  const PictureRequest late = media.pictures.back();
  turn(PictureFailed{late.worker, late.attempt, late.job.id, 0, {ErrorCode::internal, "I/O error"}});
  turn(ChunkIsOver{late.worker, late.attempt, "done", {}});
  ASSERT_EQ(workers.requests.size(), 2u) << "the missing image is made again";
  turn(PictureWritten{late.worker, late.attempt, late.job.id, 0, 1000, {}});
  EXPECT_EQ(count("row image 1/0"), 0);
  hand_over(0);
  written(0);
  EXPECT_EQ(count("row image 1/0"), 1);
}

TEST_F(LoopTest, AJobWhosePicturesCannotBeWrittenFails) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  make_ready();
  for (int attempt = 0; attempt < 3; ++attempt) {
    hand_over(0);
    const PictureRequest picture = media.pictures.back();
    turn(ChunkIsOver{picture.worker, picture.attempt, "done", {}});
    turn(PictureFailed{picture.worker, picture.attempt, picture.job.id, 0, {ErrorCode::permission_denied, "denied"}});
  }
  EXPECT_EQ(count("row job 1 failed"), 1);
  EXPECT_EQ(workers.requests.size(), 3u);
}

TEST_F(LoopTest, AFullDiskRefusesSubmissionsAndStopsNothingThatRuns) {
  open_with_gpu();
  ASSERT_TRUE(submit(2));
  make_ready();
  hand_over(0);
  store.full = true;
  diary.clear();
  written(0);
  EXPECT_EQ(count("taken 1/0"), 0) << "nothing is acted upon before its commit";
  EXPECT_EQ(count("tell image.published"), 0);
  const auto refused = submit();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::disk_full);
  store.full = false;
  turn();
  EXPECT_EQ(count("row image 1/0"), 1);
  EXPECT_EQ(count("taken 1/0"), 1);
  EXPECT_TRUE(submit());
}

TEST_F(LoopTest, DurableEventsAreNumberedWithoutGapsAlsoAfterARefusedCommit) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  store.full = true;
  EXPECT_FALSE(submit());
  store.full = false;
  ASSERT_TRUE(submit());
  std::int64_t expected = events.front()->durable() ? events.front()->seq : 0;
  for (const EventPtr& event : events) {
    if (!event->durable()) continue;
    EXPECT_TRUE(expected == 0 || event->seq == expected) << event->seq;
    expected = event->seq + 1;
  }
  EXPECT_GT(expected, 2);
}

TEST_F(LoopTest, ARestartQueuesRunningJobsAgainAndMakesOnlyWhatIsMissing) {
  restore_job_that_ran();
  open_with_gpu();
  ASSERT_EQ(workers.started.size(), 1u);
  EXPECT_EQ(workers.started[0].id, WorkerId{10});
  make_ready();
  ASSERT_EQ(workers.requests.size(), 1u);
  EXPECT_EQ(workers.requests[0].id, ChunkId{41});
  ASSERT_EQ(workers.requests[0].items.size(), 1u);
  EXPECT_EQ(workers.requests[0].items[0].index, 1);
  EXPECT_EQ(workers.requests[0].items[0].seed, 11);
}

TEST_F(LoopTest, ARestartEndsARunningJobThatWasAskedToCancel) {
  restore_job_that_ran().cancel_requested = true;
  open();
  turn(GpusSeen{{Gpu{"virtual-0", 0, "V", GpuKind::virtual_gpu, 24LL << 30}}});
  EXPECT_TRUE(workers.started.empty()) << "it is not made again";
  EXPECT_EQ(count("row job 7 queued"), 0);
  EXPECT_LT(place("row job 7 cancelled"), place("log job 7 cancelled"));
  EXPECT_LT(place("row job 7 cancelled"), place("tell job.updated"));
  EXPECT_EQ(loop->live()->counts.running, 0);
  EXPECT_EQ(loop->live()->counts.cancelled, 1);
}

TEST_F(LoopTest, ACancelOfARunningJobIsDurableBeforeItsWorkerAndItsClientHearOfIt) {
  open_with_gpu();
  ASSERT_TRUE(submit(2));
  make_ready();
  diary.clear();
  Job answer;
  const auto cancel = [&] {
    turn(CancelJob{JobId{1}, [&](Result<Job> job) {
                     diary.push_back("reply");
                     answer = std::move(*job);
                   }});
  };
  cancel();
  EXPECT_LT(place("row cancel 1"), place("cancel chunk 1"));
  EXPECT_LT(place("row cancel 1"), place("reply"));
  EXPECT_LT(place("row cancel 1"), place("tell job.updated"));
  EXPECT_EQ(answer.state, JobState::running);
  EXPECT_TRUE(answer.cancel_requested);
  EXPECT_TRUE(parse_json(events.back()->data)->at("job").at("cancel_requested").get<bool>());
  cancel();
  EXPECT_EQ(count("row cancel 1"), 1) << "once is enough";
  EXPECT_EQ(count("reply"), 2);

  turn(ChunkIsOver{workers.requests[0].worker, ChunkId{1}, "cancelled", {}});
  EXPECT_EQ(count("row job 1 cancelled"), 1);
  EXPECT_EQ(count("log job 1 cancelled"), 1);
}

TEST_F(LoopTest, ACancelWaitsForAFullDisk) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  make_ready();
  store.full = true;
  diary.clear();
  turn(CancelJob{JobId{1}, [&](const Result<Job>&) { diary.push_back("reply"); }});
  EXPECT_EQ(count("cancel chunk 1") + count("reply"), 0);
  store.full = false;
  turn();
  EXPECT_LT(place("row cancel 1"), place("cancel chunk 1"));
  EXPECT_LT(place("row cancel 1"), place("reply"));
}

TEST_F(LoopTest, SeveralGpusMayVanishAtOnce) {
  open();
  const Gpu first{"virtual-0", 0, "V", GpuKind::virtual_gpu, 24LL << 30};
  const Gpu second{"virtual-1", 1, "V", GpuKind::virtual_gpu, 24LL << 30};
  turn(GpusSeen{{first, second}});
  ASSERT_TRUE(submit());
  turn(GpusSeen{{}});
  EXPECT_EQ(loop->live()->counts.held, 1);
  const std::size_t before = workers.started.size();
  turn(GpusSeen{{first, second}});
  EXPECT_GT(workers.started.size(), before) << "they are tried at once";
}

TEST_F(LoopTest, JobsOfAForgottenModelWaitUntilItIsBack) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  turn(CatalogChanged{std::make_shared<Catalog>()});
  EXPECT_EQ(loop->live()->counts.held, 1);
  turn(CatalogChanged{demo_catalog()});
  EXPECT_EQ(loop->live()->counts.held, 0);
}

TEST_F(LoopTest, DurableSettingsWinOverConfiguredOnesKeyByKey) {
  store.restored.settings = {{"multi_gpu.max_gpus", "2"}};
  open();
  EXPECT_EQ(loop->settings().multi_gpu_max_gpus, 2);
  EXPECT_FALSE(loop->settings().multi_gpu_enabled);
}

TEST_F(LoopTest, ChangedSettingsAreStoredAsTheyWereSet) {
  open_with_gpu();
  Result<LiveSettings> answer = fail(ErrorCode::internal, "no reply");
  turn(ChangeSettings{R"({"multi_gpu.enabled":true})", [&](Result<LiveSettings> s) { answer = std::move(s); }});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(loop->settings().multi_gpu_enabled);
  const auto* row = std::get_if<PutSettings>(&store.rows[store.rows.size() - 2]);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->values, (std::map<std::string, std::string>{{"multi_gpu.enabled", "true"}}));
}

TEST_F(LoopTest, LockedSettingsStayAsConfigured) {
  locked = {"multi_gpu.enabled"};
  open();
  Result<LiveSettings> answer;
  turn(ChangeSettings{R"({"multi_gpu.enabled":true})", [&](Result<LiveSettings> s) { answer = std::move(s); }});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::permission_denied);
  EXPECT_FALSE(loop->settings().multi_gpu_enabled);
}

TEST_F(LoopTest, CancelAnswersForQueuedEndedAndUnknownJobs) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  Result<Job> answer = fail(ErrorCode::internal, "no reply");
  const auto cancel = [&](std::int64_t id) {
    turn(CancelJob{JobId{id}, [&](Result<Job> job) { answer = std::move(job); }});
  };
  cancel(1);
  ASSERT_TRUE(answer) << answer.error().message;
  cancel(99);
  EXPECT_EQ(answer.error().code, ErrorCode::not_found);
  ASSERT_TRUE(submit());
  cancel(2);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->state, JobState::cancelled);
  cancel(2);
  EXPECT_EQ(answer.error().code, ErrorCode::conflict);
}

// --- cancel many ----------------------------------------------------------------------------------------------

TEST_F(LoopTest, CancelManyTellsWhatIsOverWhatStopsAndWhatHadEnded) {
  open_with_gpu();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(submit());
  make_ready();  // 1 runs, 2 and 3 wait
  Result<CancelReceipt> answer = fail(ErrorCode::internal, "no reply");
  const auto cancel = [&](CancelSelection selection) {
    turn(CancelJobs{std::move(selection), [&](Result<CancelReceipt> receipt) { answer = std::move(receipt); }});
  };
  cancel({{JobId{3}}, {}});
  cancel({{JobId{2}, JobId{1}, JobId{3}, JobId{2}}, {}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->cancelled, std::vector{JobId{2}});
  EXPECT_EQ(answer->stopping, std::vector{JobId{1}});
  EXPECT_EQ(answer->ended, std::vector{JobId{3}});
  EXPECT_LT(place("row cancel 1"), place("cancel chunk 1"));
}

TEST_F(LoopTest, CancelManyWithAnIdThatNeverWasCancelsNothing) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  Result<CancelReceipt> answer;
  turn(CancelJobs{{{JobId{1}, JobId{2}}, {}}, [&](Result<CancelReceipt> receipt) { answer = std::move(receipt); }});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::not_found);
  EXPECT_EQ(loop->live()->counts.cancelled, 0);
}

TEST_F(LoopTest, CancellingASweepCancelsItsOpenJobsAndNoOthers) {
  open_with_gpu();
  const auto submit_of = [&](std::optional<SweepId> sweep) {
    JobSpec spec;
    spec.prompt = "fox";
    spec.sweep_id = sweep;
    turn(SubmitJobs{{spec}, [](const Result<SubmitReceipt>&) {}});
  };
  submit_of(SweepId{7});
  submit_of(SweepId{8});
  submit_of(SweepId{7});
  submit_of({});
  Result<CancelReceipt> answer;
  const auto cancel = [&](std::int64_t sweep) {
    turn(CancelJobs{{{}, SweepId{sweep}}, [&](Result<CancelReceipt> receipt) { answer = std::move(receipt); }});
  };
  cancel(7);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->cancelled, (std::vector{JobId{1}, JobId{3}}));
  EXPECT_EQ(loop->live()->counts.queued, 2);
  cancel(7);
  EXPECT_EQ(answer.error().code, ErrorCode::not_found) << "nothing of it is left";
}

// --- orders ---------------------------------------------------------------------------------------------------

// Job 1 runs; 2 and 3 wait.
class OrderTest : public LoopTest {
 protected:
  void SetUp() override {
    open_with_gpu();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(submit());
    make_ready();
    diary.clear();
  }
  Result<Job> order(std::int64_t id, JobOrder what) {
    Result<Job> answer = fail(ErrorCode::internal, "no reply");
    turn(OrderJob{JobId{id}, std::move(what), [&](Result<Job> job) {
                    diary.push_back("reply");
                    answer = std::move(job);
                  }});
    return answer;
  }
  Pauses pause(PauseQueue::Wish wish, std::optional<std::string> owner = {}) {
    Result<Pauses> answer = fail(ErrorCode::internal, "no reply");
    turn(PauseQueue{wish, std::move(owner), [&](Result<Pauses> pauses) { answer = std::move(pauses); }});
    EXPECT_TRUE(answer);
    return answer.value_or(Pauses{});
  }
  static MoveJob before(std::int64_t other) { return {JobId{other}, MoveJob::Side::before}; }
  // What is refused, and in which words.
  void expect_conflict(const Result<Job>& answer, const std::string& words) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::conflict);
    EXPECT_NE(answer.error().message.find(words), std::string::npos) << answer.error().message;
  }
};

TEST_F(OrderTest, AHeldJobWaitsUntilItIsReleased) {
  auto held = order(2, HoldJob{});
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_EQ(held->held_reason, HeldReason::user);
  EXPECT_LT(place("row job 2 held"), place("reply"));
  ASSERT_TRUE(order(2, HoldJob{})) << "twice is once";
  EXPECT_EQ(count("row job 2 held"), 1);
  turn(ChunkIsOver{workers.requests[0].worker, ChunkId{1}, "failed", {"bad_request", "no", {}}});
  EXPECT_EQ(workers.requests.back().job, JobId{3});
  EXPECT_EQ(order(2, ReleaseJob{})->state, JobState::queued);
  EXPECT_EQ(order(2, ReleaseJob{})->state, JobState::queued);
}

TEST_F(OrderTest, AMoveIsStoredAndToldForEveryJobThatItChanges) {
  const auto moved = order(3, before(2));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->requested.rank, -1.0);
  EXPECT_EQ(count("row order 1 normal -2 any"), 1) << "the running one keeps its place in front";
  EXPECT_LT(place("row order 3 normal -1 any"), place("reply"));
  EXPECT_EQ(count("tell job.updated"), 2);
  EXPECT_EQ(parse_json(events.back()->data)->at("job").at("rank").get<double>(), -1.0);
  turn(ChunkIsOver{workers.requests[0].worker, ChunkId{1}, "failed", {"bad_request", "no", {}}});
  EXPECT_EQ(workers.requests.back().job, JobId{3});
}

TEST_F(OrderTest, PriorityAndPinChangeTogether) {
  const auto changed = order(3, ChangeJob{Priority::interactive, std::optional<GpuUuid>("virtual-0")});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->requested.priority, Priority::interactive);
  EXPECT_EQ(changed->requested.gpu, "virtual-0");
  EXPECT_EQ(count("row order 3 interactive 0 virtual-0"), 1);
  EXPECT_EQ(order(3, ChangeJob{{}, std::optional<GpuUuid>()})->requested.gpu, std::nullopt);
}

TEST_F(OrderTest, APinToAGpuThatIsNotThereNamesThoseThatAre) {
  const auto answer = order(3, ChangeJob{{}, std::optional<GpuUuid>("virtual-9")});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().fields.at(0).field, "gpu");
  EXPECT_EQ(answer.error().fields.at(0).allowed, "virtual-0");
}

TEST_F(OrderTest, WhatTheStateDoesNotAllowIsRefusedInWordsThatSayWhatWould) {
  expect_conflict(order(1, HoldJob{}), "runs already and cannot be held; let it finish, or cancel it");
  expect_conflict(order(1, before(2)), "runs already and cannot be moved");
  expect_conflict(order(2, before(1)), "job 1 runs already and cannot be a neighbour");
  expect_conflict(order(1, ChangeJob{Priority::background, {}}), "cannot be changed");
  ASSERT_TRUE(order(3, ChangeJob{Priority::background, {}}));
  expect_conflict(order(3, before(2)), "change the priority of job 3 to normal first");
  expect_conflict(order(2, RetryJob{}), "has not ended");
  turn(CancelJob{JobId{2}, [](const Result<Job>&) {}});
  expect_conflict(order(2, HoldJob{}), "ended already and cannot be held; retry it first");
  EXPECT_EQ(order(9, HoldJob{}).error().code, ErrorCode::not_found);
  EXPECT_EQ(order(3, before(3)).error().code, ErrorCode::invalid_argument);
}

TEST_F(OrderTest, AReleaseOfAJobThatNobodyHoldsSaysWhatHoldsIt) {
  pause(PauseQueue::Wish::pause);
  expect_conflict(order(2, ReleaseJob{}), "paused; resume that");
  turn(CatalogChanged{std::make_shared<Catalog>()});
  pause(PauseQueue::Wish::resume);
  expect_conflict(order(2, ReleaseJob{}), "its model is not installed");
}

TEST_F(OrderTest, BeforeTheGpusAreKnownOrdersAreAskedToWait) {
  restore_job_that_ran();
  open();
  EXPECT_EQ(order(7, HoldJob{}).error().code, ErrorCode::unavailable);
}

// --- retry ----------------------------------------------------------------------------------------------------

TEST_F(OrderTest, ARetriedJobMakesThePicturesItLacks) {
  ASSERT_TRUE(submit(2));  // job 4
  for (const std::int64_t id : {2, 3}) turn(CancelJob{JobId{id}, [](const Result<Job>&) {}});
  turn(ChunkIsOver{workers.requests[0].worker, ChunkId{1}, "failed", {"bad_request", "no", {}}});
  ASSERT_EQ(workers.requests.back().job, JobId{4});
  hand_over(0);
  written(0);
  turn(ChunkIsOver{workers.requests.back().worker, ChunkId{2}, "failed", {"engine_error", "no", {}}});
  ASSERT_EQ(count("row job 4 failed"), 1);
  ASSERT_EQ(loop->live()->counts.failed, 2);
  diary.clear();

  const auto again = order(4, RetryJob{});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->error, std::nullopt);
  EXPECT_LT(place("row job 4 queued"), place("reply"));
  EXPECT_EQ(loop->live()->counts.failed, 1);
  ASSERT_EQ(workers.requests.back().job, JobId{4});
  ASSERT_EQ(workers.requests.back().items.size(), 1u);
  EXPECT_EQ(workers.requests.back().items[0].index, 1);
  EXPECT_EQ(workers.requests.back().items[0].seed, store.jobs[JobId{4}].images[1].seed) << "the same picture as before";
  turn(ImageArrived{workers.requests.back().worker, workers.requests.back().id, 1, 0, 0.1, nullptr});
  written(1);
  EXPECT_EQ(count("row job 4 done"), 1);
}

TEST_F(OrderTest, ARetriedJobThatWasCancelledCanBeCancelledAgain) {
  turn(CancelJob{JobId{3}, [](const Result<Job>&) {}});
  ASSERT_EQ(order(3, RetryJob{})->cancel_requested, false);
  turn(CancelJob{JobId{3}, [](const Result<Job>&) {}});
  EXPECT_EQ(count("row job 3 cancelled"), 2);
}

TEST_F(OrderTest, ADoneJobHasNothingToRetry) {
  hand_over(0);
  written(0);
  turn(ChunkIsOver{workers.requests[0].worker, ChunkId{1}, "done", {}});
  expect_conflict(order(1, RetryJob{}), "nothing of it is missing; submit it again");
}

TEST_F(OrderTest, ARetryWaitsUntilTheLastAttemptHasLetGo) {
  turn(CancelJobs{{{JobId{2}, JobId{3}}, {}}, [](const Result<CancelReceipt>&) {}});
  for (int i = 0; i < 3; ++i) {  // its pictures cannot be written: it fails while its chunk runs
    hand_over(0);
    const PictureRequest picture = media.pictures.back();
    if (i < 2) turn(ChunkIsOver{picture.worker, picture.attempt, "done", {}});
    turn(PictureFailed{picture.worker, picture.attempt, picture.job.id, 0, {ErrorCode::permission_denied, "denied"}});
    if (i < 2) continue;
    ASSERT_EQ(count("row job 1 failed"), 1);
    expect_conflict(order(1, RetryJob{}), "still being ended; try again");
    turn(ChunkIsOver{picture.worker, picture.attempt, "cancelled", {}});
  }
  EXPECT_TRUE(order(1, RetryJob{}));
}

// --- pauses ---------------------------------------------------------------------------------------------------

TEST_F(OrderTest, APauseIsDurableToldOnceAndSeenLive) {
  const Pauses both{.all = true, .owners = {"ada"}};
  pause(PauseQueue::Wish::pause);
  EXPECT_EQ(pause(PauseQueue::Wish::pause, "ada"), both);
  EXPECT_EQ(pause(PauseQueue::Wish::pause, "ada"), both);
  EXPECT_EQ(count(R"(row pauses {"paused_all":true,"paused_owners":["ada"]})"), 1);
  EXPECT_EQ(count("tell queue.changed"), 2);
  EXPECT_EQ(loop->live()->pauses, both);
  EXPECT_EQ(loop->live()->counts.held, 2) << "the running one goes on";
  EXPECT_EQ(pause(PauseQueue::Wish::resume), (Pauses{.all = false, .owners = {"ada"}}));
  EXPECT_EQ(loop->live()->counts.held, 0);
}

TEST_F(LoopTest, APauseOutlastsARestart) {
  restore_job_that_ran();
  store.restored.pauses.owners = {"local"};
  open_with_gpu();
  EXPECT_TRUE(workers.started.empty());
  EXPECT_EQ(loop->live()->counts.held, 1);
  EXPECT_EQ(loop->live()->pauses.owners, std::set<std::string>{"local"});
}

TEST_F(LoopTest, RunDirectoriesOfOneSecondGetNumbers) {
  store.taken = "run_" + to_local_stamp(clock.at);
  open_with_gpu();
  EXPECT_EQ(submit()->run_dir, store.taken + "_2");
  EXPECT_EQ(submit()->run_dir, store.taken + "_3");
}

TEST_F(LoopTest, ABadSubmissionIsRefusedWholeAndChangesNothing) {
  open_with_gpu();
  JobSpec good;
  good.prompt = "fox";
  JobSpec bad = good;
  bad.steps = 0;
  Result<SubmitReceipt> answer;
  turn(SubmitJobs{{good, bad}, [&](Result<SubmitReceipt> receipt) { answer = std::move(receipt); }});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().fields[0].field, "jobs[1].steps");
  EXPECT_EQ(count("commit"), 0);
  EXPECT_EQ(loop->live()->counts.queued, 0);
}

TEST_F(LoopTest, AJobGetsTheFilesOfItsUploads) {
  store.uploads[UploadId{3}].file = "uploads/a.png";
  store.uploads[UploadId{4}].file = "uploads/b.jpg";
  open_with_gpu();
  JobSpec spec;
  spec.prompt = "fox";
  spec.mode = Mode::inpaint;
  spec.init_image = UploadId{3};
  spec.mask_image = UploadId{4};
  Result<SubmitReceipt> answer;
  turn(SubmitJobs{{spec}, [&](Result<SubmitReceipt> receipt) { answer = std::move(receipt); }});
  ASSERT_TRUE(answer) << answer.error().message;
  make_ready();
  ASSERT_EQ(workers.requests.size(), 1u);
  EXPECT_EQ(workers.requests[0].settings.init_image, (InputPicture{UploadId{3}, "uploads/a.png"}));
  EXPECT_EQ(workers.requests[0].settings.mask_image, (InputPicture{UploadId{4}, "uploads/b.jpg"}));
}

TEST_F(LoopTest, AnUnknownUploadIsNamed) {
  store.uploads[UploadId{3}].file = "uploads/a.png";
  open_with_gpu();
  JobSpec spec;
  spec.prompt = "fox";
  spec.mode = Mode::inpaint;
  spec.init_image = UploadId{3};
  spec.mask_image = UploadId{99};
  Result<SubmitReceipt> answer;
  turn(SubmitJobs{{spec}, [&](Result<SubmitReceipt> receipt) { answer = std::move(receipt); }});
  ASSERT_FALSE(answer);
  ASSERT_EQ(answer.error().fields.size(), 1u);
  EXPECT_EQ(answer.error().fields[0].field, "mask_image");
  EXPECT_EQ(answer.error().fields[0].value, "99");
  EXPECT_EQ(count("commit"), 0);
}

TEST(Mailbox, TurnsLossyMessagesAndRequestsAwayWhenFull) {
  Mailbox mailbox;
  for (std::size_t i = 0; i < Mailbox::kMaxLossy; ++i) EXPECT_TRUE(mailbox.offer(WorkerLoading{}));
  EXPECT_FALSE(mailbox.offer(WorkerLoading{}));
  mailbox.post(ShutDown{});
  EXPECT_EQ(mailbox.drain({}).size(), Mailbox::kMaxLossy + 1);
}

TEST_F(LoopTest, AForecastIsToldAndShownAsLongAsTheJobWaits) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  auto outlooks = std::make_shared<Outlooks>();
  outlooks->jobs[JobId{1}].reason.kind = WaitingReason::Kind::model_loading;
  outlooks->jobs[JobId{1}].start = StartInterval{from_unix_ms(2000), from_unix_ms(5000)};
  outlooks->soonest_first = {JobId{1}};
  turn(ForecastMade{outlooks});
  ASSERT_EQ(events.back()->type, "queue.forecast");
  const Json told = parse_json(events.back()->data).value()["jobs"][0];
  EXPECT_EQ(told["id"], 1);
  EXPECT_EQ(told["reason"]["kind"], "model_loading");
  EXPECT_EQ(told["predicted_start"], (Json{{"earliest_ms", 2000}, {"latest_ms", 5000}}));
  Job job = store.jobs.at(JobId{1}).job;
  EXPECT_EQ(outlook_of(job, *loop->live()), outlooks->jobs[JobId{1}]);
  job.state = JobState::running;
  EXPECT_EQ(outlook_of(job, *loop->live()), std::nullopt);
}

TEST_F(LoopTest, TheTraceHoldsTheLoadTheRunAndWhyTheyWereDecided) {
  open_with_gpu();
  ASSERT_TRUE(submit());
  make_ready();
  std::string names;
  const Json trace = parse_json(loop->trace()).value();
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] != "M") names += event["name"].get<std::string>() + "; ";
  }
  EXPECT_EQ(
      names,
      "load demo-landscape; job 1; decide: load demo-landscape for job 1; decide: run demo-landscape for job 1; ");
}

TEST_F(LoopTest, WhoHasAnAnswerOrAnEventFindsInTheLiveStateWhatItTellsOf) {
  open_with_gpu();
  bool at_answer = false, at_event = false;
  const auto subscribed = loop->subscribe([&](const EventPtr& event) {
    if (event->type == "queue.changed") at_event = loop->live()->pauses.all;
  });
  turn(PauseQueue{PauseQueue::Wish::pause, {}, [&](const Result<Pauses>&) { at_answer = loop->live()->pauses.all; }});
  EXPECT_TRUE(at_answer);
  EXPECT_TRUE(at_event);
}

}  // namespace
}  // namespace pixelfleet::control
