// Client: the command line's side of the HTTP API: blocking requests and the event stream, to a server on this machine.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace pixelfleet::cli {

struct Endpoint {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string token;  // empty where loopback needs none
};

class Client {
 public:
  explicit Client(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  // A 2xx answer's JSON. problem+json becomes the Error it describes; no answer is unavailable.
  Result<Json> get(const std::string& path) const;
  Result<Json> post(const std::string& path, const Json& body) const;
  // The bytes of a PNG or JPEG; anything else is left for the server to refuse.
  Result<Json> post_picture(const std::string& path, const std::string& bytes) const;
  Result<Json> patch(const std::string& path, const Json& body) const;

  // Follows /api/v1/events, which begins with a snapshot, until `on_event` returns Stop or the server ends.
  enum class Follow { go_on, stop };
  Result<> follow(const std::function<Follow(const std::string& type, const Json& data)>& on_event) const;

  const Endpoint& endpoint() const { return endpoint_; }

 private:
  Endpoint endpoint_;
};

}  // namespace pixelfleet::cli
