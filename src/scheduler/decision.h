// Decision: one thing that the scheduler chose to do, why, and what else came into question. For traces, not for
// acting.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"

namespace pixelfleet::scheduler {

struct Decision {
  enum class Kind { run, load, load_behind, wait, stage, unstage };
  enum class Why {
    warm,        // the best start on a gpu that holds the model
    load_pays,   // the load is worth clearly more than the best warm start
    beside_run,  // the gpu would otherwise load when its run has ended
    overdue,     // a job has waited past its guard
    played_out,  // the first choice looked worse when both were played forward
    in_order,    // a simple policy's next job
    wanted,      // a file that jobs wait for, or that is often asked for
    room,        // made for another file, or the limit was reached
  };
  struct Option {
    Kind kind = Kind::run;
    GpuUuid gpu = {};  // empty: host memory
    ModelKey model = {};
    std::optional<JobId> job = {};
    double index = 0.0;  // what it is worth, by the policy; 0: it has no such measure

    friend bool operator==(const Option&, const Option&) = default;
  };

  Instant at;
  Option taken;
  Why why = Why::warm;
  std::vector<ModelKey> pushes_out = {};
  std::vector<Option> others = {};  // best first, a few
};

std::string_view name(Decision::Kind kind);
std::string_view name(Decision::Why why);

}  // namespace pixelfleet::scheduler
