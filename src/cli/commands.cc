#include "cli/commands.h"

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/format.h"
#include "base/json_full.h"
#include "cli/ask_internal.h"
#include "domain/job_json.h"

namespace pixelfleet::cli {
namespace {

// "in 2-4 min", from now.
std::string predicted(const Json& start, std::int64_t now_ms) {
  const auto from_now = [now_ms](const Json& at) {
    return at.is_number() ? std::max(0.0, (at.get<double>() - static_cast<double>(now_ms)) / 1000.0) : -1.0;
  };
  const double earliest = from_now(start["earliest_ms"]);
  const double latest = from_now(start["latest_ms"]);
  const bool minutes = std::max(earliest, latest) >= 90.0;
  const auto spoken = [minutes](double seconds) { return format("{:.0f}", minutes ? seconds / 60.0 : seconds); };
  const char* unit = minutes ? "min" : "s";
  if (latest < 0.0) return format("in {} {} at the earliest", spoken(earliest), unit);
  if (spoken(earliest) == spoken(latest)) return format("in about {} {}", spoken(latest), unit);
  return format("in about {}-{} {}", spoken(earliest), spoken(latest), unit);
}

}  // namespace

int jobs_list(const Config& config, const std::string& states, int limit, Output output, const Hooks& hooks) {
  const std::string filter = states.empty() ? "" : "&state=" + states;
  return ask(
      config, hooks, output,
      [&](const Client& client) { return client.get(format("/api/v1/jobs?limit={}{}", limit, filter)); },
      [](const Json& answer) {
        std::printf("%8s  %-9s  %7s  %-20s  %s\n", "id", "state", "images", "model", "prompt");
        for (const Json& job : answer["jobs"]) print_job_row(job);
        if (!answer["next_after"].is_null()) std::printf("(more: --limit)\n");
      });
}

int jobs_show(const Config& config, std::int64_t id, Output output, const Hooks& hooks) {
  return ask(
      config, hooks, output, [&](const Client& client) { return client.get(format("/api/v1/jobs/{}", id)); },
      [](const Json& job) {
        print_job_row(job);
        if (!job["held_reason"].is_null()) std::printf("held: %s\n", text(job, "held_reason").c_str());
        if (!job["reason"].is_null()) std::printf("waits: %s\n", text(job["reason"], "text").c_str());
        if (!job["predicted_start"].is_null()) {
          std::printf("starts: %s\n", predicted(job["predicted_start"], to_unix_ms(SystemClock().now())).c_str());
        }
        if (!job["error"].is_null()) {
          std::printf("error: %s: %s\n", text(job["error"], "code").c_str(), text(job["error"], "message").c_str());
          for (const Json& line : job["error"]["evidence"]) std::printf("  %s\n", line.get<std::string>().c_str());
        }
        for (const Json& image : job["images"]) {
          std::printf("  %3d  %-9s  seed %-10s  %s\n", image["index"].get<int>() + 1, text(image, "state").c_str(),
                      text(image, "seed").c_str(), text(image, "path").c_str());
        }
      });
}

int trace(const Config& config, const Hooks& hooks) {
  const auto client = need_server(config, hooks);
  if (!client) return report(client.error());
  const auto answer = client->get("/api/v1/trace");
  if (!answer) return report(answer.error());
  std::printf("%s\n", to_text(*answer).c_str());
  return kExitOk;
}

int models_list(const Config& config, Output output, const Hooks& hooks) {
  const auto catalog = hooks.catalog(config);
  if (!catalog) return report(catalog.error());
  const Model* first = (*catalog)->default_model();
  if (output == Output::json) {
    Json models = Json::array();
    for (const Model& model : (*catalog)->models) models.push_back(to_json(model));
    print_json({{"models", std::move(models)}, {"default_model", first ? Json(first->key) : Json(nullptr)}});
    return kExitOk;
  }
  std::printf("%-28s  %-13s  %-7s  %7s  %s\n", "key", "state", "family", "GiB", "title");
  for (const Model& model : (*catalog)->models) {
    std::printf("%-28s  %-13s  %-7s  %7.1f  %s%s%s\n", model.key.c_str(), std::string(name(model.state)).c_str(),
                model.family.c_str(), static_cast<double>(model.memory_bytes) / (1 << 30), model.title.c_str(),
                &model == first ? "  (default)" : "", model.is_demo() ? "  [demo]" : "");
    if (model.state == ModelState::unloadable) std::printf("    %s\n", model.reason.c_str());
  }
  return kExitOk;
}

int models_add(const Config& config, const std::string& name, const std::vector<std::string>& parts,
               const Hooks& hooks) {
  NewModel model{name, {}};
  for (const std::string& part : parts) {
    const std::size_t equals = part.find('=');
    const auto role = part_role_from(std::string_view(part).substr(0, equals));
    if (equals == std::string::npos || !role) {
      return report(invalid_fields({{"--part", part, "not ROLE=FILE",
                                     "ROLE is one of checkpoint, diffusion, clip_l, clip_g, t5xxl, llm, vae, taesd"}}));
    }
    model.parts.emplace_back(*role, part.substr(equals + 1));
  }
  const auto added = hooks.add_model(config, model);
  if (!added) return report(added.error());
  std::printf("added %s (%s, %.1f GiB)\n", added->key.c_str(), added->family.c_str(),
              static_cast<double>(added->memory_bytes) / (1 << 30));
  if (!added->reason.empty()) std::printf("note: %s\n", added->reason.c_str());
  return kExitOk;
}

}  // namespace pixelfleet::cli
