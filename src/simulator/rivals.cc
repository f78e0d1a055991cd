// make_rival: the rivals by the names under which results are reported.
#include <array>

#include "simulator/rival.h"
#include "simulator/rival_arrival_order.h"
#include "simulator/rival_delay.h"
#include "simulator/rival_greedy_affinity.h"
#include "simulator/rival_invokeai.h"
#include "simulator/rival_map.h"
#include "simulator/rival_mold_legacy.h"
#include "simulator/rival_mold_v2.h"
#include "simulator/rival_mqfq_sticky.h"
#include "simulator/rival_shortest_first.h"
#include "simulator/rival_swarmui.h"

namespace pixelfleet::simulator {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Rival> (*make)();
};

template <class R>
std::unique_ptr<Rival> make() {
  return std::make_unique<R>();
}

constexpr std::array kRivals = {
    Entry{"fifo", make<FirstInFirstOut>},  Entry{"v18", make<WarmOrRoomiest>},
    Entry{"sjf", make<ShortestFirst>},     Entry{"greedy-affinity", make<GreedyAffinity>},
    Entry{"swarmui", make<SwarmPressure>}, Entry{"mold-legacy", make<MoldLegacy>},
    Entry{"mold-v2", make<MoldPlanner>},   Entry{"invokeai", make<InvokePull>},
    Entry{"delay", make<DelayScheduling>}, Entry{"mqfq-sticky", make<MqfqSticky>},
    Entry{"map", make<ReorderingBuffer>},
};

}  // namespace

std::unique_ptr<Rival> make_rival(std::string_view name) {
  for (const Entry& rival : kRivals) {
    if (rival.name == name) return rival.make();
  }
  return nullptr;
}

}  // namespace pixelfleet::simulator
