// The program's faces, wired: what the command line needs from the folders that it may not include.
#include <signal.h>

#include "apps/build_info.h"
#include "apps/doctor.h"
#include "apps/gpus.h"
#include "apps/models.h"
#include "apps/server.h"
#include "apps/token.h"
#include "base/format.h"
#include "cli/hooks.h"
#include "gpu/monitor.h"
#include "store/data_lock.h"
#include "store/history.h"
#include "workers/worker_main.h"

namespace pixelfleet::apps {
namespace {

class PrivateServer final : public cli::PrivateServer {
 public:
  explicit PrivateServer(std::unique_ptr<RunningServer> server) : server_(std::move(server)) {}
  cli::Endpoint endpoint() const override { return {"127.0.0.1", server_->port(), {}}; }

 private:
  std::unique_ptr<RunningServer> server_;
};

Result<std::optional<cli::Endpoint>> find_server(const Config& config) {
  const auto running = store::read_running_server(config.data_directory);
  if (!running) return fail(running.error());
  if (!*running) return std::optional<cli::Endpoint>();
  if ((*running)->port == 0) {
    return fail(
        ErrorCode::unavailable,
        format("process {} uses the data directory {} but does not listen yet; try again in a moment, or choose "
               "another directory with --data",
               (*running)->pid, config.data_directory.string()));
  }
  cli::Endpoint endpoint{(*running)->address, (*running)->port, {}};
  if (endpoint.host == "0.0.0.0" || endpoint.host == "::") endpoint.host = "127.0.0.1";
  const auto token = read_token(config.data_directory);
  if (token) endpoint.token = *token;
  return std::optional(endpoint);
}

cli::Hooks make_hooks() {
  cli::Hooks hooks;
  hooks.version = kVersion;
  hooks.serve = serve;
  hooks.doctor = doctor;
  hooks.worker = [](int socket_fd) -> int { workers::worker_main(socket_fd, kVersion); };
  hooks.gpu_monitor = gpu::monitor_main;
  hooks.find_server = find_server;
  hooks.start_private_server = [](const Config& config) -> Result<std::unique_ptr<cli::PrivateServer>> {
    auto started = RunningServer::start(config, ServerUse::private_to_command);
    if (!started) return fail(started.error());
    return std::make_unique<PrivateServer>(std::move(*started));
  };
  hooks.catalog = load_catalog;
  hooks.add_model = add_model;
  hooks.look_at_gpus = [](const Config& config) -> Result<cli::GpuLook> {
    auto look = look_at_gpus(config);
    if (!look) return fail(look.error());
    return [look = std::make_shared<gpu::GpuLook>(std::move(*look))] { return look->look(); };
  };
  hooks.history = [](const Config& config, std::size_t limit) {
    return store::read_history(config.data_directory, limit);
  };
  return hooks;
}

}  // namespace
}  // namespace pixelfleet::apps

int main(int argc, char** argv) {
  // A client that closes its connection must not end the program.
  signal(SIGPIPE, SIG_IGN);
  return pixelfleet::cli::run(argc, argv, pixelfleet::apps::make_hooks());
}
