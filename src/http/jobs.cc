// Jobs: list, submit, read, cancel.
#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "domain/job_json.h"
#include "domain/suggest.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "http/query.h"
#include "http/snapshot.h"

namespace pixelfleet::http {
namespace {

constexpr std::string_view kStates = "queued, held, running, done, failed, cancelled";

// "queued,running" -> states; every unknown one is reported.
std::vector<JobState> read_states(QueryReader& query) {
  std::vector<JobState> states;
  std::string_view rest = query.text("state").value_or("");
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (const auto state = job_state_from(word)) {
      states.push_back(*state);
    } else {
      query.wrong({"state", std::string(word.substr(0, 100)), "not a job state", std::string(kStates)});
    }
  }
  return states;
}

// The body of POST /jobs: one job, or {"jobs": [...]}. Errors of all jobs are gathered.
Result<std::vector<JobSpec>> read_specs(const Json& body) {
  std::vector<JobSpec> specs;
  if (!body.is_object() || !body.contains("jobs")) {
    Result<JobSpec> spec = job_spec_from_json(body);
    if (!spec) return fail(spec.error());
    specs.push_back(std::move(*spec));
    return specs;
  }
  const Json& jobs = body["jobs"];
  if (body.size() != 1) {
    return fail(invalid_fields({{"jobs", "", "beside 'jobs' there may be no other key", "{\"jobs\": [job, ...]}"}}));
  }
  if (!jobs.is_array() || jobs.empty() || jobs.size() > limits::kMaxJobsPerRequest) {
    return fail(invalid_fields({{"jobs", jobs.is_array() ? format("{} jobs", jobs.size()) : jobs.type_name(),
                                 "not a list of jobs that can be accepted",
                                 format("an array of 1 to {} job objects", limits::kMaxJobsPerRequest)}}));
  }
  std::vector<FieldError> errors;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Result<JobSpec> spec = job_spec_from_json(jobs[i], format("jobs[{}].", i));
    if (spec) {
      specs.push_back(std::move(*spec));
    } else if (spec.error().fields.empty()) {
      return fail(spec.error());
    } else {
      errors.insert(errors.end(), spec.error().fields.begin(), spec.error().fields.end());
    }
  }
  if (!errors.empty()) return fail(invalid_fields(std::move(errors)));
  return specs;
}

}  // namespace

void list_jobs(const Request& request, const Context& context, Responder respond) {
  QueryReader query(request);
  control::JobQuery wanted;
  wanted.states = read_states(query);
  const std::size_t page = query.page_size();
  wanted.limit = page + 1;  // one more tells whether another page follows
  const auto after = query.integer("after", 1, std::numeric_limits<std::int64_t>::max());
  if (after) wanted.after = JobId(*after);
  const Result<> valid = query.finish({"state", "limit", "after"});
  if (!valid) return respond(problem(valid.error(), request.request_id));

  const Result<std::vector<Job>> jobs = context.reader.jobs(wanted);
  if (!jobs) return respond(problem(jobs.error(), request.request_id));
  const LiveStatePtr live = context.service.live();
  Json array = Json::array();
  for (std::size_t i = 0; i < std::min(page, jobs->size()); ++i) array.push_back(job_json((*jobs)[i], *live));
  const Json next = jobs->size() > page ? Json((*jobs)[page - 1].id.value) : Json();
  respond(json_response(200, {{"jobs", std::move(array)}, {"next_after", next}}));
}

void submit_jobs(const Request& request, const Context& context, Responder respond) {
  const Result<Json> body = parse_json(request.body);
  if (!body) return respond(problem(body.error(), request.request_id));
  Result<std::vector<JobSpec>> specs = read_specs(*body);
  if (!specs) return respond(problem(specs.error(), request.request_id));

  const std::string request_id = request.request_id;
  context.service.submit(std::move(*specs), [respond, request_id](Result<control::SubmitReceipt> receipt) {
    if (!receipt) return respond(problem(receipt.error(), request_id));
    const LiveState none;  // a job that was accepted just now has no progress
    Json jobs = Json::array();
    for (const Job& job : receipt->jobs) jobs.push_back(job_json(job, none));
    respond(json_response(201, {{"jobs", std::move(jobs)}, {"run_dir", receipt->run_dir}}));
  });
}

void get_job(const Request& request, const Context& context, Responder respond) {
  const Result<Job> job = context.reader.job(JobId(request.id));
  if (!job) return respond(problem(job.error(), request.request_id));
  const Result<std::vector<Image>> images = context.reader.images_of(job->id);
  if (!images) return respond(problem(images.error(), request.request_id));
  Json json = job_json(*job, *context.service.live());
  json["images"] = Json::array();
  for (const Image& image : *images) json["images"].push_back(to_json(image));
  respond(json_response(200, json));
}

void cancel_job(const Request& request, const Context& context, Responder respond) {
  const std::string request_id = request.request_id;
  const LiveStatePtr live = context.service.live();
  context.service.cancel(JobId(request.id), [respond, request_id, live](Result<Job> job) {
    respond(job ? json_response(200, job_json(*job, *live)) : problem(job.error(), request_id));
  });
}

}  // namespace pixelfleet::http
