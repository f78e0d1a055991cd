// RunningServer: every part of a PixelFleet server, put together in the order in which they need each other.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "config/config.h"

namespace pixelfleet::apps {

// A private server serves one `generate`: loopback, any free port, no monitor output of its own.
enum class ServerUse { shared, private_to_command };

class RunningServer {
 public:
  // Takes the data directory's lock, opens the store, restores the queue, starts workers' supervisor, gpus and HTTP.
  static Result<std::unique_ptr<RunningServer>> start(const Config& config, ServerUse use);
  ~RunningServer();

  int port() const;
  // Where people find the page; with the token where one is needed.
  std::string page_url() const;
  // Looks at model files and profiles again.
  void rescan();
  // The store broke and the control loop ended: the process must end too, a restart brings the work back.
  bool failed() const;

 private:
  struct Parts;
  explicit RunningServer(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

// `pixelfleet serve`: runs until SIGINT or SIGTERM; SIGHUP rescans. An exit code.
int serve(const LoadedConfig& loaded);

}  // namespace pixelfleet::apps
