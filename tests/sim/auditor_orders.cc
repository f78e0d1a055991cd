// What people change about waiting jobs: places, priorities, pins, pauses; and that nobody overtakes a moved job.
#include <algorithm>

#include "auditor.h"
#include "base/format.h"

namespace pixelfleet::sim {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

void Auditor::on(const JobMoved& e) {
  const auto job = open_.find(e.job);
  const auto other = open_.find(e.other);
  if (job == open_.end() || other == open_.end() || e.job == e.other || !job->second.waits() ||
      !other->second.waits() || job->second.facts.priority != other->second.facts.priority) {
    return;
  }
  expected_order_ = jobs_in_order(job->second.facts.priority);
  std::erase(*expected_order_, e.job);
  auto place = std::find(expected_order_->begin(), expected_order_->end(), e.other);
  if (e.side == JobMoved::Side::after) ++place;
  expected_order_->insert(place, e.job);
}

void Auditor::on(const JobReprioritised& e) {
  const auto job = open_.find(e.job);
  if (job == open_.end() || !job->second.waits()) return;
  reordered_ = Reordered{e.job, e.priority, job->second.facts.pin};
}

void Auditor::on(const JobPinned& e) {
  const auto job = open_.find(e.job);
  if (job == open_.end() || !job->second.waits()) return;
  reordered_ = Reordered{e.job, job->second.facts.priority, e.pin};
}

void Auditor::check(const SetJobOrder& a) {
  const auto row = open_.find(a.job);
  if (row == open_.end()) return report(format("job {} gets a place, but is not open", a.job.value));
  JobFacts& facts = row->second.facts;
  if (!expected_order_ &&
      (!reordered_ || reordered_->job != a.job || reordered_->priority != a.priority || reordered_->pin != a.pin)) {
    report(format("job {} gets another place than asked for", a.job.value));
  }
  if (expected_order_ && (facts.priority != a.priority || facts.pin != a.pin)) {
    report(format("job {} is moved to another priority or gpu", a.job.value));
  }
  facts.priority = a.priority;
  facts.rank = a.rank;
  facts.pin = a.pin;
}

std::vector<JobId> Auditor::jobs_in_order(Priority priority) const {
  std::vector<const Row*> rows;
  for (const auto& [id, row] : open_) {
    if (row.facts.priority == priority && row.known == Row::Known::yes) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->place() < b->place(); });
  std::vector<JobId> jobs;
  for (const Row* const row : rows) jobs.push_back(row->facts.id);
  return jobs;
}

// The moved job stands where it was put and all others stand as before; jobs that started meanwhile do so, too.
void Auditor::check_places() {
  if (expected_order_) {
    const JobMoved& moved = std::get<JobMoved>(*event_);
    const auto row = open_.find(moved.job);
    if (row != open_.end() && jobs_in_order(row->second.facts.priority) != *expected_order_) {
      report(format("job {} was moved, but the order is not what was asked for", moved.job.value));
    }
  }
  if (reordered_) {
    const auto row = open_.find(reordered_->job);
    if (row != open_.end() &&
        (row->second.facts.priority != reordered_->priority || row->second.facts.pin != reordered_->pin)) {
      report(format("job {} keeps its old priority or pin", reordered_->job.value));
    }
  }
}

bool Auditor::was_moved_before(const Row& other, const Row& row) const {
  return other.facts.priority == row.facts.priority && row.facts.id < other.facts.id && other.place() < row.place();
}

// Whether a waiting job that was moved in front of this one might use the gpu: then this one may not start there.
bool Auditor::may_have_to_wait_for_moved(const Row& row, const GpuUuid& gpu) const {
  return std::any_of(open_.begin(), open_.end(), [&](const auto& entry) {
    const Row& other = entry.second;
    return other.known == Row::Known::yes && was_moved_before(other, row) && !remaining(other).empty() &&
           can_take(gpus_.at(gpu), other);
  });
}

void Auditor::check_not_overtaking(const Row& row, const GpuUuid& gpu) {
  for (const auto& [id, other] : open_) {
    if (other.state != JobState::queued || other.known == Row::Known::no || !other.fresh()) continue;
    if (!was_moved_before(other, row) || !can_take(gpus_.at(gpu), other)) continue;
    if (recently_died_loading(gpu, other.facts.model)) continue;
    report(format("job {} starts on gpu {} before job {}, which was moved in front of it", row.facts.id.value, gpu,
                  id.value));
  }
}

}  // namespace pixelfleet::sim
