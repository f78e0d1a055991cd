// Joins what several say about each gpu (health, sharing) into the terms that the scheduler is told: the strictest
// counts.
#pragma once

#include <array>
#include <map>
#include <optional>

#include "scheduler/events.h"

namespace pixelfleet::control {

class GpuTerms {
 public:
  enum class Verdict { full, probation, rest, finish, abandon };  // each stricter than the one before
  enum class Voice { health, sharing };

  // The event for the scheduler, when all voices together mean something else than before.
  std::optional<scheduler::Event> hear(Voice voice, const GpuUuid& gpu, Verdict verdict);

  // Whether the others, without this voice, let the gpu have work.
  bool open_but_for(Voice voice, const GpuUuid& gpu) const;

 private:
  static constexpr std::size_t kVoices = 2;
  std::map<GpuUuid, std::array<Verdict, kVoices>> verdicts_;
};

}  // namespace pixelfleet::control
