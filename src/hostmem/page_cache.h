// FileInMemory: one file and how much of it the page cache holds: read in, looked at, let go.
//
// What is there is there for every process: a worker that maps or reads the file finds it in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::hostmem {

class FileInMemory {
 public:
  static Result<FileInMemory> open(const std::string& path);

  std::int64_t bytes() const { return bytes_; }
  // Absent where the system does not say: it tells only those who own the file or may write it.
  Result<std::optional<std::int64_t>> resident_bytes() const;

  enum class Reading { complete, cancelled };
  // All of it, from the start, with a window of readahead. `cancelled` is looked at between blocks.
  Result<Reading> read_in(const std::atomic<bool>& cancelled) const;
  // Pages that somebody has mapped, or that wait to be written, stay.
  void let_go() const;

 private:
  FileInMemory(UniqueFd file, std::string path, std::int64_t bytes, bool may_look)
      : file_(std::move(file)), path_(std::move(path)), bytes_(bytes), may_look_(may_look) {}

  UniqueFd file_;
  std::string path_;
  std::int64_t bytes_;
  bool may_look_;
};

}  // namespace pixelfleet::hostmem
