// The commands that change the queue: pause, hold, move, priority, pin, retry, cancel.
#include "cli/ask_internal.h"

namespace pixelfleet::cli {
namespace {

int order(const Config& config, std::int64_t id, const char* what, const Json& body, Output output,
          const Hooks& hooks) {
  return ask(
      config, hooks, output,
      [&](const Client& client) { return client.post(format("/api/v1/jobs/{}/{}", id, what), body); }, print_job_row);
}

int change(const Config& config, std::int64_t id, const Json& body, Output output, const Hooks& hooks) {
  return ask(
      config, hooks, output, [&](const Client& client) { return client.patch(format("/api/v1/jobs/{}", id), body); },
      print_job_row);
}

// The UUID of the gpu with that number; anything else is left for the server to judge.
Result<std::string> gpu_named(const Client& client, const std::string& name) {
  const auto gpus = client.get("/api/v1/gpus");
  if (!gpus) return fail(gpus.error());
  for (const Json& gpu : (*gpus)["gpus"]) {
    if (text(gpu, "index") == name) return text(gpu, "uuid");
  }
  return name;
}

void print_ids(const char* words, const Json& ids) {
  if (ids.empty()) return;
  std::string line;
  for (const Json& id : ids) line += (line.empty() ? "" : ", ") + to_text(id);
  std::printf("%s: %s\n", words, line.c_str());
}

void print_pauses(const Json& queue) {
  std::string who = queue["paused_all"].get<bool>() ? "everybody" : "";
  for (const Json& owner : queue["paused_owners"]) who += (who.empty() ? "" : ", ") + owner.get<std::string>();
  if (who.empty()) {
    std::printf("nothing is paused\n");
  } else {
    std::printf("paused: %s\n", who.c_str());
  }
}

}  // namespace

int jobs_hold(const Config& config, std::int64_t id, Output output, const Hooks& hooks) {
  return order(config, id, "hold", Json::object(), output, hooks);
}

int jobs_release(const Config& config, std::int64_t id, Output output, const Hooks& hooks) {
  return order(config, id, "release", Json::object(), output, hooks);
}

int jobs_retry(const Config& config, std::int64_t id, Output output, const Hooks& hooks) {
  return order(config, id, "retry", Json::object(), output, hooks);
}

int jobs_move(const Config& config, std::int64_t id, Destination to, Output output, const Hooks& hooks) {
  const Json body = to.before != 0 ? Json{{"before", to.before}} : Json{{"after", to.after}};
  return order(config, id, "move", body, output, hooks);
}

int jobs_priority(const Config& config, std::int64_t id, const std::string& priority, Output output,
                  const Hooks& hooks) {
  return change(config, id, {{"priority", priority}}, output, hooks);
}

int jobs_unpin(const Config& config, std::int64_t id, Output output, const Hooks& hooks) {
  return change(config, id, {{"gpu", nullptr}}, output, hooks);
}

int jobs_pin(const Config& config, std::int64_t id, const std::string& gpu, Output output, const Hooks& hooks) {
  return ask(
      config, hooks, output,
      [&](const Client& client) -> Result<Json> {
        const auto uuid = gpu_named(client, gpu);
        if (!uuid) return fail(uuid.error());
        return client.patch(format("/api/v1/jobs/{}", id), {{"gpu", *uuid}});
      },
      print_job_row);
}

int jobs_cancel(const Config& config, const Selection& selection, Output output, const Hooks& hooks) {
  if (selection.ids.size() == 1) return order(config, selection.ids.front(), "cancel", Json::object(), output, hooks);
  const Json body = selection.ids.empty() ? Json{{"sweep_id", selection.sweep}} : Json{{"ids", selection.ids}};
  return ask(
      config, hooks, output, [&](const Client& client) { return client.post("/api/v1/jobs/cancel", body); },
      [](const Json& receipt) {
        print_ids("cancelled", receipt["cancelled"]);
        print_ids("running, will stop", receipt["stopping"]);
        print_ids("had ended already", receipt["ended"]);
      });
}

int jobs_pause(const Config& config, PauseWish wish, const std::string& owner, Output output, const Hooks& hooks) {
  const Json body = owner.empty() ? Json::object() : Json{{"owner", owner}};
  const char* path = wish == PauseWish::pause ? "/api/v1/queue/pause" : "/api/v1/queue/resume";
  return ask(
      config, hooks, output, [&](const Client& client) { return client.post(path, body); }, print_pauses);
}

}  // namespace pixelfleet::cli
