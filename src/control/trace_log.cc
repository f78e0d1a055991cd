#include "control/trace_log.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet::control {
namespace {

using scheduler::Decision;

// Tracks of one gpu. Loads have one of their own: they may go on beside a run.
constexpr int kRuns = 1;
constexpr int kLoads = 2;
constexpr const char* kHostMemory = "host memory";

std::int64_t micros(Instant at) { return at.time_since_epoch().count(); }

Json name_event(const char* what, int process, int track, const std::string& name) {
  return {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", track}, {"args", {{"name", name}}}};
}

// Numbers of processes by gpu; host memory is the last.
class Processes {
 public:
  explicit Processes(const std::map<GpuUuid, Gpu>& gpus) : gpus_(gpus) {}

  int of(const GpuUuid& gpu) {
    const auto [found, inserted] = numbers_.emplace(gpu, 0);
    if (inserted) found->second = static_cast<int>(numbers_.size());
    return found->second;
  }

  void describe(Json& events) const {
    for (const auto& [uuid, number] : numbers_) {
      const auto gpu = gpus_.find(uuid);
      std::string name = uuid.empty() ? std::string(kHostMemory) : "gpu " + uuid;
      if (gpu != gpus_.end()) name = format("gpu {}: {}", gpu->second.index, gpu->second.name);
      events.push_back(name_event("process_name", number, 0, name));
      const int place = gpu != gpus_.end() ? gpu->second.index : 1000;
      events.push_back({{"ph", "M"},
                        {"name", "process_sort_index"},
                        {"pid", number},
                        {"tid", 0},
                        {"args", {{"sort_index", place}}}});
      events.push_back(name_event("thread_name", number, kRuns, uuid.empty() ? "files" : "runs"));
      if (!uuid.empty()) events.push_back(name_event("thread_name", number, kLoads, "loads"));
    }
  }

 private:
  const std::map<GpuUuid, Gpu>& gpus_;
  std::map<GpuUuid, int> numbers_;
};

double short_number(double value) { return value == 0.0 ? 0.0 : std::stod(format("{:.4g}", value)); }

Json option_json(const Decision::Option& option) {
  Json json = {{"kind", name(option.kind)}};
  if (!option.gpu.empty()) json["gpu"] = option.gpu;
  if (!option.model.empty()) json["model"] = option.model;
  if (option.job) json["job"] = option.job->value;
  if (option.index > 0.0) json["index"] = short_number(option.index);
  return json;
}

std::string title_of(const Decision& decision) {
  const Decision::Option& taken = decision.taken;
  std::string title = format("decide: {}", name(taken.kind));
  if (!taken.model.empty()) title += " " + taken.model;
  if (taken.job) title += format(" for job {}", taken.job->value);
  return title;
}

Json decision_json(const Decision& decision, int process) {
  const bool runs = decision.taken.kind == Decision::Kind::run || decision.taken.gpu.empty();
  Json args = option_json(decision.taken);
  args["why"] = name(decision.why);
  if (!decision.pushes_out.empty()) args["pushes_out"] = decision.pushes_out;
  if (!decision.others.empty()) args["others"] = Json::array();
  for (const Decision::Option& other : decision.others) args["others"].push_back(option_json(other));
  return {{"ph", "i"},
          {"s", "t"},
          {"name", title_of(decision)},
          {"cat", "decision"},
          {"pid", process},
          {"tid", runs ? kRuns : kLoads},
          {"ts", micros(decision.at)},
          {"args", std::move(args)}};
}

}  // namespace

void TraceLog::set_gpus(const std::vector<Gpu>& gpus) {
  MutexLock lock(mutex_);
  for (const Gpu& gpu : gpus) gpus_.insert_or_assign(gpu.uuid, gpu);
}

void TraceLog::add(std::vector<Decision> decisions) {
  if (decisions.empty()) return;
  MutexLock lock(mutex_);
  for (Decision& decision : decisions) decisions_.push_back(std::move(decision));
  while (decisions_.size() > kMostDecisions) decisions_.pop_front();
}

void TraceLog::load_began(WorkerId worker, const GpuUuid& gpu, const ModelKey& model, Instant at) {
  MutexLock lock(mutex_);
  loads_[worker] = {Span::Kind::load, gpu, model, {}, 0, at, at, {}};
}

void TraceLog::load_ended(WorkerId worker, const char* outcome, Instant at) {
  MutexLock lock(mutex_);
  end(loads_, worker, outcome, at);
}

void TraceLog::run_began(ChunkId chunk, const GpuUuid& gpu, const ModelKey& model, JobId job, std::size_t images,
                         Instant at) {
  MutexLock lock(mutex_);
  runs_[chunk] = {Span::Kind::run, gpu, model, job, images, at, at, {}};
}

void TraceLog::run_ended(ChunkId chunk, const std::string& outcome, Instant at) {
  MutexLock lock(mutex_);
  end(runs_, chunk, outcome, at);
}

void TraceLog::staging_began(const ModelKey& model, Instant at) {
  MutexLock lock(mutex_);
  stagings_[model] = {Span::Kind::staging, {}, model, {}, 0, at, at, {}};
}

void TraceLog::staging_ended(const ModelKey& model, const char* outcome, Instant at) {
  MutexLock lock(mutex_);
  end(stagings_, model, outcome, at);
}

template <class Key>
void TraceLog::end(std::map<Key, Span>& open, const Key& key, const std::string& outcome, Instant at) {
  const auto found = open.find(key);
  if (found == open.end()) return;
  found->second.ended_at = at;
  found->second.outcome = outcome;
  spans_.push_back(std::move(found->second));
  open.erase(found);
  while (spans_.size() > kMostSpans) spans_.pop_front();
}

TraceLog::Content TraceLog::content(Instant now) const {
  MutexLock lock(mutex_);
  Content content{{decisions_.begin(), decisions_.end()}, {spans_.begin(), spans_.end()}, gpus_};
  const auto add_open = [&](const auto& open) {
    for (const auto& [key, span] : open) {
      content.spans.push_back(span);
      content.spans.back().ended_at = std::max(now, span.began_at);
      content.spans.back().outcome = "under way";
    }
  };
  add_open(loads_);
  add_open(runs_);
  add_open(stagings_);
  return content;
}

std::string TraceLog::to_chrome_trace(Instant now) const {
  const Content content = this->content(now);
  Processes processes(content.gpus);
  for (const auto& [uuid, gpu] : content.gpus) processes.of(uuid);
  Json events = Json::array();
  for (const Span& span : content.spans) {
    const bool load = span.kind == Span::Kind::load;
    Json args = {{"model", span.model}, {"outcome", span.outcome}};
    if (span.kind == Span::Kind::run) args["images"] = span.images;
    events.push_back({{"ph", "X"},
                      {"name", span.job ? format("job {}", span.job->value) : (load ? "load " : "read ") + span.model},
                      {"cat", load ? "load" : (span.job ? "run" : "staging")},
                      {"pid", processes.of(span.gpu)},
                      {"tid", load ? kLoads : kRuns},
                      {"ts", micros(span.began_at)},
                      {"dur", micros(span.ended_at) - micros(span.began_at)},
                      {"args", std::move(args)}});
  }
  for (const Decision& decision : content.decisions) {
    events.push_back(decision_json(decision, processes.of(decision.taken.gpu)));
  }
  processes.describe(events);
  return to_text(Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}});
}

}  // namespace pixelfleet::control
