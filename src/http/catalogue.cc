// Models, profiles, samplers: what jobs may name.
#include "base/json_full.h"
#include "domain/job_json.h"
#include "domain/sampler.h"
#include "http/body_reader.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "http/snapshot.h"

namespace pixelfleet::http {

void list_models(const Request&, const Context& context, Responder respond) {
  const CatalogPtr catalog = context.service.catalog();
  respond(json_response(200, {{"models", models_json(*catalog)}, {"default_model", default_model_json(*catalog)}}));
}

void list_profiles(const Request&, const Context& context, Responder respond) {
  Json body = Json::object();
  body["profiles"] = profiles_json(*context.service.catalog());
  respond(json_response(200, body));
}

void list_samplers(const Request&, const Context&, Responder respond) {
  respond(json_response(200, {{"samplers", sampler_names()}, {"schedulers", scheduler_names()}}));
}

void enable_model(const Request& request, const Context& context, Responder respond) {
  auto body = BodyReader::open(request);
  const Result<> valid = body ? body->finish({}) : Result<>(fail(body.error()));
  if (!valid) return respond(problem(valid.error(), request.request_id));
  context.service.enable_model(request.named, [respond, request_id = request.request_id](const Result<Model>& model) {
    respond(model ? json_response(200, to_json(*model)) : problem(model.error(), request_id));
  });
}

}  // namespace pixelfleet::http
