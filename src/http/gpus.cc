// Gpus: what there is, what it holds and does, what became of it; drain, resume, retire.
#include "base/json_full.h"
#include "domain/gpu_json.h"
#include "domain/job_json.h"
#include "http/body_reader.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "http/query.h"
#include "http/snapshot.h"

namespace pixelfleet::http {
namespace {

constexpr std::int64_t kOverrideMinutes = 60;
constexpr std::int64_t kMostOverrideMinutes = 7 * 24 * 60;

Json history_json(const control::GpuStateRow& row) {
  return {{"gpu", row.gpu},
          {"at_ms", to_unix_ms(row.at)},
          {"from", row.from},
          {"state", row.state},
          {"reason", row.reason},
          {"until_ms", row.until ? Json(to_unix_ms(*row.until)) : Json(nullptr)},
          {"job", row.job ? Json(row.job->value) : Json(nullptr)},
          {"model", row.model.empty() ? Json(nullptr) : Json(row.model)},
          {"evidence", row.evidence}};
}

void order_gpu(const Request& request, const Context& context, Responder respond, control::OrderGpu::Wish wish) {
  auto body = BodyReader::open(request);
  const Result<> valid = body ? body->finish({}) : Result<>(fail(body.error()));
  if (!valid) return respond(problem(valid.error(), request.request_id));
  context.service.order_gpu(
      request.named, wish, [respond, request_id = request.request_id](const Result<GpuStatus>& status) {
        respond(status ? json_response(200, to_json(*status)) : problem(status.error(), request_id));
      });
}

}  // namespace

void list_gpus(const Request&, const Context& context, Responder respond) {
  const LiveStatePtr live = context.service.live();
  respond(json_response(200, {{"gpus", gpus_json(*live)},
                              {"telemetry", to_json(live->telemetry)},
                              {"alarms", alarms_json(*live)},
                              {"host_memory", to_json(live->host_memory)},
                              {"scheduler", {{"prediction_error", to_json(live->prediction_error)}}}}));
}

void get_gpu_history(const Request& request, const Context& context, Responder respond) {
  QueryReader query(request);
  const std::size_t limit = query.page_size();
  if (auto valid = query.finish({"limit"}); !valid) return respond(problem(valid.error(), request.request_id));
  GpuUuid gpu = request.named;
  for (const GpuStatus& status : context.service.live()->gpus) {
    if (is_called(status.gpu, request.named)) gpu = status.gpu.uuid;
  }
  const auto rows = context.reader.gpu_history(gpu, limit);
  if (!rows) return respond(problem(rows.error(), request.request_id));
  Json history = Json::array();
  for (const control::GpuStateRow& row : *rows) history.push_back(history_json(row));
  respond(json_response(200, {{"history", std::move(history)}}));
}

void drain_gpu(const Request& request, const Context& context, Responder respond) {
  order_gpu(request, context, std::move(respond), control::OrderGpu::Wish::drain);
}

void resume_gpu(const Request& request, const Context& context, Responder respond) {
  order_gpu(request, context, std::move(respond), control::OrderGpu::Wish::resume);
}

void retire_gpu(const Request& request, const Context& context, Responder respond) {
  order_gpu(request, context, std::move(respond), control::OrderGpu::Wish::retire);
}

void override_gpu(const Request& request, const Context& context, Responder respond) {
  auto body = BodyReader::open(request);
  if (!body) return respond(problem(body.error(), request.request_id));
  const std::int64_t minutes = body->integer("minutes", 0, kMostOverrideMinutes).value_or(kOverrideMinutes);
  const Result<> valid = body->finish({"minutes"});
  if (!valid) return respond(problem(valid.error(), request.request_id));
  context.service.override_gpu(
      request.named, std::chrono::minutes(minutes),
      [respond, request_id = request.request_id](const Result<GpuStatus>& status) {
        respond(status ? json_response(200, to_json(*status)) : problem(status.error(), request_id));
      });
}

}  // namespace pixelfleet::http
