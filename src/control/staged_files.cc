#include "control/staged_files.h"

#include <cmath>

namespace pixelfleet::control {
namespace {

constexpr std::int64_t kTellsTheSpeed = 64LL << 20;  // less read says more of caches than of the disk
constexpr double kGain = 0.3;
constexpr double kClearlyOther = 0.1;

}  // namespace

FilesOfModel StagedFiles::files_of(const Catalog& catalog, const ModelKey& key) {
  if (const Model* model = catalog.find_model(key)) {
    Entry& entry = entries_[key];
    entry.files = {key, {}};
    for (const ModelPart& part : model->parts) entry.files.files.push_back(part.file);
    entry.bytes = model->file_bytes();
    return entry.files;
  }
  const auto known = entries_.find(key);
  return known == entries_.end() ? FilesOfModel{key, {}} : known->second.files;
}

bool StagedFiles::contains(const ModelKey& key) const {
  const auto known = entries_.find(key);
  return known != entries_.end() && known->second.staged;
}

void StagedFiles::arrived(const ModelIsStaged& message) {
  if (staging_ == message.model) staging_.reset();
  entries_[message.model].staged = true;
  if (message.bytes_read >= kTellsTheSpeed && message.seconds > 0.0) measure(message.bytes_read, message.seconds);
}

void StagedFiles::left(const ModelKey& key) {
  if (staging_ == key) staging_.reset();
  entries_.erase(key);
}

// What is being read meanwhile is answered for by the port.
void StagedFiles::let_go(const ModelKey& key) { entries_.erase(key); }

void StagedFiles::measure(std::int64_t bytes, double seconds) {
  const double speed = static_cast<double>(bytes) / seconds;
  speed_ = speed_ ? *speed_ + kGain * (speed - *speed_) : speed;
  if (!told_speed_ || std::abs(*speed_ - *told_speed_) > kClearlyOther * *told_speed_) told_speed_ = speed_;
}

HostMemory StagedFiles::view(std::int64_t limit_bytes) const {
  HostMemory view;
  view.limit_bytes = limit_bytes;
  view.staging = staging_;
  view.disk_bytes_per_second = told_speed_;
  for (const auto& [key, entry] : entries_) {
    if (!entry.staged) continue;
    view.used_bytes += entry.bytes;
    view.staged.push_back(key);
  }
  return view;
}

}  // namespace pixelfleet::control
