#include "scheduler/state.h"

namespace pixelfleet::scheduler {

void Scheduler::State::on(const JobMoved&) {}
void Scheduler::State::on(const JobReprioritised&) {}
void Scheduler::State::on(const JobPinned&) {}
void Scheduler::State::on(const QueuePaused&) {}
void Scheduler::State::on(const QueueResumed&) {}

}  // namespace pixelfleet::scheduler
