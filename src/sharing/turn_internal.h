// Turn: one step of Sharing, from an event to its actions. The parts:
//
//   turn.cc     what each event means
//   signals.cc  what a sample says: others, load, heat
//   demand.cc   what follows for a gpu, and when to look again
#pragma once

#include <optional>
#include <vector>

#include "sharing/sharing.h"

namespace pixelfleet::sharing {

inline constexpr Duration kFirstLook = std::chrono::seconds{3};
inline constexpr Duration kFiguresAgree = std::chrono::seconds{3};  // before figures without names are believed
inline constexpr Duration kRestBeforeLoad = std::chrono::seconds{3};
inline constexpr Duration kLoadLasts = std::chrono::seconds{5};
inline constexpr Duration kHeatLasts = std::chrono::seconds{5};
inline constexpr Duration kCoolLasts = std::chrono::seconds{10};
inline constexpr Duration kLeastCoolDown = std::chrono::seconds{30};
inline constexpr Duration kReadingExpires = std::chrono::seconds{60};  // of heat and load
inline constexpr Duration kSoon = std::chrono::minutes{10};
inline constexpr Duration kLongTime = std::chrono::hours{1};
inline constexpr double kCoolDownCelsius = 8;
inline constexpr double kBelowSlowdownCelsius = 4;

class Turn {
 public:
  Turn(Memory& memory, Instant now, std::vector<Action>& actions) : memory_(memory), now_(now), actions_(actions) {}

  void run(const Event& event);

 private:
  // turn.cc
  // Each leaves in `touched_` the gpu for which something else may follow now.
  void on(const SettingsChanged& event);
  void on(const LocalTimeTold& event);
  void on(const GpuArrived& event);
  void on(const GpuGone& event);
  void on(const GpuSampled& event);
  void on(const GpuOverridden& event);
  void on(const GpuOverrideEnded& event);
  template <class Other>
  void on(const Other&) {}  // about workers: nothing follows from them alone
  void on(const TimerFired&) { all_touched_ = All::touched; }
  GpuMemory* find(const GpuUuid& gpu);

  // signals.cc
  void hear_of_others(GpuMemory& gpu, const Split& split);
  void hear_of_load(GpuMemory& gpu, const GpuSample& sample);
  void hear_of_heat(GpuMemory& gpu, const GpuSample& sample);
  void look_into_alarm(GpuMemory& gpu, std::int64_t bytes);
  void note_arrival(GpuMemory& gpu);
  void note_departure(GpuMemory& gpu);
  void forget_old_readings(GpuMemory& gpu);
  std::optional<double> ceiling_of(const GpuMemory& gpu, const GpuSample& sample) const;

  // demand.cc
  void pass_time(GpuMemory& gpu);
  void settle(GpuMemory& gpu);
  std::optional<Instant> next_change(const GpuMemory& gpu) const;
  void ask_to_wake();

  Memory& memory_;
  const Instant now_;
  std::vector<Action>& actions_;
  GpuMemory* touched_ = nullptr;
  enum class All { not_touched, touched } all_touched_ = All::not_touched;
};

// Values that make no sense, as the nearest ones that do.
Settings sane(Settings settings);

// What closes a gpu at a moment: pure functions of what is remembered.
Share share_of(const Memory& memory, const GpuMemory& gpu);
Duration quiet_time_of(const Memory& memory, const GpuMemory& gpu);
bool overridden(const GpuMemory& gpu, Instant now);
std::vector<Reason> reasons_for(const Memory& memory, const GpuMemory& gpu, Instant now);
GpuMemory::Demand demand_of(const GpuMemory& gpu, const std::vector<Reason>& reasons, Share share);

}  // namespace pixelfleet::sharing
