// Loop: what people want of jobs that are there: cancel, hold, move, change, retry; and of the queue: pause, resume.
//
// What a job's state does not allow is refused here, in words that name the next step; what is allowed goes to the
// scheduler, and the answer waits for the commit.
#include <algorithm>
#include <set>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"
#include "control/loop.h"
#include "domain/job_json.h"

namespace pixelfleet::control {
namespace {

// A job that is held for `reason` does not start when somebody's hold ends: what would help.
std::string_view remedy(HeldReason reason) {
  switch (reason) {
    case HeldReason::user: return "release it";
    case HeldReason::paused: return "the queue or its owner is paused; resume that";
    case HeldReason::model_disabled: return "its model is not installed; install it or cancel the job";
    case HeldReason::no_gpu: return "no gpu in use can take it; change its pin, or the gpus in use, or cancel it";
    case HeldReason::window: return "it waits for its time window";
    case HeldReason::quota: return "its owner's quota is used up";
  }
  return "";
}

}  // namespace

// Before, the scheduler has not been told of the jobs.
Result<> Loop::know_gpus() const {
  if (gpus_known_) return {};
  return fail(ErrorCode::unavailable, "the server is starting; try again in a moment");
}

Result<OpenJob*> Loop::find_open(JobId id) {
  OpenJob* open = ledger_.find(id);
  if (open != nullptr && !open->job.ended()) return open;
  if (id.value < 1 || last_job_ < id) return fail(ErrorCode::not_found, format("there is no job {}", id.value));
  return fail(ErrorCode::conflict, format("job {} has ended already", id.value));
}

Result<OpenJob*> Loop::find_waiting(JobId id, std::string_view to_be) {
  auto open = find_open(id);
  if (!open) {
    if (open.error().code == ErrorCode::conflict) {
      open.error().message += format(" and cannot be {}; retry it first, if it failed or was cancelled", to_be);
    }
    return open;
  }
  if ((*open)->job.state == JobState::running) {
    return fail(ErrorCode::conflict,
                format("job {} runs already and cannot be {}; let it finish, or cancel it", id.value, to_be));
  }
  return open;
}

// --- cancel ---------------------------------------------------------------------------------------------------

Job Loop::cancel_open(OpenJob& open) {
  // On disk before the worker hears of it and the client gets its answer: a crash in between must not undo it.
  const bool first = !open.job.cancel_requested;
  if (first) change(ledger_.request_cancel(open));
  Job answer = open.job;
  step(scheduler::JobCancelRequested{answer.id});
  if (const OpenJob* still = ledger_.find(answer.id)) {
    answer = still->job;
    if (first && !answer.ended()) tell_job("job.updated", answer);
  } else {
    answer.state = JobState::cancelled;
    answer.held_reason.reset();
    answer.finished_at = now_;
  }
  return answer;
}

void Loop::handle(CancelJob& message) {
  const auto open = find_open(message.job);
  if (!open) return message.reply(fail(open.error()));
  if (const auto known = know_gpus(); !known) return message.reply(fail(known.error()));
  after_commit([reply = std::move(message.reply), answer = cancel_open(**open)] { reply(answer); });
}

Result<std::vector<JobId>> Loop::selected(const CancelSelection& selection) const {
  std::set<JobId> ids(selection.jobs.begin(), selection.jobs.end());
  for (const JobId id : ids) {
    if (id.value < 1 || last_job_ < id) {
      return fail(ErrorCode::not_found, format("there is no job {}; nothing was cancelled", id.value));
    }
  }
  if (selection.sweep) {
    for (const auto& [id, open] : ledger_.jobs()) {
      if (open.job.requested.sweep_id == selection.sweep && !open.job.ended()) ids.insert(id);
    }
    if (ids.empty()) {
      return fail(ErrorCode::not_found, format("no job of sweep {} waits or runs", selection.sweep->value));
    }
  }
  return std::vector<JobId>(ids.begin(), ids.end());
}

void Loop::handle(CancelJobs& message) {
  const auto ids = selected(message.selection);
  if (!ids) return message.reply(fail(ids.error()));
  if (const auto known = know_gpus(); !known) return message.reply(fail(known.error()));
  CancelReceipt receipt;
  for (const JobId id : *ids) {
    const auto open = find_open(id);
    if (!open) {
      receipt.ended.push_back(id);
    } else {
      (cancel_open(**open).ended() ? receipt.cancelled : receipt.stopping).push_back(id);
    }
  }
  after_commit([reply = std::move(message.reply), receipt = std::move(receipt)] { reply(receipt); });
}

// --- orders ---------------------------------------------------------------------------------------------------

void Loop::handle(OrderJob& message) {
  Result<> done = know_gpus();
  if (done) done = std::visit([&](const auto& order) { return apply(message.job, order); }, message.order);
  if (!done) return message.reply(fail(done.error()));
  after_commit([this, id = message.job, reply = std::move(message.reply)] {
    if (const OpenJob* open = ledger_.find(id)) return reply(open->job);
    auto rows = ports_.store.load_job(id);  // it has ended on the spot
    reply(rows ? Result<Job>(std::move(rows->job)) : Result<Job>(fail(rows.error())));
  });
}

Result<> Loop::apply(JobId id, const HoldJob&) {
  const auto open = find_waiting(id, "held");
  if (!open) return fail(open.error());
  if ((*open)->job.held_reason != HeldReason::user) step(scheduler::JobHeld{id, HeldReason::user});
  return {};
}

Result<> Loop::apply(JobId id, const ReleaseJob&) {
  const auto open = find_waiting(id, "released");
  if (!open) return fail(open.error());
  const Job& job = (*open)->job;
  if (job.held_reason && *job.held_reason != HeldReason::user) {
    return fail(ErrorCode::conflict, format("nobody holds job {}: {}", id.value, remedy(*job.held_reason)));
  }
  step(scheduler::JobReleased{id});
  return {};
}

Result<> Loop::apply(JobId id, const MoveJob& order) {
  const bool before = order.side == MoveJob::Side::before;
  if (id == order.other) {
    return fail(invalid_fields(
        {{before ? "before" : "after", format("{}", id.value), "the job itself", "the id of another job that waits"}}));
  }
  const auto job = find_waiting(id, "moved");
  if (!job) return fail(job.error());
  const auto other = find_waiting(order.other, "a neighbour in the queue");
  if (!other) return fail(other.error());
  const Priority mine = (*job)->job.requested.priority;
  const Priority theirs = (*other)->job.requested.priority;
  if (mine != theirs) {
    return fail(ErrorCode::conflict,
                format("job {} is {} and job {} is {}: a move stays within one priority; change the priority of job {} "
                       "to {} first",
                       id.value, name(mine), order.other.value, name(theirs), id.value, name(theirs)));
  }
  using Side = scheduler::JobMoved::Side;
  step(scheduler::JobMoved{id, order.other, before ? Side::before : Side::after});
  return {};
}

Result<> Loop::check_pin(const GpuUuid& gpu) const {
  std::string allowed;
  for (const Gpu& each : gpus_) {
    if (each.uuid == gpu) return {};
    allowed += (allowed.empty() ? "" : ", ") + each.uuid;
  }
  return fail(invalid_fields({{"gpu", gpu, "there is no such gpu", allowed.empty() ? "null: anywhere" : allowed}}));
}

Result<> Loop::apply(JobId id, const ChangeJob& order) {
  const auto open = find_waiting(id, "changed");
  if (!open) return fail(open.error());
  if (order.gpu && *order.gpu) {
    if (auto known = check_pin(**order.gpu); !known) return known;
  }
  if (order.priority) step(scheduler::JobReprioritised{id, *order.priority});
  if (order.gpu) step(scheduler::JobPinned{id, *order.gpu});
  return {};
}

// The rows of a job that may be tried again, in the ledger.
Result<OpenJob*> Loop::load_ended(JobId id) {
  const auto refuse = [id](std::string_view why) {
    return fail(ErrorCode::conflict, format("job {} {}", id.value, why));
  };
  const auto open = find_open(id);
  if (open) return refuse("has not ended; cancel it first to begin again");
  if (open.error().code != ErrorCode::conflict) return fail(open.error());
  const auto of_job = [id](const auto& chunk) { return chunk.second.job == id; };
  constexpr std::string_view kStillEnding = "is still being ended; try again in a moment";
  if (std::any_of(chunks_.begin(), chunks_.end(), of_job)) return refuse(kStillEnding);

  constexpr std::string_view kNothingMissing = "is done, nothing of it is missing; submit it again for other pictures";
  if (OpenJob* ended = ledger_.find(id)) {  // its last pictures are on their way to the disk
    if (ended->job.state == JobState::done) return refuse(kNothingMissing);
    return ended;
  }
  auto rows = ports_.store.load_job(id);
  if (!rows) return fail(rows.error());
  if (!rows->job.ended()) return refuse(kStillEnding);  // its end is not committed yet
  if (rows->job.state == JobState::done) return refuse(kNothingMissing);
  return &ledger_.restore(std::move(rows->job), std::move(rows->images));
}

Result<> Loop::apply(JobId id, const RetryJob&) {
  const auto ended = load_ended(id);
  if (!ended) return fail(ended.error());
  OpenJob& open = **ended;
  forget_write_failures(id);
  change(ledger_.reopen(open));
  tell_job("job.updated", open.job);
  scheduler::JobFacts facts = facts_of_job(open);
  facts.arrived_at = now_;  // it waits anew: what it waited before is over
  step(scheduler::JobSubmitted{std::move(facts)});
  return {};
}

// --- pauses ---------------------------------------------------------------------------------------------------

void Loop::handle(PauseQueue& message) {
  const Pauses before = pauses_;
  const bool pause = message.wish == PauseQueue::Wish::pause;
  if (!message.owner) {
    pauses_.all = pause;
  } else if (pause) {
    pauses_.owners.insert(*message.owner);
  } else {
    pauses_.owners.erase(*message.owner);
  }
  if (pauses_ != before) {
    change(PutPauses{pauses_});
    tell(feed_.durable("queue.changed", now_, to_json(pauses_)));
    if (pause) {
      step(scheduler::QueuePaused{message.owner});
    } else {
      step(scheduler::QueueResumed{message.owner});
    }
  }
  after_commit([reply = std::move(message.reply), pauses = pauses_] { reply(pauses); });
}

}  // namespace pixelfleet::control
