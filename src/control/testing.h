// For tests: the loop with fake ports that keep one common diary, so that the order of commits, acts and tellings can
// be checked.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/json_full.h"
#include "control/loop.h"
#include "domain/job_json.h"

namespace pixelfleet::control::testing {

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
      keep(change);
      if (const auto* insert = std::get_if<InsertChunk>(&change)) {
        diary_.push_back(format("row chunk {}", insert->id.value));
      } else if (const auto* update = std::get_if<UpdateJob>(&change)) {
        diary_.push_back(format("row job {} {}", update->id.value, name(update->state)));
        if (update->cancel_requested) diary_.push_back(format("row cancel {}", update->id.value));
      } else if (const auto* publish = std::get_if<PublishImage>(&change)) {
        diary_.push_back(format("row image {}/{}", publish->job_id.value, publish->index));
      } else if (const auto* order = std::get_if<UpdateJobOrder>(&change)) {
        diary_.push_back(format("row order {} {} {} {}", order->id.value, name(order->priority), order->rank,
                                order->gpu.value_or("any")));
      } else if (const auto* pauses = std::get_if<PutPauses>(&change)) {
        diary_.push_back("row pauses " + to_text(to_json(pauses->pauses)));
      }
    }
    return {};
  }
  Result<JobRows> load_job(JobId id) override { return jobs.at(id); }
  Result<Upload> load_upload(UploadId id) override {
    const auto found = uploads.find(id);
    return found == uploads.end() ? Result<Upload>(fail(ErrorCode::not_found, "no such upload")) : found->second;
  }
  bool run_directory_taken(const std::string& directory) override { return directory == taken; }

  Restored restored;
  std::vector<Change> rows;
  std::map<JobId, JobRows> jobs;
  std::map<UploadId, Upload> uploads;
  std::string taken;
  bool full = false;

 private:
  void keep(const Change& change) {
    if (const auto* insert = std::get_if<InsertJob>(&change)) {
      jobs[insert->job.id] = {insert->job, insert->images};
    } else if (const auto* update = std::get_if<UpdateJob>(&change)) {
      Job& job = jobs[update->id].job;
      job.state = update->state;
      job.held_reason = update->held_reason;
      job.error = update->error;
      job.worker_deaths = update->worker_deaths;
      job.cancel_requested = update->cancel_requested;
    } else if (const auto* publish = std::get_if<PublishImage>(&change)) {
      JobRows& of_job = jobs[publish->job_id];
      of_job.images[static_cast<std::size_t>(publish->index)].state = ImageState::published;
      ++of_job.job.published;
    }
  }

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

class FakeHostMemory final : public HostMemoryPort {
 public:
  explicit FakeHostMemory(Diary& diary) : diary_(diary) {}

  void stage(const FilesOfModel& files) override { note("stage", files); }
  void unstage(const FilesOfModel& files) override { note("unstage", files); }
  void check(const FilesOfModel& files) override { note("check", files); }

 private:
  void note(const char* what, const FilesOfModel& files) {
    diary_.push_back(format("{} {} {}", what, files.model, join(files.files, " ")));
  }

  Diary& diary_;
};

inline CatalogPtr demo_catalog() {
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

class LoopTest : public ::testing::Test {
 protected:
  void open() {
    LoopOptions options;
    options.output_directory = "/nowhere";
    options.host_memory_bytes = host_memory_bytes;
    options.locked = locked;
    options.boot_id = boot_id;
    options.sharing.margin_bytes = margin_bytes;
    auto opened = Loop::open(clock, mailbox, {store, workers, media, host_memory}, catalog, configured, options);
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
  FakeHostMemory host_memory{diary};
  std::int64_t host_memory_bytes = 0;
  std::set<std::string> locked;
  std::string boot_id;
  std::int64_t margin_bytes = 0;
  CatalogPtr catalog = demo_catalog();
  LiveSettings configured;
  std::vector<EventPtr> events;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Subscription> subscription;
};

}  // namespace pixelfleet::control::testing
