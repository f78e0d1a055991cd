// OutputDirectory: puts finished files into the output directory, whole or not at all.
//
// A file is written under a temporary name beside its target, synced, renamed, and the directory synced: after success
// it survives a power cut; before, nobody sees it. Each temporary is locked while its writer lives, so that another
// server that shares the directory can tell leftovers of the dead from work in progress. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::media {

class OutputDirectory {
 public:
  // Makes the directory if needed.
  static Result<OutputDirectory> open(const std::string& directory);

  const std::string& path() const { return path_; }

  // `relative_path` stays below the directory (no "..", no links followed); missing directories are made.
  // `temporary_tag` names the writer's task: ".pixelfleet-<tag>.tmp". An existing file at the path is replaced.
  // disk_full where space, quota or a read-only mount stops it and waiting may help.
  Result<> publish(const std::string& relative_path, const std::string& temporary_tag, std::string_view bytes) const;

  // Appends in one write, so that lines of several servers do not mix. Errors as above; not synced.
  Result<> append(const std::string& file_name, std::string_view line) const;

  // Removes temporaries that no living writer holds. Returns how many.
  int remove_orphans() const;

 private:
  OutputDirectory(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;  // absolute
  UniqueFd fd_;
};

}  // namespace pixelfleet::media
