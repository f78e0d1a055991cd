// DataLock: at most one server uses a data directory; others read here who it is.
//
// The lock is an open-file-description lock on DIR/lock: the kernel frees it when the holder dies, however it dies,
// and asking for it does not disturb it. The file's one line of JSON says where the holder's page is; it counts only
// while the lock is held.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::store {

struct RunningServer {
  std::int64_t pid = 0;  // 0: it has not said yet
  std::string address;   // host of the page, "127.0.0.1"
  int port = 0;          // 0: it does not listen (yet)
  Instant started_at;
  std::string version;

  std::string url() const;  // "http://127.0.0.1:7865"; empty while it does not listen

  friend bool operator==(const RunningServer&, const RunningServer&) = default;
};

class DataLock {
 public:
  // Creates the directory when it is missing. conflict, naming the holder, when another process has it.
  static Result<DataLock> acquire(const std::filesystem::path& data_directory, const RunningServer& self);
  DataLock(DataLock&&) noexcept = default;
  DataLock& operator=(DataLock&&) noexcept = default;
  ~DataLock();

  // Replaces the line, once the port is known.
  Result<> announce(const RunningServer& self);

 private:
  DataLock(UniqueFd fd, std::filesystem::path file) : fd_(std::move(fd)), file_(std::move(file)) {}

  UniqueFd fd_;  // close-on-exec: workers do not inherit the lock
  std::filesystem::path file_;
};

// The server that uses the directory now; nothing when none does, whatever an old lock file says.
Result<std::optional<RunningServer>> read_running_server(const std::filesystem::path& data_directory);

}  // namespace pixelfleet::store
