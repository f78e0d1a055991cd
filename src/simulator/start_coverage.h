// StartCoverage: how often jobs start within the interval that was forecast of them, in a run of the simulator.
//
// As a server would, it forecasts at most once a second, and only after something happened. Of each job that waited
// one of its forecasts is judged, any as likely, so that every start counts once; and its first one, too.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "simulator/run.h"

namespace pixelfleet::simulator {

struct StartCoverage {
  int starts = 0;
  int inside = 0;
  int before = 0;  // the interval
  int after = 0;
  int first_inside = 0;
  int open = 0;  // forecasts without an end of the interval; they count as inside if it began in time
  double mean_width_s = 0.0;
  double mean_wait_s = 0.0;       // from the forecast to the start
  double forecast_ms_mean = 0.0;  // by a steady clock
  double forecast_ms_max = 0.0;

  double part_inside() const { return starts > 0 ? static_cast<double>(inside) / starts : 0.0; }
};

Result<StartCoverage> measure_start_coverage(const Trace& trace, const RunOptions& options);

}  // namespace pixelfleet::simulator
