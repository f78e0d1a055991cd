// A Sink that remembers what it was told, for tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/plugin.h"

namespace pixelfleet::engine {

struct SeenProgress {
  Phase phase;
  int step, steps;
  friend bool operator==(const SeenProgress&, const SeenProgress&) = default;
};

struct SeenPreview {
  int step = 0;
  std::uint32_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
};

class RecordingSink : public Sink {
 public:
  void progress(Phase phase, int step, int steps) override {
    seen.push_back({phase, step, steps});
    if (on_progress) on_progress(seen.back());
  }
  void preview(int step, int, std::uint32_t width, std::uint32_t height, const std::uint8_t* rgb) override {
    previews.push_back({step, width, height, {rgb, rgb + std::size_t{3} * width * height}});
  }
  void log(LogLevel, std::string_view line) override { lines.emplace_back(line); }

  std::vector<SeenProgress> of(Phase phase) const {
    std::vector<SeenProgress> some;
    for (const SeenProgress& one : seen) {
      if (one.phase == phase) some.push_back(one);
    }
    return some;
  }
  std::string log_text() const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }

  std::function<void(const SeenProgress&)> on_progress;
  std::vector<SeenProgress> seen;
  std::vector<SeenPreview> previews;
  std::vector<std::string> lines;
};

inline std::vector<std::uint8_t> pixels_of(const Picture& picture) {
  return {picture.rgb(), picture.rgb() + picture.size_bytes()};
}

}  // namespace pixelfleet::engine
