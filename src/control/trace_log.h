// TraceLog: the last decisions of the scheduler and the loads, runs and stagings that came of them, for a trace viewer.
//
// Rings of a fixed size. Written by the control thread, read by any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "domain/gpu.h"
#include "domain/ids.h"
#include "scheduler/decision.h"

namespace pixelfleet::control {

class TraceLog {
 public:
  static constexpr std::size_t kMostDecisions = 10'000;
  static constexpr std::size_t kMostSpans = 10'000;

  void set_gpus(const std::vector<Gpu>& gpus);  // those that left keep their name
  void add(std::vector<scheduler::Decision> decisions);

  // What ends without having begun here is ignored.
  void load_began(WorkerId worker, const GpuUuid& gpu, const ModelKey& model, Instant at);
  void load_ended(WorkerId worker, const char* outcome, Instant at);
  void run_began(ChunkId chunk, const GpuUuid& gpu, const ModelKey& model, JobId job, std::size_t images, Instant at);
  void run_ended(ChunkId chunk, const std::string& outcome, Instant at);
  void staging_began(const ModelKey& model, Instant at);
  void staging_ended(const ModelKey& model, const char* outcome, Instant at);

  // In the JSON that Perfetto and chrome://tracing read: one process per gpu and one for host memory, runs and loads as
  // slices, decisions as instants. What is under way ends now.
  std::string to_chrome_trace(Instant now) const;

 private:
  struct Span {
    enum class Kind { run, load, staging } kind = Kind::run;
    GpuUuid gpu;
    ModelKey model;
    std::optional<JobId> job;
    std::size_t images = 0;
    Instant began_at;
    Instant ended_at;
    std::string outcome;
  };
  struct Content {  // one copy of all, to be written out without the lock
    std::vector<scheduler::Decision> decisions;
    std::vector<Span> spans;
    std::map<GpuUuid, Gpu> gpus;
  };

  Content content(Instant now) const;
  template <class Key>
  void end(std::map<Key, Span>& open, const Key& key, const std::string& outcome, Instant at);

  mutable Mutex mutex_;
  std::map<GpuUuid, Gpu> gpus_ GUARDED_BY(mutex_);
  std::deque<scheduler::Decision> decisions_ GUARDED_BY(mutex_);
  std::deque<Span> spans_ GUARDED_BY(mutex_);
  std::map<WorkerId, Span> loads_ GUARDED_BY(mutex_);  // under way
  std::map<ChunkId, Span> runs_ GUARDED_BY(mutex_);
  std::map<ModelKey, Span> stagings_ GUARDED_BY(mutex_);
};

}  // namespace pixelfleet::control
