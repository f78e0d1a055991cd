#include "simulator/job_mix.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kSquare512 = 512.0 * 512.0;
constexpr double kPortrait512 = 512.0 * 768.0;
constexpr double kSquare1024 = 1024.0 * 1024.0;
constexpr double kPortrait1024 = 832.0 * 1216.0;

}  // namespace

const FamilyMix& mix_of(std::string_view family) {
  static const std::vector<Share<int>> kMany = {{1, 0.58}, {2, 0.08}, {4, 0.34}};
  static const std::vector<Share<int>> kFew = {{1, 0.58}, {2, 0.42}};
  static const std::array<FamilyMix, 4> kMixes = {{
      {"SDXL", 6.9, kMany, {{20, 0.1}, {30, 0.8}, {40, 0.1}}, {{kSquare1024, 0.8}, {kPortrait1024, 0.2}}},
      {"SD15", 2.1, kMany, {{20, 0.2}, {30, 0.8}}, {{kSquare512, 0.6}, {kPortrait512, 0.4}}},
      {"FLUX8", 17.0, kFew, {{20, 0.2}, {28, 0.8}}, {{kSquare1024, 1.0}}},
      {"SD35L", 18.0, kFew, {{28, 1.0}}, {{kSquare1024, 1.0}}},
  }};
  const auto found = std::ranges::find(kMixes, family, &FamilyMix::family);
  CHECK(found != kMixes.end());
  return *found;
}

std::vector<TraceModel> models_of(const FamilyCounts& counts) {
  struct Turn {
    std::string_view family;
    int at_once;
    int left;
  };
  std::array<Turn, 4> turns = {
      {{"SDXL", 2, counts.sdxl}, {"SD15", 1, counts.sd15}, {"FLUX8", 1, counts.flux}, {"SD35L", 1, counts.sd35}}};
  const auto total = static_cast<std::size_t>(counts.sdxl + counts.sd15 + counts.flux + counts.sd35);
  std::vector<TraceModel> models;
  while (models.size() < total) {
    for (Turn& turn : turns) {
      for (int i = 0; i < turn.at_once && turn.left > 0; ++i, --turn.left) {
        models.push_back({std::string(turn.family), mix_of(turn.family).gigabytes * kGigabyte});
      }
    }
  }
  return models;
}

}  // namespace pixelfleet::simulator
