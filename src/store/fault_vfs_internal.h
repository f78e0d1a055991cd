// FaultVfs: SQLite's operating-system layer with a disk that fails, fills up or loses power when the test says so.
//
// Wraps the default layer. Each operation is counted; from the n-th on (or only there) it fails. Syncs are remembered,
// not done: lose_power() leaves of each file what was synced plus a random part of what was written after.
// For one test at a time; the connections of a test may be used from one thread only.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"

namespace pixelfleet::store {

class FaultVfs {
 public:
  enum class Lasting { once, from_then_on };

  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  const std::string& name() const { return name_; }

  // The n-th operation from now (1 is the next) fails with an I/O error.
  void fail_at(int n, Lasting lasting);
  // Writes fail with SQLITE_FULL while `full` says so; asked before each.
  void fill_disk(std::function<bool()> full) { full_ = std::move(full); }
  // No more failures.
  void heal();

  int operations() const { return operations_; }  // since fail_at()
  int failures() const { return failures_; }      // since fail_at()
  bool sync_failed() const { return sync_failed_; }

  // What a power cut leaves. No connection may be open.
  void lose_power(Rng& rng);

 private:
  friend struct FaultCalls;
  struct Unsynced {
    std::int64_t offset;  // of `bytes`, or the size that the file was cut to
    std::string bytes;
    bool cut = false;
  };
  struct Content {
    bool exists = false;
    std::string synced;
    std::vector<Unsynced> unsynced;
  };

  bool fails();
  bool disk_is_full();
  void opened(const std::string& path);
  void wrote(const std::string& path, std::int64_t offset, std::string bytes);
  void cut(const std::string& path, std::int64_t size);
  void synced(const std::string& path);

  std::string name_;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_{};
  std::map<std::string, Content> files_;
  std::function<bool()> full_;
  int fail_at_ = 0;  // 0: never
  Lasting lasting_ = Lasting::once;
  int operations_ = 0;
  int failures_ = 0;
  bool sync_failed_ = false;
  int last_errno_ = 0;
};

}  // namespace pixelfleet::store
