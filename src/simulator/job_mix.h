// Job mix: which models a made-up trace has, and what is asked of each.
//
// From production: 58 % of the jobs want one picture, most of them 30 steps (docs/scheduling.md).
#pragma once

#include <string_view>
#include <vector>

#include "base/rng.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

inline constexpr double kGigabyte = 1e9;

// How likely each value is; the parts add up to 1.
template <class Value>
struct Share {
  Value value;
  double part;
};

// What is asked of a family; `images` ascend. Large models are asked for fewer pictures at once.
struct FamilyMix {
  std::string_view family;
  double gigabytes;
  std::vector<Share<int>> images;
  std::vector<Share<int>> steps;
  std::vector<Share<double>> pixels;
};

// Of a family of machine.cc's table.
const FamilyMix& mix_of(std::string_view family);

// How many models of each family; the most popular model comes first, families take turns as long as they last.
struct FamilyCounts {
  int sdxl = 0;
  int sd15 = 0;
  int flux = 0;
  int sd35 = 0;
};

std::vector<TraceModel> models_of(const FamilyCounts& counts);

template <class Value>
Value pick(Rng& rng, const std::vector<Share<Value>>& shares) {
  double rest = rng.unit();
  for (const Share<Value>& share : shares) {
    if (rest < share.part) return share.value;
    rest -= share.part;
  }
  return shares.back().value;
}

}  // namespace pixelfleet::simulator
