// LogTail: the last 64 KiB of what a worker printed, line by line, and the lines of it that explain a failure.
//
// Engines print what they like: lines are cut to a length, control characters (terminal colours, broken UTF-8)
// replaced, and memory stays bounded whatever arrives. Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pixelfleet::workers {

inline constexpr std::size_t kMaxEvidenceLines = 20;

inline constexpr std::size_t kMaxLineBytes = 500;

// A line fit for logs, JSON and pages: valid UTF-8, no control characters, cut to `max_bytes`.
std::string clean_line(std::string_view line, std::size_t max_bytes = kMaxLineBytes);

class LogTail {
 public:
  // Takes the next bytes of the stream; calls `on_line` with each finished line, cleaned.
  void add(std::string_view bytes, const std::function<void(const std::string&)>& on_line);

  // The last lines that sound like errors, oldest first, at most kMaxEvidenceLines; where none does, the last five.
  std::vector<std::string> evidence() const;

 private:
  void keep(std::string line);

  std::deque<std::string> lines_;
  std::size_t bytes_ = 0;
  std::string unfinished_;
};

}  // namespace pixelfleet::workers
