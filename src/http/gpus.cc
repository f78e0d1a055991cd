// Gpus: what there is, what it holds and does.
#include "base/json_full.h"
#include "domain/job_json.h"
#include "http/handlers.h"
#include "http/snapshot.h"

namespace pixelfleet::http {

void list_gpus(const Request&, const Context& context, Responder respond) {
  const LiveStatePtr live = context.service.live();
  respond(json_response(200, {{"gpus", gpus_json(*live)},
                              {"telemetry", telemetry_json(*live)},
                              {"host_memory", to_json(live->host_memory)},
                              {"scheduler", {{"prediction_error", to_json(live->prediction_error)}}}}));
}

}  // namespace pixelfleet::http
