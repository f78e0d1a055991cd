// Which answer an Xid asks for: NVIDIA's catalogue of driver errors, as far as it matters to one gpu's jobs.
//
// One table; a number it does not know is treated as an application's error, the mildest that is still counted.
#pragma once

#include <string_view>

namespace pixelfleet::health {

enum class XidClass {
  restart_app,      // the process is lost, the gpu is not
  reset_gpu,        // nothing works until somebody resets the gpu
  restart_machine,  // it fell off the bus
  workflow,         // another Xid or the recovery action says what to do
  ignore,           // to be noted
};

XidClass xid_class(int number);

// Whether it counts against the gpu as an application's error does: all of restart_app, and of workflow those that come
// with the end of a process. The rest of workflow concerns links between gpus, which no job of ours uses.
bool counts_against_gpu(int number);

std::string_view name(XidClass xid);

}  // namespace pixelfleet::health
