#include "scheduler/queue.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/check.h"

namespace pixelfleet::scheduler {

void Queue::insert(const Position& position, Lane lane) {
  CHECK(!contains(position.job));
  lanes_[lane].insert(position);
  if (position.rank != 0.0) moved_[lane].insert(position);
  ++counts_[lane.model];
  note(lane.model, nullptr, &position);
  entries_.emplace(position.job, Entry{position, std::move(lane)});
}

void Queue::erase(JobId job) {
  const auto entry = entries_.find(job);
  if (entry == entries_.end()) return;
  const auto& [position, lane] = entry->second;
  Jobs& jobs = lanes_.find(lane)->second;
  jobs.erase(position);
  if (jobs.empty()) lanes_state_ = LanesState::some_empty;
  if (position.rank != 0.0) {
    const auto moved = moved_.find(lane);
    moved->second.erase(position);
    if (moved->second.empty()) moved_.erase(moved);
  }
  const auto count = counts_.find(lane.model);
  if (--count->second == 0) counts_.erase(count);
  note(lane.model, &position, nullptr);
  entries_.erase(entry);
}

// Not every policy asks for the changes: of many nothing is known but that they are many.
void Queue::note(const ModelKey& model, const Position* left, const Position* entered) {
  constexpr std::size_t kMost = 32;
  Changes& changes = changes_[model];
  if (changes.extent == Changes::Extent::all) return;
  if (left != nullptr) changes.left.push_back(*left);
  if (entered != nullptr) changes.entered.push_back(*entered);
  if (changes.left.size() + changes.entered.size() > kMost) touch(model);
}

void Queue::touch(JobId job) {
  const Entry& entry = entries_.at(job);
  note(entry.lane.model, &entry.position, &entry.position);
}

bool Queue::waits_at(const Position& position) const {
  const auto entry = entries_.find(position.job);
  return entry != entries_.end() && entry->second.position == position;
}

std::size_t Queue::count(const ModelKey& model) const {
  const auto found = counts_.find(model);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<JobId> Queue::firsts_of(const ModelKey& model) const {
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
  std::vector<Position> firsts;
  for (auto lane = lanes_.lower_bound(Lane{model, std::nullopt, {}, -1}); lane != lanes_.end(); ++lane) {
    if (lane->first.model != model) break;
    for (const Priority priority : {Priority::interactive, Priority::normal, Priority::background}) {
      const auto job = lane->second.lower_bound(Position{priority, kLeast, JobId{}});
      if (job != lane->second.end() && job->priority == priority) firsts.push_back(*job);
    }
  }
  std::sort(firsts.begin(), firsts.end());
  std::vector<JobId> jobs;
  for (const Position& position : firsts) jobs.push_back(position.job);
  return jobs;
}

void Queue::Moved::insert(const Position& position) {
  jobs_.insert(position);
  state_ = Records::outdated;
}

void Queue::Moved::erase(const Position& position) {
  jobs_.erase(position);
  state_ = Records::outdated;
}

bool Queue::Moved::has_younger_before(const Position& position) const {
  if (state_ == Records::outdated) {
    records_.clear();
    for (const Position& job : jobs_) {
      const bool record = records_.empty() || records_.back().priority != job.priority || records_.back().job < job.job;
      if (record) records_.push_back(job);
    }
    state_ = Records::made;
  }
  const auto behind = std::lower_bound(records_.begin(), records_.end(), position);
  if (behind == records_.begin()) return false;
  const Position& youngest = *std::prev(behind);
  return youngest.priority == position.priority && position.job < youngest.job;
}

std::optional<JobId> Queue::first() const {
  const Position* best = nullptr;
  for (const auto& [lane, jobs] : lanes_) {
    if (!jobs.empty() && (best == nullptr || *jobs.begin() < *best)) best = &*jobs.begin();
  }
  return best != nullptr ? std::optional<JobId>(best->job) : std::nullopt;
}

std::vector<JobId> Queue::of_model(const ModelKey& model) const {
  std::vector<JobId> jobs;
  for (Walk walk(*this, model); !walk.at_end(); walk.next()) jobs.push_back(walk.job());
  return jobs;
}

void Queue::drop_empty_lanes() {
  if (std::exchange(lanes_state_, LanesState::all_used) == LanesState::all_used) return;
  std::erase_if(lanes_, [](const auto& lane) { return lane.second.empty(); });
}

Queue::Walk::Walk(const Queue& queue) {
  for (auto lane = queue.lanes_.begin(); lane != queue.lanes_.end(); ++lane) {
    if (!lane->second.empty()) heads_.emplace(*lane->second.begin(), lane);
  }
}

Queue::Walk::Walk(const Queue& queue, ModelKey model) {
  // The least lane of a model: no pin, nothing to avoid, no memory bound.
  Lane least{std::move(model), std::nullopt, {}, -1};
  for (auto lane = queue.lanes_.lower_bound(least); lane != queue.lanes_.end() && lane->first.model == least.model;
       ++lane) {
    if (!lane->second.empty()) heads_.emplace(*lane->second.begin(), lane);
  }
}

Queue::Walk::Walk(const Queue& queue, ModelKey model, const Position& after) {
  Lane least{std::move(model), std::nullopt, {}, -1};
  for (auto lane = queue.lanes_.lower_bound(least); lane != queue.lanes_.end() && lane->first.model == least.model;
       ++lane) {
    const auto head = lane->second.upper_bound(after);
    if (head != lane->second.end()) heads_.emplace(*head, lane);
  }
}

void Queue::Walk::next() {
  const auto [position, lane] = *heads_.begin();
  heads_.erase(heads_.begin());
  const auto after = lane->second.upper_bound(position);
  if (after != lane->second.end()) heads_.emplace(*after, lane);
}

}  // namespace pixelfleet::scheduler
