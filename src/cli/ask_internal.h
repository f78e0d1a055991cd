// What the listing and queue commands share: asking the running server, printing what it answers.
#pragma once

#include <cstdio>
#include <string>

#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"
#include "cli/commands.h"

namespace pixelfleet::cli {

inline void print_json(const Json& json) {
  std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

// The running server, or the error that says how to start one.
inline Result<Client> need_server(const Config& config, const Hooks& hooks) {
  const auto found = hooks.find_server(config);
  if (!found) return fail(found.error());
  if (!*found) {
    return fail(ErrorCode::unavailable,
                format("no server runs on the data directory {}; start one with `pixelfleet serve`, or name another "
                       "directory with --data",
                       config.data_directory.string()));
  }
  return Client(**found);
}

inline std::string text(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : to_text(*found);
}

inline void print_job_row(const Json& job) {
  const std::string settings_model = job.contains("settings") ? text(job["settings"], "model") : "-";
  const std::string prompt = job.contains("requested") ? text(job["requested"], "prompt") : "";
  std::printf("%8s  %-9s  %3s/%-3s  %-20s  %s\n", text(job, "id").c_str(), text(job, "state").c_str(),
              text(job, "published").c_str(), text(job, "count").c_str(), settings_model.c_str(),
              std::string(utf8_prefix(prompt, 60)).c_str());
}

template <class Request, class Print>
int ask(const Config& config, const Hooks& hooks, Output output, const Request& request, const Print& print) {
  const auto client = need_server(config, hooks);
  if (!client) return report(client.error());
  const auto answer = request(*client);
  if (!answer) return report(answer.error());
  if (output == Output::json) {
    print_json(*answer);
  } else {
    print(*answer);
  }
  return kExitOk;
}

}  // namespace pixelfleet::cli
