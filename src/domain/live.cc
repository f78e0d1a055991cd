#include "domain/live.h"

namespace pixelfleet {

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::load: return "load";
    case Phase::text: return "text";
    case Phase::sample: return "sample";
    case Phase::decode: return "decode";
  }
  return "load";
}

std::optional<Phase> phase_from(std::string_view text) {
  for (const Phase phase : {Phase::load, Phase::text, Phase::sample, Phase::decode}) {
    if (text == name(phase)) return phase;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
