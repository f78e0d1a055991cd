// Queue: the jobs that may start, in the order (priority, rank, id), grouped into lanes.
//
// Jobs of one lane ask the same of a gpu, so when the first of them cannot be placed, none of them can: a search for
// work costs as many looks as there are lanes, not jobs. A plain value: copying copies everything.
#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "domain/ids.h"
#include "domain/job_spec.h"

namespace pixelfleet::scheduler {

// What a job asks of a gpu.
struct Lane {
  ModelKey model;
  std::optional<GpuUuid> pin;
  std::set<GpuUuid> avoid;            // where it failed: not there again while another gpu could take it
  std::int64_t more_than_bytes = -1;  // only gpus with more memory than this, after one ran out of it

  friend auto operator<=>(const Lane&, const Lane&) = default;
};

// A job's place in the order; lower goes first.
struct Position {
  Priority priority = Priority::normal;
  double rank = 0.0;
  JobId job;

  friend bool operator<(const Position& a, const Position& b) {
    if (a.priority != b.priority) return a.priority < b.priority;
    if (a.rank != b.rank) return a.rank < b.rank;
    return a.job < b.job;
  }
};

class Queue {
  using Lanes = std::map<Lane, std::set<Position>>;

 public:
  void insert(const Position& position, Lane lane);
  void erase(JobId job);
  bool contains(JobId job) const { return entries_.contains(job); }
  std::size_t size() const { return entries_.size(); }
  std::optional<JobId> first() const;
  std::vector<JobId> of_model(const ModelKey& model) const;  // in order

  // Walks in order. The job it stands on may be erased, and so may others; inserting is not allowed meanwhile.
  class Walk {
   public:
    explicit Walk(const Queue& queue);         // over all lanes
    Walk(const Queue& queue, ModelKey model);  // over the lanes of one model
    bool at_end() const { return heads_.empty(); }
    JobId job() const { return heads_.begin()->first.job; }
    const Lane& lane() const { return heads_.begin()->second->first; }
    void next();                                        // past this job
    void skip_lane() { heads_.erase(heads_.begin()); }  // past all jobs of its lane

   private:
    std::map<Position, Lanes::const_iterator> heads_;
  };

  // Forgets lanes without jobs. Not while a Walk is under way.
  void drop_empty_lanes();

 private:
  struct Entry {
    Position position;
    Lane lane;
  };
  Lanes lanes_;  // empty ones stay until drop_empty_lanes, so that a Walk may erase
  std::map<JobId, Entry> entries_;
};

}  // namespace pixelfleet::scheduler
