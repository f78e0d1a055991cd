// The gpu monitor: `pixelfleet gpu-monitor`, the only process that touches NVML and reads AMD's gpus.
//
// Prints one report a second (report.h) on stdout and ends with its parent: when stdin closes, or when the parent dies.
// It may hang in the driver; its parent watches the time.
#pragma once

namespace pixelfleet::gpu {

// Exit code 0. PIXELFLEET_NVML_LIBRARY names another library file, PIXELFLEET_SYSFS_ROOT another place than /sys for
// AMD's.
int monitor_main();

}  // namespace pixelfleet::gpu
