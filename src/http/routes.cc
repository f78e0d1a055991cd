#include "http/routes.h"

#include "base/format.h"
#include "http/handlers.h"
#include "http/problem.h"

namespace pixelfleet::http {
namespace {

using enum Method;
using enum Place;

constexpr Route kRoutes[] = {
    {get, "/api/v1/jobs", list_jobs, pool},
    {post, "/api/v1/jobs", submit_jobs, io, BodyKind::json},
    {post, "/api/v1/jobs/cancel", cancel_jobs, io, BodyKind::json},
    {get, "/api/v1/jobs/{id}", get_job, pool},
    {patch, "/api/v1/jobs/{id}", change_job, io, BodyKind::json},
    {post, "/api/v1/jobs/{id}/cancel", cancel_job, io, BodyKind::json},
    {post, "/api/v1/jobs/{id}/hold", hold_job, io, BodyKind::json},
    {post, "/api/v1/jobs/{id}/release", release_job, io, BodyKind::json},
    {post, "/api/v1/jobs/{id}/move", move_job, io, BodyKind::json},
    {post, "/api/v1/jobs/{id}/retry", retry_job, io, BodyKind::json},
    {get, "/api/v1/queue", get_queue, io},
    {post, "/api/v1/queue/pause", pause_queue, io, BodyKind::json},
    {post, "/api/v1/queue/resume", resume_queue, io, BodyKind::json},
    {get, "/api/v1/images", list_images, pool},
    {get, "/api/v1/images/{id}", get_image, pool},
    {get, "/api/v1/images/{id}/file", get_image_file, pool},
    {get, "/api/v1/images/{id}/thumbnail", get_image_thumbnail, pool},
    {get, "/api/v1/models", list_models, io},
    {get, "/api/v1/profiles", list_profiles, io},
    {get, "/api/v1/samplers", list_samplers, io},
    {post, "/api/v1/models/{name}/enable", enable_model, io, BodyKind::json},
    {get, "/api/v1/gpus", list_gpus, io},
    {get, "/api/v1/gpus/{name}/history", get_gpu_history, pool},
    {post, "/api/v1/gpus/{name}/drain", drain_gpu, io, BodyKind::json},
    {post, "/api/v1/gpus/{name}/resume", resume_gpu, io, BodyKind::json},
    {post, "/api/v1/gpus/{name}/use-anyway", override_gpu, io, BodyKind::json},
    {post, "/api/v1/gpus/{name}/retire", retire_gpu, io, BodyKind::json},
    {get, "/api/v1/settings", get_settings, io},
    {put, "/api/v1/settings", change_settings, io, BodyKind::json},
    {post, "/api/v1/uploads", add_upload, pool, BodyKind::upload},
    {get, "/api/v1/snapshot", get_snapshot, pool},
    {get, "/api/v1/trace", get_trace, pool},
    {get, "/api/v1/events", nullptr, io, BodyKind::none, Audience::api, Exchange::events},
    {get, "/api/v1/ws", nullptr, io, BodyKind::none, Audience::api, Exchange::websocket},
    {post, "/api/v1/login", login, io, BodyKind::json, Audience::login},
    {get, "/api/v1/openapi.yaml", get_openapi, io},
    {get, "/livez", get_livez, io, BodyKind::none, Audience::health},
    {get, "/readyz", get_readyz, pool, BodyKind::none, Audience::health},
    {get, "/", get_index, io, BodyKind::none, Audience::page},
    {get, "/index.html", get_index, io, BodyKind::none, Audience::page},
    {get, "/assets/{name}", get_page_file, io, BodyKind::none, Audience::page},
    {get, "/{name}", get_page_file, io, BodyKind::none, Audience::page},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

Response no_such_route(const Request& request) {
  std::string message = format("there is nothing at '{}'", request.path.substr(0, 200));
  const std::vector<std::string> similar = similar_routes(kRoutes, request.path);
  for (std::size_t i = 0; i < similar.size(); ++i) message += (i == 0 ? "; near it: " : ", ") + similar[i];
  return problem(Error{ErrorCode::not_found, message + ". /api/v1/openapi.yaml lists all routes."}, request.request_id);
}

}  // namespace pixelfleet::http
