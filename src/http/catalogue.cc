// Models, profiles, samplers: what jobs may name.
#include "base/json_full.h"
#include "domain/sampler.h"
#include "http/handlers.h"
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

}  // namespace pixelfleet::http
