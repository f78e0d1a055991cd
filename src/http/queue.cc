// The queue: pause it, resume it; hold, release, move, change, retry jobs of it; cancel many.
#include <algorithm>
#include <initializer_list>
#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "domain/job_json.h"
#include "http/body_reader.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "http/snapshot.h"

namespace pixelfleet::http {
namespace {

// Hands the order to the loop; the answer is the job as it is then.
void order(const Request& request, const Context& context, Responder respond, control::JobOrder what) {
  const std::string request_id = request.request_id;
  const LiveStatePtr live = context.service.live();
  context.service.order(JobId(request.id), std::move(what), [respond, request_id, live](Result<Job> job) {
    respond(job ? json_response(200, job_json(*job, *live)) : problem(job.error(), request_id));
  });
}

// An order without parameters.
void plain_order(const Request& request, const Context& context, Responder respond, control::JobOrder what) {
  auto body = BodyReader::open(request);
  const Result<> valid = body ? body->finish({}) : Result<>(fail(body.error()));
  if (!valid) return respond(problem(valid.error(), request.request_id));
  order(request, context, std::move(respond), std::move(what));
}

void pause_or_resume(const Request& request, const Context& context, Responder respond,
                     control::PauseQueue::Wish wish) {
  auto body = BodyReader::open(request);
  if (!body) return respond(problem(body.error(), request.request_id));
  auto owner =
      body->name("owner", format("the owner of jobs, 1 to {} bytes; without it, everybody", limits::kMaxNameBytes));
  const Result<> valid = body->finish({"owner"});
  if (!valid) return respond(problem(valid.error(), request.request_id));
  const std::string request_id = request.request_id;
  context.service.pause_queue(wish, std::move(owner), [respond, request_id](Result<Pauses> pauses) {
    respond(pauses ? json_response(200, to_json(*pauses)) : problem(pauses.error(), request_id));
  });
}

Result<control::CancelSelection> read_selection(const Request& request) {
  auto body = BodyReader::open(request);
  if (!body) return fail(body.error());
  control::CancelSelection selection;
  const std::string allowed = format("an array of 1 to {} ids, or sweep_id instead", limits::kMaxJobsPerRequest);
  if (const auto sweep = body->id("sweep_id")) selection.sweep = SweepId(*sweep);
  if (body->has("ids") == body->has("sweep_id")) {
    body->wrong("ids", "which jobs? Name either ids or sweep_id", allowed);
  } else if (body->has("ids")) {
    const Json& ids = body->at("ids");
    if (!ids.is_array() || ids.empty() || ids.size() > limits::kMaxJobsPerRequest) {
      body->wrong("ids", "not a list of ids", allowed);
    } else {
      for (const Json& each : ids) {
        if (const auto id = BodyReader::id_in(each)) selection.jobs.push_back(JobId(*id));
      }
      if (selection.jobs.size() != ids.size()) body->wrong("ids", "holds something that is no id", BodyReader::kIds);
    }
  }
  if (const auto valid = body->finish({"ids", "sweep_id"}); !valid) return fail(valid.error());
  return selection;
}

Json ids_json(const std::vector<JobId>& ids) {
  Json array = Json::array();
  for (const JobId id : ids) array.push_back(id.value);
  return array;
}

Result<control::MoveJob> read_move(const Request& request) {
  auto body = BodyReader::open(request);
  if (!body) return fail(body.error());
  const auto before = body->id("before");
  const auto after = body->id("after");
  if (body->has("before") == body->has("after")) {
    body->wrong("before", "where to? Name either before or after", "the id of a job that waits");
  }
  if (const auto valid = body->finish({"before", "after"}); !valid) return fail(valid.error());
  using Side = control::MoveJob::Side;
  return before ? control::MoveJob{JobId(*before), Side::before} : control::MoveJob{JobId(*after), Side::after};
}

Result<control::ChangeJob> read_change(const Request& request) {
  auto body = BodyReader::open(request);
  if (!body) return fail(body.error());
  control::ChangeJob change;
  if (!body->has("priority") && !body->has("gpu")) {
    body->wrong("priority", "nothing to change: name priority, gpu or both", "interactive, normal, background");
  }
  if (body->has("priority")) {
    const Json& priority = body->at("priority");
    if (priority.is_string()) change.priority = priority_from(priority.get_ref<const std::string&>());
    if (!change.priority) body->wrong("priority", "not one of the choices", "interactive, normal, background");
  }
  if (body->has("gpu") && body->at("gpu").is_null()) {
    change.gpu.emplace(std::nullopt);
  } else if (auto gpu = body->name("gpu", "the UUID of a gpu, or null: anywhere")) {
    change.gpu.emplace(std::move(*gpu));
  }
  if (const auto valid = body->finish({"priority", "gpu"}); !valid) return fail(valid.error());
  return change;
}

}  // namespace

void get_queue(const Request&, const Context& context, Responder respond) {
  respond(json_response(200, to_json(context.service.live()->pauses)));
}

void pause_queue(const Request& request, const Context& context, Responder respond) {
  pause_or_resume(request, context, std::move(respond), control::PauseQueue::Wish::pause);
}

void resume_queue(const Request& request, const Context& context, Responder respond) {
  pause_or_resume(request, context, std::move(respond), control::PauseQueue::Wish::resume);
}

void hold_job(const Request& request, const Context& context, Responder respond) {
  plain_order(request, context, std::move(respond), control::HoldJob{});
}

void release_job(const Request& request, const Context& context, Responder respond) {
  plain_order(request, context, std::move(respond), control::ReleaseJob{});
}

void retry_job(const Request& request, const Context& context, Responder respond) {
  plain_order(request, context, std::move(respond), control::RetryJob{});
}

void move_job(const Request& request, const Context& context, Responder respond) {
  const auto move = read_move(request);
  if (!move) return respond(problem(move.error(), request.request_id));
  order(request, context, std::move(respond), *move);
}

void change_job(const Request& request, const Context& context, Responder respond) {
  auto change = read_change(request);
  if (!change) return respond(problem(change.error(), request.request_id));
  order(request, context, std::move(respond), std::move(*change));
}

void cancel_jobs(const Request& request, const Context& context, Responder respond) {
  auto selection = read_selection(request);
  if (!selection) return respond(problem(selection.error(), request.request_id));
  const std::string request_id = request.request_id;
  context.service.cancel_many(std::move(*selection),
                              [respond, request_id](const Result<control::CancelReceipt>& receipt) {
                                if (!receipt) return respond(problem(receipt.error(), request_id));
                                respond(json_response(200, {{"cancelled", ids_json(receipt->cancelled)},
                                                            {"stopping", ids_json(receipt->stopping)},
                                                            {"ended", ids_json(receipt->ended)}}));
                              });
}

}  // namespace pixelfleet::http
