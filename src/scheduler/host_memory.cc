// Host memory: which model files are kept there, and which is read in next.
//
// A file's value is the reading it is expected to save, in seconds per second and byte: its model's arrival rate, and
// more while jobs wait for it that no gpu can run. One file is staged at a time, only while no load reads the disk;
// a load of the model being staged joins it. The file of least value leaves first.
#include <algorithm>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr double kClearlyMore = 1.5;  // and worth this much more than what it pushes out
constexpr Duration kReadAgainAfter = std::chrono::seconds{30};

double bytes_of(const Planning& planning, const ModelKey& key) {
  return planning.board.model(planning.models.at(key)).file_bytes;
}

}  // namespace

void Scheduler::State::on(const ModelStaged& event) {
  if (planning.staging == event.model) planning.staging.reset();
  planning.staged.insert(event.model);
  planning.stale.insert(event.model);
  planning.used_at[event.model] = now;
  if (!models.contains(event.model)) return unstage(event.model);  // forgotten while it was read
  keep_within_host_memory();
}

void Scheduler::State::on(const ModelUnstaged& event) {
  // Tried again at once it would fail again: the file is gone, or memory is short.
  if (planning.staging == event.model) {
    planning.staging.reset();
    planning.unreadable_until[event.model] = now + kReadAgainAfter;
  }
  planning.staged.erase(event.model);
  planning.stale.insert(event.model);
}

void Scheduler::State::keep_within_host_memory() {
  const auto file_bytes = [this](const ModelKey& key) {
    const auto model = models.find(key);
    return model == models.end() ? 0.0 : static_cast<double>(model->second.file_bytes);
  };
  for (;;) {
    double bytes = planning.staging ? file_bytes(*planning.staging) : 0.0;
    const ModelKey* least = nullptr;
    double least_value = kNever;
    for (const ModelKey& key : planning.staged) {
      const int model = model_index(key);
      bytes += file_bytes(key);
      const double value = host_value(planning.board, model);
      if (value < least_value) {
        least_value = value;
        least = &key;
      }
    }
    if (bytes <= static_cast<double>(policy.host_memory_bytes) || least == nullptr) return;
    unstage(ModelKey(*least));
  }
}

void Scheduler::State::unstage(const ModelKey& key) {
  note({now, {Decision::Kind::unstage, {}, key}, Decision::Why::room});
  actions.emplace_back(UnstageModel{key});
  planning.staged.erase(key);
  planning.stale.insert(key);
}

// Whether files worth less than `value` can leave so that this one fits; then they have left.
bool Scheduler::State::make_room(const ModelKey& key, double value, double margin) {
  double free = static_cast<double>(policy.host_memory_bytes) - bytes_of(planning, key);
  std::vector<std::pair<double, ModelKey>> others;
  for (const ModelKey& staged : planning.staged) {
    free -= bytes_of(planning, staged);
    others.emplace_back(host_value(planning.board, model_index(staged)), staged);
  }
  std::sort(others.begin(), others.end());
  std::size_t leaving = 0;
  double lost = 0.0;
  while (free < 0.0) {
    if (leaving == others.size() || others[leaving].first >= value) return false;
    const double bytes = bytes_of(planning, others[leaving].second);
    lost += others[leaving].first * bytes;
    free += bytes;
    ++leaving;
  }
  if (value * bytes_of(planning, key) <= margin * lost) return false;
  for (std::size_t i = 0; i < leaving; ++i) unstage(others[i].second);
  return true;
}

void Scheduler::State::mark_unreadable_files() {
  for (auto& [key, until] : planning.unreadable_until) {
    if (models.contains(key)) planning.board.model(model_index(key)).unreadable = until > now;
  }
  std::erase_if(planning.unreadable_until, [this](const auto& entry) { return entry.second <= now; });
}

void Scheduler::State::stage() {
  if (policy.host_memory_bytes == 0) return;
  mark_unreadable_files();
  const NextStaging next = next_staging(planning.board);
  if (next.model < 0) return;
  const ModelKey key = planning.model_keys[static_cast<std::size_t>(next.model)];
  if (!models.contains(key)) return;
  if (!make_room(key, host_value(planning.board, next.model), next.wanted ? 0.0 : kClearlyMore)) return;
  planning.staging = key;
  planning.staging_end =
      now + Duration{static_cast<std::int64_t>(bytes_of(planning, key) / policy.disk_bytes_per_second * 1e6)};
  note({now, {Decision::Kind::stage, {}, key}, Decision::Why::wanted});
  actions.emplace_back(StageModel{key});
}

}  // namespace pixelfleet::scheduler
