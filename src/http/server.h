// Server: the HTTP face of a running PixelFleet: REST, event streams, the page.
//
// One I/O thread runs every connection as a coroutine; a small pool runs what blocks (store queries, files). Replies of
// the control loop come on its thread and are handed over to the I/O thread. Service and Reader must outlive it.
#pragma once

#include <memory>

#include "base/result.h"
#include "control/ports.h"
#include "control/service.h"
#include "http/options.h"

namespace pixelfleet::http {

struct Core;

class Server {
 public:
  // Listens when it returns. conflict: the port is taken. invalid_argument: an address that is none, or one that other
  // machines reach without a token.
  static Result<std::unique_ptr<Server>> start(Options options, control::Service& service, control::Reader& reader);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;

  // Ends event streams and idle connections, gives requests under way two seconds, then ends them too. Afterwards no
  // call into Service or Reader is running. Call it before the control loop ends.
  void stop();

 private:
  explicit Server(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  std::shared_ptr<Core> core_;
};

}  // namespace pixelfleet::http
