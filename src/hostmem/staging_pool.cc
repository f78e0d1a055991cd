#include "hostmem/staging_pool.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "hostmem/page_cache.h"

namespace pixelfleet::hostmem {
namespace {

using Clock = std::chrono::steady_clock;

// The kernel may take a few pages at any time; a load that has to read so little again is as good as from memory.
constexpr double kEnough = 0.95;

struct Residency {
  std::int64_t bytes = 0;
  std::int64_t resident = 0;
  bool known = true;

  bool is_enough() const { return static_cast<double>(resident) >= kEnough * static_cast<double>(bytes); }
};

Result<Residency> residency_of(const std::vector<std::string>& paths) {
  Residency sum;
  for (const std::string& path : paths) {
    const auto file = FileInMemory::open(path);
    if (!file) return fail(file.error());
    const auto resident = file->resident_bytes();
    if (!resident) return fail(resident.error());
    sum.bytes += file->bytes();
    sum.resident += resident->value_or(0);
    sum.known = sum.known && resident->has_value();
  }
  return sum;
}

// False: it was cancelled.
Result<bool> read_all(const std::vector<std::string>& paths, const std::atomic<bool>& cancelled) {
  for (const std::string& path : paths) {
    const auto file = FileInMemory::open(path);
    if (!file) return fail(file.error());
    const auto reading = file->read_in(cancelled);
    if (!reading) return fail(reading.error());
    if (*reading == FileInMemory::Reading::cancelled) return false;
  }
  return true;
}

}  // namespace

StagingPool::StagingPool(Options options, control::Inbox& inbox)
    : options_(options), inbox_(inbox), watch_at_(Clock::now() + options.watch_interval), thread_([this] { run(); }) {}

StagingPool::~StagingPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    cancelled_ = true;
    work_.notify_all();
  }
  thread_.join();
}

void StagingPool::push(Task task) {
  MutexLock lock(mutex_);
  tasks_.push_back(std::move(task));
  work_.notify_all();
}

void StagingPool::stage(const control::FilesOfModel& files) { push(Stage{files}); }

void StagingPool::check(const control::FilesOfModel& files) { push(Check{files}); }

void StagingPool::unstage(const control::FilesOfModel& files) {
  bool waited = false;
  {
    MutexLock lock(mutex_);
    waited = std::erase_if(tasks_, [&files](const Task& task) {
               const auto* stage = std::get_if<Stage>(&task);
               return stage != nullptr && stage->files.model == files.model;
             }) > 0;
    if (reading_ == files.model) cancelled_ = true;
    tasks_.emplace_back(LetGo{files});
    work_.notify_all();
  }
  if (waited) inbox_.post(control::ModelIsUnstaged{files.model});
}

void StagingPool::run() {
  for (;;) {
    const Task task = next_task();
    if (std::holds_alternative<Stop>(task)) return;
    if (const auto* stage = std::get_if<Stage>(&task)) carry_out(*stage);
    if (const auto* let_go = std::get_if<LetGo>(&task)) carry_out(*let_go);
    if (const auto* check = std::get_if<Check>(&task)) carry_out(*check);
    if (std::holds_alternative<Watch>(task)) watch();
  }
}

StagingPool::Task StagingPool::next_task() {
  MutexLock lock(mutex_);
  while (!stopping_ && tasks_.empty()) {
    if (held_.empty()) {
      work_.wait(mutex_);
    } else if (Clock::now() >= watch_at_) {
      return Watch{};
    } else {
      work_.wait_until(mutex_, watch_at_);
    }
  }
  if (stopping_) return Stop{};
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  if (const auto* stage = std::get_if<Stage>(&task)) {
    reading_ = stage->files.model;
    cancelled_ = false;
  }
  return task;
}

void StagingPool::carry_out(const Stage& task) {
  const auto& [model, files] = task.files;
  const auto before = residency_of(files);
  const auto begun = Clock::now();
  const bool there = before && before->known && before->is_enough();
  const auto read = there ? Result<bool>(true) : read_all(files, cancelled_);
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  {
    MutexLock lock(mutex_);
    reading_.reset();
    if (stopping_) return;
  }
  const auto after = residency_of(files);
  if (!read || !after) {
    log::warn("hostmem", "{} is not kept in host memory: {}", model, (!read ? read.error() : after.error()).message);
    return inbox_.post(control::ModelIsUnstaged{model});
  }
  if (!*read) return inbox_.post(control::ModelIsUnstaged{model});
  if (after->known && !after->is_enough()) {
    log::warn("hostmem", "{} of {} MB of {} stayed in host memory: the system needs it for others",
              after->resident / 1'000'000, after->bytes / 1'000'000, model);
    return inbox_.post(control::ModelIsUnstaged{model});
  }
  const std::int64_t bytes_read = there ? 0 : after->bytes - (before ? before->resident : 0);
  log::info("hostmem", "{} is in host memory: {} MB read in {:.1f} s", model, bytes_read / 1'000'000, seconds);
  held_[model] = task.files;
  inbox_.post(control::ModelIsStaged{model, bytes_read, there ? 0.0 : seconds});
}

void StagingPool::carry_out(const LetGo& task) {
  held_.erase(task.files.model);
  for (const std::string& path : task.files.files) {
    if (is_needed_by_others(path, task.files.model)) continue;
    if (const auto file = FileInMemory::open(path)) file->let_go();
  }
}

void StagingPool::carry_out(const Check& task) {
  const auto residency = residency_of(task.files.files);
  // Where the system does not say, what has just been read counts as there.
  if (!residency || (residency->known && !residency->is_enough())) return;
  held_[task.files.model] = task.files;
  inbox_.post(control::ModelIsStaged{task.files.model, 0, 0.0});
}

void StagingPool::watch() {
  watch_at_ = Clock::now() + options_.watch_interval;
  std::vector<ModelKey> gone;
  for (const auto& [model, files] : held_) {
    const auto residency = residency_of(files.files);
    if (!residency || (residency->known && !residency->is_enough())) gone.push_back(model);
  }
  for (const ModelKey& model : gone) {
    log::info("hostmem", "{} is no longer in host memory", model);
    held_.erase(model);
    inbox_.post(control::ModelIsUnstaged{model});
  }
}

// Models share text encoders and VAEs.
bool StagingPool::is_needed_by_others(const std::string& file, const ModelKey& model) const {
  const auto has = [&](const control::FilesOfModel& other) {
    return other.model != model && std::find(other.files.begin(), other.files.end(), file) != other.files.end();
  };
  if (std::any_of(held_.begin(), held_.end(), [&has](const auto& entry) { return has(entry.second); })) return true;
  MutexLock lock(mutex_);
  return std::any_of(tasks_.begin(), tasks_.end(), [&has](const Task& task) {
    const auto* stage = std::get_if<Stage>(&task);
    return stage != nullptr && has(stage->files);
  });
}

}  // namespace pixelfleet::hostmem
