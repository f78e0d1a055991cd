// The handlers, by subject: jobs.cc, queue.cc, images.cc, catalogue.cc, gpus.cc, settings.cc, uploads.cc, snapshot.cc,
// site.cc.
//
// Each answers exactly once. Those marked Place::pool in routes.cc may block on the store or on files.
#pragma once

#include "http/context.h"
#include "http/message.h"

namespace pixelfleet::http {

void list_jobs(const Request& request, const Context& context, Responder respond);
void submit_jobs(const Request& request, const Context& context, Responder respond);
void get_job(const Request& request, const Context& context, Responder respond);
void cancel_job(const Request& request, const Context& context, Responder respond);

void get_queue(const Request& request, const Context& context, Responder respond);
void pause_queue(const Request& request, const Context& context, Responder respond);
void resume_queue(const Request& request, const Context& context, Responder respond);
void hold_job(const Request& request, const Context& context, Responder respond);
void release_job(const Request& request, const Context& context, Responder respond);
void move_job(const Request& request, const Context& context, Responder respond);
void change_job(const Request& request, const Context& context, Responder respond);
void retry_job(const Request& request, const Context& context, Responder respond);
void cancel_jobs(const Request& request, const Context& context, Responder respond);

void list_images(const Request& request, const Context& context, Responder respond);
void get_image(const Request& request, const Context& context, Responder respond);
void get_image_file(const Request& request, const Context& context, Responder respond);
void get_image_thumbnail(const Request& request, const Context& context, Responder respond);

void list_models(const Request& request, const Context& context, Responder respond);
void list_profiles(const Request& request, const Context& context, Responder respond);
void list_samplers(const Request& request, const Context& context, Responder respond);
void enable_model(const Request& request, const Context& context, Responder respond);

void list_gpus(const Request& request, const Context& context, Responder respond);
void get_gpu_history(const Request& request, const Context& context, Responder respond);
void drain_gpu(const Request& request, const Context& context, Responder respond);
void resume_gpu(const Request& request, const Context& context, Responder respond);
void override_gpu(const Request& request, const Context& context, Responder respond);
void retire_gpu(const Request& request, const Context& context, Responder respond);

void get_settings(const Request& request, const Context& context, Responder respond);
void change_settings(const Request& request, const Context& context, Responder respond);

void add_upload(const Request& request, const Context& context, Responder respond);

void get_trace(const Request& request, const Context& context, Responder respond);
void get_snapshot(const Request& request, const Context& context, Responder respond);

void get_index(const Request& request, const Context& context, Responder respond);
// Any other file of the page, by its exact path; 404 with similar routes when there is none.
void get_page_file(const Request& request, const Context& context, Responder respond);
void get_openapi(const Request& request, const Context& context, Responder respond);
void login(const Request& request, const Context& context, Responder respond);
void get_livez(const Request& request, const Context& context, Responder respond);
void get_readyz(const Request& request, const Context& context, Responder respond);

}  // namespace pixelfleet::http
