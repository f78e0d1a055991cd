#include "scheduler/state.h"

namespace pixelfleet::scheduler {

void Scheduler::State::on(const ModelStaged&) {}
void Scheduler::State::on(const ModelUnstaged&) {}

}  // namespace pixelfleet::scheduler
