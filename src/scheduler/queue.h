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
#include <utility>
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
  enum class Attempt {
    any,
    last
  } attempt = Attempt::any;  // the last: not on probation while another gpu could take it

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
  friend bool operator==(const Position&, const Position&) = default;
};

class Queue {
  using Jobs = std::set<Position>;
  using Lanes = std::map<Lane, Jobs>;

 public:
  void insert(const Position& position, Lane lane);
  void erase(JobId job);
  bool any_moved() const { return !moved_.empty(); }
  bool contains(JobId job) const { return entries_.contains(job); }
  std::size_t size() const { return entries_.size(); }
  std::optional<JobId> first() const;
  std::vector<JobId> of_model(const ModelKey& model) const;  // in order
  std::size_t count(const ModelKey& model) const;
  // Of each lane of this model the first job of each priority, whatever waits before it; in order.
  std::vector<JobId> firsts_of(const ModelKey& model) const;

  // What has changed among the jobs of a model since it was asked last.
  struct Changes {
    enum class Extent { some, all } extent = Extent::some;
    std::vector<Position> left;     // places where somebody waited
    std::vector<Position> entered;  // places where somebody waits, unless he has left since
  };
  void touch(const ModelKey& model) { changes_[model] = {Changes::Extent::all, {}, {}}; }
  void touch(JobId job);  // it waits where it did, but is another one
  std::map<ModelKey, Changes> take_changes() { return std::exchange(changes_, {}); }
  // Whether the job waits at this very place.
  bool waits_at(const Position& position) const;

  // Whether a younger job was moved in front of this place and waits in a lane that `suits`. Ranks alone say so: no
  // memory of the move is needed. While every rank is 0 it costs one look.
  template <class Suits>
  bool any_moved_before(const Position& position, Suits suits) const {
    for (const auto& [lane, moved] : moved_) {
      if (moved.has_younger_before(position) && suits(lane)) return true;
    }
    if (position.rank <= 0.0) return false;
    // Behind those that kept rank 0 too.
    for (const auto& [lane, jobs] : lanes_) {
      const auto younger = jobs.upper_bound(Position{position.priority, 0.0, position.job});
      if (younger == jobs.end() || younger->priority != position.priority || younger->rank != 0.0) continue;
      if (suits(lane)) return true;
    }
    return false;
  }

  // Walks in order. The job it stands on may be erased, and so may others; inserting is not allowed meanwhile.
  class Walk {
   public:
    explicit Walk(const Queue& queue);                                // over all lanes
    Walk(const Queue& queue, ModelKey model);                         // over the lanes of one model
    Walk(const Queue& queue, ModelKey model, const Position& after);  // of these, over the jobs behind that place
    bool at_end() const { return heads_.empty(); }
    JobId job() const { return position().job; }
    const Position& position() const { return heads_.begin()->first; }
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
  // The jobs of a lane whose rank is not 0. Of these only a job younger than all before it, of its priority, can have
  // overtaken anybody that the ones before it did not: these records answer every question by one search.
  class Moved {
   public:
    void insert(const Position& position);
    void erase(const Position& position);
    bool empty() const { return jobs_.empty(); }
    bool has_younger_before(const Position& position) const;

   private:
    Jobs jobs_;
    mutable std::vector<Position> records_;  // made when asked for after a change
    enum class Records { made, outdated };
    mutable Records state_ = Records::made;
  };
  Lanes lanes_;  // empty ones stay until drop_empty_lanes, so that a Walk may erase
  enum class LanesState { all_used, some_empty } lanes_state_ = LanesState::all_used;
  std::map<Lane, Moved> moved_;
  std::map<JobId, Entry> entries_;
  std::map<ModelKey, std::size_t> counts_;
  void note(const ModelKey& model, const Position* left, const Position* entered);
  std::map<ModelKey, Changes> changes_;
};

}  // namespace pixelfleet::scheduler
