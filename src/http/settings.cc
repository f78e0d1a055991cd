// Live settings: read them, merge changes.
#include "domain/settings.h"

#include "base/json_full.h"
#include "http/handlers.h"
#include "http/problem.h"

namespace pixelfleet::http {

void get_settings(const Request&, const Context& context, Responder respond) {
  respond(json_response(200, to_json(context.service.settings())));
}

void change_settings(const Request& request, const Context& context, Responder respond) {
  const Result<Json> changes = parse_json(request.body);
  if (!changes) return respond(problem(changes.error(), request.request_id));
  // The loop merges again, into what is current then; this only refuses nonsense without bothering it.
  const Result<LiveSettings> valid = merge_settings(context.service.settings(), *changes);
  if (!valid) return respond(problem(valid.error(), request.request_id));

  const std::string request_id = request.request_id;
  context.service.change_settings(to_text(*changes), [respond, request_id](Result<LiveSettings> settings) {
    respond(settings ? json_response(200, to_json(*settings)) : problem(settings.error(), request_id));
  });
}

}  // namespace pixelfleet::http
