// How the tests of the amp policy say what it chose.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scheduler/amp.h"
#include "scheduler/test_board.h"

namespace pixelfleet::scheduler {

using Kind = Choice::Kind;
inline constexpr auto kOnDisk = Situation::File::on_disk;

inline std::string describe(const Choice& choice) {
  switch (choice.kind) {
    case Kind::none: return "wait";
    case Kind::run: return "run job " + std::to_string(choice.job.value) + " on " + std::to_string(choice.gpu);
    case Kind::load: return "load " + std::to_string(choice.model) + " on " + std::to_string(choice.gpu);
    case Kind::load_behind:
      return "load " + std::to_string(choice.model) + " on " + std::to_string(choice.gpu) + " beside its run";
  }
  return "?";
}

inline std::string next(Situation& s) { return describe(Amp(s.board).next()); }
inline std::string next_behind(Situation& s) { return describe(Amp(s.board).next_behind()); }

// The index that a candidate came into question with; none: it did not.
inline std::optional<double> index_of(Situation& s, const std::string& what) {
  std::vector<Choice> others;
  (void)Amp(s.board).next(&others);
  for (const Choice& choice : others) {
    if (describe(choice) == what) return choice.index;
  }
  return std::nullopt;
}

}  // namespace pixelfleet::scheduler
