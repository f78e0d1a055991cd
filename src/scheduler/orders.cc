// What people change about jobs that wait: their place, priority, pin, and whether they may start at all.
//
// A place is a rank. Jobs have rank 0 unless they were moved; a move puts the job between its neighbours and, where
// there is no room between these, renumbers the jobs in front of it, downwards: what arrives later stays behind.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

Position place_of(const OpenJob& job) { return {job.priority, job.rank, job.id}; }

// Room for one more: the ranks it may have lie between these two, both excluded.
struct Gap {
  std::optional<double> above;  // absent: nothing in front
  double below = 0.0;
};

Gap gap_between(const OpenJob* front, const OpenJob* back) {
  Gap gap;
  if (front != nullptr) gap.above = front->rank;
  // What arrives next has rank 0: it belongs behind everything that is not behind rank 0 already.
  if (front == nullptr || front->rank <= 0.0) {
    gap.below = back != nullptr ? std::min(back->rank, 0.0) : 0.0;
  } else {
    gap.below = back != nullptr ? back->rank : front->rank + 2.0;
  }
  return gap;
}

// Nothing: no number lies between.
std::optional<double> rank_in(const Gap& gap) {
  const double rank = gap.above ? *gap.above + (gap.below - *gap.above) / 2.0 : gap.below - 1.0;
  if (rank < gap.below && (!gap.above || *gap.above < rank)) return rank;
  return std::nullopt;
}

}  // namespace

OpenJob* Scheduler::State::waiting_job(JobId id) {
  const auto found = jobs.find(id);
  return found != jobs.end() && found->second.waiting() ? &found->second : nullptr;
}

void Scheduler::State::tell_order(const OpenJob& job) {
  actions.emplace_back(SetJobOrder{job.id, job.priority, job.rank, job.pin});
}

void Scheduler::State::requeue(OpenJob& job) {
  if (!queue.contains(job.id)) return;
  queue.erase(job.id);
  queue.insert(place_of(job), job.lane());
}

void Scheduler::State::on(const JobMoved& event) {
  OpenJob* const job = waiting_job(event.job);
  OpenJob* const other = waiting_job(event.other);
  if (job == nullptr || other == nullptr || job == other || job->priority != other->priority) return;
  // Running ones too: they may have to wait again, and then belong where they were.
  std::vector<OpenJob*> order;
  for (auto& [id, each] : jobs) {
    if (each.priority == job->priority && &each != job) order.push_back(&each);
  }
  std::sort(order.begin(), order.end(), [](const OpenJob* a, const OpenJob* b) { return place_of(*a) < place_of(*b); });
  auto place = std::find(order.begin(), order.end(), other);
  if (event.side == JobMoved::Side::after) ++place;
  const OpenJob* const front = place == order.begin() ? nullptr : *std::prev(place);
  const OpenJob* const back = place == order.end() ? nullptr : *place;
  const bool behind_front = front == nullptr || place_of(*front) < place_of(*job);
  if (behind_front && (back == nullptr || place_of(*job) < place_of(*back))) return;  // it stands there

  const Gap gap = gap_between(front, back);
  if (const auto rank = rank_in(gap)) return set_rank(*job, *rank);
  order.erase(place, order.end());
  order.push_back(job);
  double rank = gap.below - static_cast<double>(order.size());
  for (OpenJob* each : order) set_rank(*each, std::exchange(rank, rank + 1.0));
}

void Scheduler::State::set_rank(OpenJob& job, double rank) {
  if (job.rank == rank) return;
  job.rank = rank;
  requeue(job);
  tell_order(job);
}

void Scheduler::State::on(const JobReprioritised& event) {
  OpenJob* const job = waiting_job(event.job);
  if (job == nullptr || job->priority == event.priority) return;
  job->priority = event.priority;
  job->rank = 0.0;  // a place among others, which it leaves
  requeue(*job);
  tell_order(*job);
}

void Scheduler::State::on(const JobPinned& event) {
  OpenJob* const job = waiting_job(event.job);
  if (job == nullptr || job->pin == event.pin) return;
  job->pin = event.pin;
  tell_order(*job);
  // A load elsewhere is of no use to it any more.
  if (job->load && job->pin && workers.at(*job->load).gpu != *job->pin) leave_queue(*job);
  queue.erase(job->id);  // its lane changes
  settle(*job);
}

void Scheduler::State::on(const QueuePaused& event) {
  if (pauses.insert(event.owner).second) settle_all();
}

void Scheduler::State::on(const QueueResumed& event) {
  if (pauses.erase(event.owner) == 0) return;
  for (auto& [id, job] : jobs) {
    if (job.wish == OpenJob::Wish::run) settle(job);  // those that run, too: they may have pictures left to start
  }
}

bool Scheduler::State::must_wait_for_moved(const OpenJob& job, const Slot& slot) const {
  return queue.any_moved_before(place_of(job), [&](const Lane& lane) {
    const ModelFacts& model = models.at(lane.model);
    if (!can_take(slot.gpu, lane, model) || backing_off(slot.gpu.uuid, lane.model)) return false;
    if (!must_avoid(lane, slot.gpu.uuid)) return true;
    return std::all_of(selected.begin(), selected.end(), [&](const GpuUuid& uuid) {
      return must_avoid(lane, uuid) || !can_take(gpus.at(uuid).gpu, lane, model);
    });
  });
}

}  // namespace pixelfleet::scheduler
