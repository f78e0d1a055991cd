// Ballast: a file of zeroes that holds some of the disk, so that a full disk has room for what must still be written.
//
// Without it a full disk blocks the very checkpoint that would give the write-ahead log's space back. Owned by the
// control thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace pixelfleet::store {

class Ballast {
 public:
  Ballast(std::filesystem::path file, std::int64_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  // Takes the space; an error leaves none taken. Nothing to do when it is held already.
  Result<> hold();
  // Gives the space back.
  void release();
  bool held() const { return held_; }

 private:
  const std::filesystem::path file_;
  const std::int64_t bytes_;
  bool held_ = false;
};

}  // namespace pixelfleet::store
