// greedy-affinity: what is loaded is served first, without limit; a model is loaded only where no work is left.
//
// Re-implements llama-swap's fifo scheduler (scheduler/fifo.go at 0bdb372): a request for a model that is ready is
// served at once, one for a model being loaded joins that load, and any other waits until a victim has drained, in the
// order of arrival. A model is never loaded twice. Overtaking is unbounded: ABCABC becomes AABBCC, and a cold model can
// starve. Simplified: llama-swap serves one machine's swap groups; here each gpu is a group, and a cold model may take
// any of them.
#pragma once

#include <optional>

#include "simulator/rival.h"

namespace pixelfleet::simulator {

class GreedyAffinity : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;
};

}  // namespace pixelfleet::simulator
