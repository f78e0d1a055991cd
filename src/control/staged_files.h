// StagedFiles: which models' files are in host memory as far as the loop knows, and how fast the disk reads.
//
// A mirror of what the scheduler counts on, for the live view and the host memory port. Control thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "control/ports.h"
#include "domain/catalog.h"
#include "domain/live.h"

namespace pixelfleet::control {

class StagedFiles {
 public:
  // What the port needs to know of the model; empty when nothing is known of it any more.
  FilesOfModel files_of(const Catalog& catalog, const ModelKey& key);

  bool contains(const ModelKey& key) const;
  void begin(const ModelKey& key) { staging_ = key; }
  void arrived(const ModelIsStaged& staged);
  void left(const ModelKey& key);
  void let_go(const ModelKey& key);

  // Of one reader alone; a mean of what stagings showed lately, absent before the first. It changes only when it is
  // clearly another one: whoever plans with it plans anew.
  std::optional<double> disk_bytes_per_second() const { return told_speed_; }
  HostMemory view(std::int64_t limit_bytes) const;

 private:
  struct Entry {
    FilesOfModel files;
    std::int64_t bytes = 0;
    bool staged = false;
  };
  void measure(std::int64_t bytes, double seconds);

  std::map<ModelKey, Entry> entries_;
  std::optional<ModelKey> staging_;
  std::optional<double> speed_;
  std::optional<double> told_speed_;
};

}  // namespace pixelfleet::control
