// The loop with fake ports that keep one common diary, so that the order of commits, acts and tellings can be checked.
#include "control/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet::control {
namespace {

using Diary = std::vector<std::string>;

class FakeClock final : public Clock {
 public:
  Instant now() override { return at; }
  Instant at = from_unix_ms(1'795'511'730'000);
};

class FakeStore final : public StorePort {
 public:
  explicit FakeStore(Diary& diary) : diary_(diary) {}

  Result<Restored> restore() override { return restored; }
  Result<> commit(std::span<const Change> changes) override {
    if (full) return fail(ErrorCode::disk_full, "database or disk is full");
    diary_.push_back("commit");
    for (const Change& change : changes) {
      rows.push_back(change);
      if (const auto* insert = std::get_if<InsertChunk>(&change)) {
        diary_.push_back(format("row chunk {}", insert->id.value));
      } else if (const auto* update = std::get_if<UpdateJob>(&change)) {
        diary_.push_back(format("row job {} {}", update->id.value, name(update->state)));
        if (update->cancel_requested) diary_.push_back(format("row cancel {}", update->id.value));
      } else if (const auto* publish = std::get_if<PublishImage>(&change)) {
        diary_.push_back(format("row image {}/{}", publish->job_id.value, publish->index));
      }
    }
    return {};
  }
  bool run_directory_taken(const std::string& directory) override { return directory == taken; }

  Restored restored;
  std::vector<Change> rows;
  std::string taken;
  bool full = false;

 private:
  Diary& diary_;
};

class FakeWorkers final : public WorkerPort {
 public:
  explicit FakeWorkers(Diary& diary) : diary_(diary) {}

  void start(const WorkerSpec& spec) override {
    diary_.push_back(format("start worker {} {}", spec.id.value, spec.model.key));
    started.push_back(spec);
  }
  void run(const ChunkRequest& request) override {
    diary_.push_back(format("run chunk {}", request.id.value));
    requests.push_back(request);
  }
  void cancel(WorkerId, ChunkId chunk) override { diary_.push_back(format("cancel chunk {}", chunk.value)); }
  void image_taken(WorkerId, ChunkId chunk, int index) override {
    diary_.push_back(format("taken {}/{}", chunk.value, index));
  }
  void stop(WorkerId worker) override { diary_.push_back(format("stop worker {}", worker.value)); }

  std::vector<WorkerSpec> started;
  std::vector<ChunkRequest> requests;

 private:
  Diary& diary_;
};

class FakeMedia final : public MediaPort {
 public:
  explicit FakeMedia(Diary& diary) : diary_(diary) {}

  void write_picture(PictureRequest request) override {
    diary_.push_back(format("write {}/{}", request.job.id.value, request.image.index));
    pictures.push_back(std::move(request));
  }
  void encode_preview(JobId, int, int, int, PixelsPtr) override { diary_.push_back("encode preview"); }
  void log_job(const Job& job, const std::vector<Image>&, const Model*) override {
    diary_.push_back(format("log job {} {}", job.id.value, name(job.state)));
  }

  std::deque<PictureRequest> pictures;

 private:
  Diary& diary_;
};

CatalogPtr demo_catalog() {
  auto catalog = std::make_shared<Catalog>();
  Model model;
  model.key = "demo-landscape";
  model.title = "Demo landscape";
  model.engine = "synthetic";
  model.memory_bytes = 4LL << 30;
  model.demo = DemoTraits{};
  catalog->models = {model};
  catalog->profiles = {{"none", "None / Raw", {}, "", "", {}, {}}};
  return catalog;
}

class LoopTest : public testing::Test {
 protected:
  void open() {
    auto opened = Loop::open(clock, mailbox, {store, workers, media}, demo_catalog(), {}, {"/nowhere", {}, {}, {}});
    ASSERT_TRUE(opened) << opened.error().message;
    loop = std::move(*opened);
    subscription = loop->subscribe([this](const EventPtr& event) {
      diary.push_back("tell " + event->type);
      events.push_back(event);
    });
  }
  void open_with_gpu() {
    open();
    turn(GpusSeen{{Gpu{"virtual-0", 0, "V", GpuKind::virtual_gpu, 24LL << 30}}});
    diary.clear();
  }
  template <class... M>
  void turn(M... message) {
    std::vector<Message> messages;
    (messages.push_back(Message(std::move(message))), ...);
    loop->turn(std::move(messages));
  }
  Result<SubmitReceipt> submit(int count = 1) {
    Result<SubmitReceipt> answer = fail(ErrorCode::internal, "no reply");
    JobSpec spec;
    spec.prompt = "fox";
    spec.count = count;
    turn(SubmitJobs{{spec}, [&](Result<SubmitReceipt> receipt) {
                      diary.push_back("reply");
                      answer = std::move(receipt);
                    }});
    return answer;
  }
  void make_ready() { turn(WorkerIsReady{workers.started.back().id, {}, "synthetic", "1", 0, 0.0}); }
  void hand_over(int index) {
    const ChunkRequest& chunk = workers.requests.back();
    turn(ImageArrived{chunk.worker, chunk.id, index, chunk.items[static_cast<std::size_t>(index)].seed, 0.1, nullptr});
  }
  void written(int index) {
    const PictureRequest& picture = media.pictures.back();
    EffectiveImage effective = picture.image.effective;
    effective.width = 512;
    turn(PictureWritten{picture.worker, picture.attempt, picture.job.id, index, 1000, effective});
  }
  // What a server leaves behind that died at job 7 with one picture published and one missing.
  Job& restore_job_that_ran() {
    Job job;
    job.id = JobId{7};
    job.state = JobState::running;
    job.requested.prompt = "fox";
    job.requested.count = 2;
    job.settings.model = "demo-landscape";
    job.published = 1;
    Image done;
    done.id = ImageId{1};
    done.job_id = job.id;
    done.state = ImageState::published;
    Image missing = done;
    missing.id = ImageId{2};
    missing.index = 1;
    missing.state = ImageState::pending;
    missing.seed = 11;
    store.restored.open_jobs.push_back({job, {done, missing}});
    store.restored.counts.running = 1;
    store.restored.last_job = job.id;
    store.restored.last_chunk = ChunkId{40};
    store.restored.last_worker = WorkerId{9};
    store.restored.last_seq = 100;
    return store.restored.open_jobs.back().job;
  }
  std::ptrdiff_t place(const std::string& entry) const {
    const auto found = std::find(diary.begin(), diary.end(), entry);
    EXPECT_NE(found, diary.end()) << entry << " not in the diary";
    return found - diary.begin();
  }
  std::int64_t count(const std::string& entry) const { return std::count(diary.begin(), diary.end(), entry); }

  Diary diary;
  FakeClock clock;
  Mailbox mailbox;
  FakeStore store{diary};
  FakeWorkers workers{diary};
  FakeMedia media{diary};
  std::vector<EventPtr> events;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Subscription> subscription;
};

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
  turn(GpusSeen{{first, second}});
  EXPECT_EQ(loop->live()->counts.held, 0);
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
  auto opened = Loop::open(clock, mailbox, {store, workers, media}, demo_catalog(), {},
                           {"/nowhere", {}, {"multi_gpu.enabled"}, {}});
  ASSERT_TRUE(opened);
  loop = std::move(*opened);
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

TEST(Mailbox, TurnsLossyMessagesAndRequestsAwayWhenFull) {
  Mailbox mailbox;
  for (std::size_t i = 0; i < Mailbox::kMaxLossy; ++i) EXPECT_TRUE(mailbox.offer(WorkerLoading{}));
  EXPECT_FALSE(mailbox.offer(WorkerLoading{}));
  mailbox.post(ShutDown{});
  EXPECT_EQ(mailbox.drain({}).size(), Mailbox::kMaxLossy + 1);
}

}  // namespace
}  // namespace pixelfleet::control
