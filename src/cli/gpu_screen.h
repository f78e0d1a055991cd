// GpuScreen: what `pixelfleet gpus --watch` shows, as lines of text. Remembers a minute of utilisation.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace pixelfleet::cli {

enum class Colour { none, ansi };

class GpuScreen {
 public:
  // The array `gpus` of the API, once a second.
  void add(const Json& gpus);

  // Two lines a gpu below a heading with `note` at its end and the names of the columns; no line has more than `width`
  // visible characters. Says why a gpu is closed, or not well, where the server tells.
  std::vector<std::string> lines(std::size_t width, Colour colour, const std::string& note) const;

 private:
  std::size_t name_width(std::size_t width) const;
  std::vector<std::string> gpu_lines(const Json& gpu, std::size_t width, Colour colour) const;

  std::vector<Json> gpus_;
  std::map<std::string, std::deque<double>> utilisation_;  // by uuid, oldest first; negative: unknown
};

}  // namespace pixelfleet::cli
