// Decides which gpus may get work, and whether a job or a model is to blame instead.
//
// A pure state machine in the manner of the scheduler: it never blocks, reads a clock, does I/O, locks or throws. A
// plain value that copies; owned by the control loop. Ties break by id; there is no unordered iteration.
//
//   healthy <-> suspect            a fault; ten minutes without another one, or it was the job's or the model's
//   suspect -> quarantined         it failed two different jobs within ten minutes, or three had an Xid there; what
//                                  runs ends first (draining). 30 s, 1, 5, 15, 60 min; from the start after a clean day
//   quarantined -> probation       back-off over and canary passed;  -> healthy after three jobs
//   any -> failed                  lost, or needs a reset or a reboot (-> quarantined once seen clean as a new
//   arrival),
//                                  or retired by the operator (until resumed)
//   any -> stuck                   a worker cannot be ended (-> quarantined once it is gone)
//   any -> draining                by the operator, until resumed
//
// To blame are: a job that failed on two gpus, a model that failed three loads on two gpus (crashes only while it works
// on no other gpu: else they are this gpu's). What they did to gpus is taken back. Out of memory and bad requests never
// count. When more than half of the gpus (at least two) leave within five minutes for one kind of fault, an alarm is
// raised, and until five minutes pass without another one no gpu is quarantined for software. Nor is ever the last one
// that gets work.
#pragma once

#include <vector>

#include "health/events.h"
#include "health/memory.h"

namespace pixelfleet::health {

class Health {
 public:
  Health() = default;
  // As it was: each gpu's last record. Ask gpus() afterwards who gets no work.
  explicit Health(const std::vector<GpuRecord>& records);

  // Applies one event; the actions are to be carried out in order. `now` never goes back. Events about gpus that were
  // never seen are ignored: they crossed an action on the way.
  [[nodiscard]] std::vector<Action> step(const Event& event, Instant now);

  // As told last, by uuid.
  std::vector<GpuRecord> gpus() const;

  // Raised and not cleared.
  std::vector<FaultClass> alarms() const;

 private:
  Memory memory_;
};

}  // namespace pixelfleet::health
