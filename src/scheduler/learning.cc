#include "scheduler/state.h"

namespace pixelfleet::scheduler {

void Scheduler::State::on(const CostRemembered&) {}
void Scheduler::State::on(const ChunkProgress&) {}

}  // namespace pixelfleet::scheduler
