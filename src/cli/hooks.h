// Hooks: what the commands need beyond the HTTP API; apps wires them to the folders that cli may not include.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"
#include "config/config.h"
#include "domain/catalog.h"
#include "domain/gpu.h"
#include "domain/job.h"

namespace pixelfleet::cli {

// A server that lives as long as this object, for `generate` where none runs.
class PrivateServer {
 public:
  virtual ~PrivateServer() = default;
  virtual Endpoint endpoint() const = 0;
};

struct NewModel {
  std::string name;
  std::vector<std::pair<PartRole, std::string>> parts;  // role, file
};

// Looks at the gpus without a server, each time it is called; what it needs for that lives as long as it does.
using GpuLook = std::function<Result<std::vector<GpuStatus>>()>;

struct Hooks {
  std::string version;
  std::function<int(const LoadedConfig&)> serve;  // until it is told to end; an exit code
  std::function<int(const LoadedConfig&)> doctor;
  std::function<int(int socket_fd)> worker;
  std::function<int()> gpu_monitor;
  // The server that holds the data directory's lock, if one does. Never found by port.
  std::function<Result<std::optional<Endpoint>>(const Config&)> find_server;
  std::function<Result<std::unique_ptr<PrivateServer>>(const Config&)> start_private_server;
  std::function<Result<CatalogPtr>(const Config&)> catalog;
  std::function<Result<Model>(const Config&, const NewModel&)> add_model;
  std::function<Result<GpuLook>(const Config&)> look_at_gpus;
  // The newest so many jobs of the data directory, whether a server runs on it or not.
  std::function<Result<std::vector<Job>>(const Config&, std::size_t limit)> history;
};

// Exit codes, one for each class of error; documented in `pixelfleet --help`.
inline constexpr int kExitOk = 0;
inline constexpr int kExitJobsFailed = 1;
inline constexpr int kExitUsage = 2;  // invalid_argument
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitConflict = 4;     // also: the data directory is in use
inline constexpr int kExitUnavailable = 5;  // no server, no engine, queue full
inline constexpr int kExitSystem = 6;       // disk, permissions, corrupt files
inline constexpr int kExitInternal = 70;

int exit_code(ErrorCode code);

// Prints "pixelfleet: MESSAGE" and one line per wrong field to stderr; returns the exit code.
int report(const Error& error);

// The whole command line.
int run(int argc, const char* const* argv, const Hooks& hooks);

}  // namespace pixelfleet::cli
