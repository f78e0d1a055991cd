// Holdings: what our workers hold on each gpu, and so which part of a sample is ours.
//
// Process ids decide where the driver tells them and they are ours to recognise. In a container they may be hidden, or
// those of another namespace; then the figures of the workers do. These are ranges: what a worker holds while it loads
// or works is somewhere between what it keeps and its peak. A sample may be older than the last event, so what just
// changed counts as both for some seconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sharing/events.h"

namespace pixelfleet::sharing {

inline constexpr Duration kSampleLag = std::chrono::seconds{4};  // between the driver's reading and what we did since

struct ByteRange {
  std::int64_t least = 0;
  std::int64_t most = 0;

  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// A sample's memory, taken apart.
struct Split {
  ByteRange ours;
  std::optional<ByteRange> not_ours;  // of anybody, graphics and leftovers too; absent: the sample does not tell
  std::optional<std::int64_t> ours_by_driver;  // when it names each of our workers
  ByteRange believed;                          // by our own figures alone

  // Compute processes of others use this much at least; absent: not known.
  std::optional<OthersCompute> others = {};
  enum class Proof { named, by_figures } proof = Proof::named;  // named: by process ids that cannot be ours
};

class Holdings {
 public:
  // Events about workers; all others are ignored.
  void apply(const Event& event, Instant now);
  // Takes a sample apart. It also learns from it whether our process ids can be seen.
  Split split(const GpuSample& sample, std::int64_t total_bytes, Instant now);

  // Nothing of ours loads or works there, since this long at least.
  bool rests(const GpuUuid& gpu, Duration since, Instant now) const;
  bool works(const GpuUuid& gpu) const;          // a chunk runs
  bool any_on(const GpuUuid& gpu) const;         // a worker lives
  bool remembers_any(const GpuUuid& gpu) const;  // or one ended so lately that it may still be in a sample
  ByteRange believed_on(const GpuUuid& gpu, Instant now) const;
  std::int64_t peaks_on(const GpuUuid& gpu) const;  // of the workers that live, in sum

 private:
  struct Worker {
    GpuUuid gpu;
    std::int64_t peak_bytes = 0;
    std::optional<std::int64_t> resting_bytes;
    std::optional<std::int64_t> pid;
    std::optional<JobId> job;  // whose chunk runs
    enum class Stage { loading, ready, ended } stage = Stage::loading;
    Instant changed = {};
  };
  enum class Pids { unknown, seen, hidden };
  struct Listed;

  Worker* find(WorkerId worker);
  static ByteRange range_of(const Worker& worker, Instant now);
  Listed sort_out(const GpuSample& sample, Instant now) const;
  void learn_from(const Listed& listed);
  void name_others(Split& split, const Listed& listed) const;

  std::map<WorkerId, Worker> workers_;  // ended ones for kSampleLag
  Pids pids_ = Pids::unknown;
  int misses_ = 0;  // samples in a row without any of our workers that should be in it
};

// The driver's figures where they can be true.
std::optional<std::int64_t> sane_bytes(std::optional<std::int64_t> bytes, std::int64_t total_bytes);
// What is in use, from used and free together; absent when there is no telling, or they contradict each other.
std::optional<std::int64_t> occupied_bytes(const GpuSample& sample, std::int64_t total_bytes);

}  // namespace pixelfleet::sharing
