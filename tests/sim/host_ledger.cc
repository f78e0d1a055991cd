#include "host_ledger.h"

#include "base/format.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

namespace {

std::int64_t file_bytes(const HostLedger::Models& models, const ModelKey& key) {
  const auto model = models.find(key);
  return model == models.end() ? 0 : model->second.file_bytes;
}

}  // namespace

void HostLedger::on(const ModelStaged& e, const Models& models) {
  if (staging_ && *staging_ == e.model) staging_.reset();
  staged_[e.model] = file_bytes(models, e.model);
}

void HostLedger::on(const ModelUnstaged& e) {
  if (staging_ && *staging_ == e.model) staging_.reset();
  staged_.erase(e.model);
}

void HostLedger::forget_all() {
  staged_.clear();
  staging_.reset();
}

std::optional<std::string> HostLedger::order(const StageModel& a, const Models& models) {
  if (staging_) return format("model {} is staged while {} is", a.model, *staging_);
  if (!models.contains(a.model)) return format("unknown model {} is staged", a.model);
  if (staged_.contains(a.model)) return format("model {} is staged twice", a.model);
  staging_ = a.model;
  return std::nullopt;
}

std::optional<std::string> HostLedger::order(const UnstageModel& a) {
  if (staged_.erase(a.model) == 0) return format("model {} is dropped from host memory, but is not there", a.model);
  return std::nullopt;
}

std::optional<std::string> HostLedger::check(const Models& models, const Policy& policy) const {
  std::int64_t bytes = 0;
  for (const auto& [key, size] : staged_) {
    if (!models.contains(key)) return format("the file of model {}, which is unknown, stays in host memory", key);
    bytes += size;
  }
  // A reading under way cannot be taken back; what it brings in is judged then.
  if (bytes > policy.host_memory_bytes) return format("host memory is oversold: {} bytes", bytes);
  if (staging_ && bytes + file_bytes(models, *staging_) > policy.host_memory_bytes && !staged_.empty()) {
    return format("host memory is oversold while model {} is staged", *staging_);
  }
  return std::nullopt;
}

}  // namespace pixelfleet::sim
