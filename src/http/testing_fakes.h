// For tests: a control loop and a store that keep everything in memory.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/format.h"
#include "base/json_full.h"
#include "base/mutex.h"
#include "control/service.h"

namespace pixelfleet::http::testing {

// Rows in memory.
class FakeReader final : public control::Reader {
 public:
  Result<std::vector<Job>> jobs(const control::JobQuery& query) override {
    MutexLock lock(mutex_);
    if (broken_) return fail(ErrorCode::unavailable, "the disk is gone");
    std::vector<Job> found;
    for (auto it = jobs_.rbegin(); it != jobs_.rend() && found.size() < query.limit; ++it) {
      const Job& job = it->second;
      const bool state =
          query.states.empty() || std::find(query.states.begin(), query.states.end(), job.state) != query.states.end();
      if (state && (!query.after || job.id < *query.after)) found.push_back(job);
    }
    return found;
  }
  Result<Job> job(JobId id) override {
    MutexLock lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return fail(ErrorCode::not_found, format("there is no job {}", id.value));
    return found->second;
  }
  Result<std::vector<Image>> images_of(JobId id) override {
    MutexLock lock(mutex_);
    std::vector<Image> found;
    for (const auto& [key, image] : images_) {
      if (image.job_id == id) found.push_back(image);
    }
    return found;
  }
  Result<std::vector<Image>> images(const control::ImageQuery& query) override {
    MutexLock lock(mutex_);
    std::vector<Image> found;
    for (auto it = images_.rbegin(); it != images_.rend() && found.size() < query.limit; ++it) {
      const Image& image = it->second;
      if (image.state == ImageState::published && (!query.job || image.job_id == *query.job) &&
          (!query.after || image.id < *query.after)) {
        found.push_back(image);
      }
    }
    return found;
  }
  Result<Image> image(ImageId id) override {
    MutexLock lock(mutex_);
    const auto found = images_.find(id);
    if (found == images_.end()) return fail(ErrorCode::not_found, format("there is no image {}", id.value));
    return found->second;
  }
  Result<control::Upload> upload(UploadId) override { return fail(ErrorCode::not_found, "there is no upload"); }
  Result<std::vector<control::GpuStateRow>> gpu_history(const GpuUuid& gpu, std::size_t limit) override {
    control::GpuStateRow row;
    row.gpu = gpu;
    row.state = "quarantined";
    return std::vector(std::min<std::size_t>(limit, 2), row);
  }
  Result<std::vector<EventPtr>> events(std::int64_t after, std::size_t limit) override {
    MutexLock lock(mutex_);
    std::vector<EventPtr> found;
    for (const EventPtr& event : events_) {
      if (event->seq > after && found.size() < limit) found.push_back(event);
    }
    return found;
  }

  void put(const Job& job) {
    MutexLock lock(mutex_);
    jobs_[job.id] = job;
  }
  void put(const Image& image) {
    MutexLock lock(mutex_);
    images_[image.id] = image;
  }
  void append(EventPtr event) {
    MutexLock lock(mutex_);
    events_.push_back(std::move(event));
  }
  void forget_events() {
    MutexLock lock(mutex_);
    events_.clear();
  }
  void break_down() {
    MutexLock lock(mutex_);
    broken_ = true;
  }
  std::size_t count_jobs() {
    MutexLock lock(mutex_);
    return jobs_.size();
  }

 private:
  Mutex mutex_;
  std::map<JobId, Job> jobs_ GUARDED_BY(mutex_);
  std::map<ImageId, Image> images_ GUARDED_BY(mutex_);
  std::vector<EventPtr> events_ GUARDED_BY(mutex_);
  bool broken_ GUARDED_BY(mutex_) = false;
};

// Accepts everything; replies come on a thread of their own, as the loop's do.
class FakeService final : public control::Service {
 public:
  explicit FakeService(FakeReader& reader) : reader_(reader) {
    Model model;
    model.key = "demo-landscape";
    model.title = "Demo landscape";
    model.demo.emplace();
    Profile none;
    none.key = "none";
    none.title = "None / Raw";
    auto catalog = std::make_shared<Catalog>();
    catalog->models.push_back(model);
    catalog->profiles.push_back(none);
    catalog_ = catalog;
    LiveState live;
    GpuStatus gpu;
    gpu.gpu.uuid = "virtual-0";
    gpu.gpu.kind = GpuKind::virtual_gpu;
    live.gpus.push_back(gpu);
    live_ = std::make_shared<const LiveState>(live);
  }
  ~FakeService() override {
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(std::vector<JobSpec> specs, control::Reply<control::SubmitReceipt> reply) override {
    reply_later([this, specs, reply] {
      MutexLock lock(mutex_);
      if (refusal_) return reply(fail(*refusal_));
      if (silent_) return kept_replies_.push_back(reply);
      control::SubmitReceipt receipt;
      receipt.run_dir = "run_20261124_091530";
      for (const JobSpec& spec : specs) {
        Job job;
        job.id = JobId(++last_job_);
        job.requested = spec;
        job.settings.prompt = spec.prompt;
        job.run_dir = receipt.run_dir;
        reader_.put(job);
        receipt.jobs.push_back(job);
      }
      reply(receipt);
    });
  }
  void cancel(JobId id, control::Reply<Job> reply) override {
    reply_later([this, id, reply] {
      Result<Job> job = reader_.job(id);
      if (job && job->ended()) return reply(fail(ErrorCode::conflict, format("job {} has ended already", id.value)));
      if (job) job->state = JobState::cancelled;
      if (job) reader_.put(*job);
      reply(job);
    });
  }
  void cancel_many(control::CancelSelection selection, control::Reply<control::CancelReceipt> reply) override {
    reply_later([selection, reply] { reply(control::CancelReceipt{selection.jobs, {}, {}}); });
  }
  // Does not carry it out: the job comes back with what was asked for.
  void order(JobId id, control::JobOrder order, control::Reply<Job> reply) override {
    reply_later([this, id, order, reply] {
      Result<Job> job = reader_.job(id);
      if (!job) return reply(job);
      if (std::holds_alternative<control::HoldJob>(order)) job->held_reason = HeldReason::user;
      if (const auto* change = std::get_if<control::ChangeJob>(&order)) {
        if (change->priority) job->requested.priority = *change->priority;
        if (change->gpu) job->requested.gpu = *change->gpu;
      }
      if (const auto* move = std::get_if<control::MoveJob>(&order)) {
        const double other = static_cast<double>(move->other.value);
        job->requested.rank = move->side == control::MoveJob::Side::before ? -other : other;
      }
      reply(job);
    });
  }
  void pause_queue(control::PauseQueue::Wish wish, std::optional<std::string> owner,
                   control::Reply<Pauses> reply) override {
    reply_later([this, wish, owner, reply] {
      const bool pause = wish == control::PauseQueue::Wish::pause;
      Pauses pauses = live()->pauses;
      if (!owner) pauses.all = pause;
      if (owner && pause) pauses.owners.insert(*owner);
      if (owner && !pause) pauses.owners.erase(*owner);
      {
        MutexLock lock(mutex_);
        LiveState changed = *live_;
        changed.pauses = pauses;
        live_ = std::make_shared<const LiveState>(changed);
      }
      reply(pauses);
    });
  }
  void order_gpu(GpuUuid gpu, control::OrderGpu::Wish wish, control::Reply<GpuStatus> reply) override {
    reply_later([gpu, wish, reply] {
      if (gpu == "none") return reply(fail(ErrorCode::not_found, "no gpu is called none"));
      GpuStatus status;
      status.gpu.uuid = gpu;
      status.health.state = wish == control::OrderGpu::Wish::drain ? "draining" : "healthy";
      reply(status);
    });
  }
  void override_gpu(GpuUuid gpu, std::chrono::minutes minutes, control::Reply<GpuStatus> reply) override {
    reply_later([gpu, minutes, reply] {
      GpuStatus status;
      status.gpu.uuid = gpu;
      if (minutes.count() > 0) status.sharing.overridden = GpuSharing::Override::yes;
      reply(status);
    });
  }
  void enable_model(ModelKey model, control::Reply<Model> reply) override {
    reply_later([model, reply] {
      Model answer;
      answer.key = model;
      reply(answer);
    });
  }
  void change_settings(std::string changes, control::Reply<LiveSettings> reply) override {
    reply_later([this, changes, reply] {
      MutexLock lock(mutex_);
      const Result<LiveSettings> merged = merge_settings(settings_, *parse_json(changes));
      if (merged) settings_ = *merged;
      reply(merged);
    });
  }
  void add_upload(control::Upload upload, control::Reply<control::Upload> reply) override {
    reply_later([upload, reply]() mutable {
      upload.id = UploadId(5);
      reply(upload);
    });
  }

  LiveStatePtr live() const override {
    MutexLock lock(mutex_);
    return live_;
  }
  LiveSettings settings() const override {
    MutexLock lock(mutex_);
    return settings_;
  }
  CatalogPtr catalog() const override { return catalog_; }
  std::string trace() const override { return R"({"traceEvents":[]})"; }

  std::unique_ptr<control::Subscription> subscribe(std::function<void(const EventPtr&)> on_event) override {
    class Ends final : public control::Subscription {
     public:
      explicit Ends(FakeService& service) : service_(service) {}
      ~Ends() override {
        MutexLock lock(service_.feed_mutex_);
        service_.on_event_ = nullptr;
      }

     private:
      FakeService& service_;
    };
    MutexLock lock(feed_mutex_);
    on_event_ = std::move(on_event);
    return std::make_unique<Ends>(*this);
  }

  // What the loop does for a durable event: commit, publish the live state, announce.
  void emit(const std::string& type, const std::string& data) {
    Event event;
    event.type = type;
    event.data = data;
    {
      MutexLock lock(mutex_);
      LiveState live = *live_;
      event.seq = ++live.seq;
      live_ = std::make_shared<const LiveState>(live);
    }
    const auto shared = std::make_shared<const Event>(event);
    reader_.append(shared);
    announce(shared);
  }
  void emit_lossy(const std::string& type, const std::string& data) {
    Event event;
    event.type = type;
    event.data = data;
    announce(std::make_shared<const Event>(event));
  }

  void refuse(Error error) {
    MutexLock lock(mutex_);
    refusal_ = std::move(error);
  }
  // Submissions are kept without an answer until answer_kept().
  void fall_silent() {
    MutexLock lock(mutex_);
    silent_ = true;
  }
  std::size_t kept() {
    MutexLock lock(mutex_);
    return kept_replies_.size();
  }
  void answer_kept() {
    MutexLock lock(mutex_);
    for (const auto& reply : kept_replies_) reply(control::SubmitReceipt{});
  }

 private:
  void reply_later(std::function<void()> work) {
    MutexLock lock(threads_mutex_);
    threads_.emplace_back(std::move(work));
  }
  void announce(const EventPtr& event) {
    MutexLock lock(feed_mutex_);
    if (on_event_) on_event_(event);
  }

  FakeReader& reader_;
  CatalogPtr catalog_;
  mutable Mutex mutex_;
  LiveStatePtr live_ GUARDED_BY(mutex_);
  LiveSettings settings_ GUARDED_BY(mutex_);
  std::optional<Error> refusal_ GUARDED_BY(mutex_);
  bool silent_ GUARDED_BY(mutex_) = false;
  std::vector<control::Reply<control::SubmitReceipt>> kept_replies_ GUARDED_BY(mutex_);
  std::int64_t last_job_ GUARDED_BY(mutex_) = 100;
  Mutex feed_mutex_;
  std::function<void(const EventPtr&)> on_event_ GUARDED_BY(feed_mutex_);
  Mutex threads_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace pixelfleet::http::testing
