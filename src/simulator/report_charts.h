// Charts: the drawings of the report, each a figure's inline SVG.
//
// Colours are classes of report_style.h: c0 ... c11 by the contender's place, hues for models; so one page serves light
// and dark. Every mark carries a <title> for those who point at it.
#pragma once

#include <string>
#include <vector>

#include "simulator/study.h"
#include "simulator/summary.h"
#include "simulator/sweep.h"

namespace pixelfleet::simulator {

// A contender as charts show it.
struct Look {
  std::string label;
  int colour = 0;  // class c<colour>
  enum class Stress { plain, subject } stress = Stress::plain;
};

// Mean and p99 waits over all traces on a logarithmic axis, best first, with 95 % intervals.
struct WaitEstimate {
  Look look;
  Estimate mean;
  Estimate p99;
};
std::string ranking_chart(std::vector<WaitEstimate> estimates);

// Share of jobs that started within a wait. Quantiles as in Drawing::wait_quantiles.
struct WaitCurve {
  Look look;
  std::vector<double> quantiles;
};
std::string wait_chart(const std::vector<WaitCurve>& curves);

// p95 wait over offered load, with the limit.
struct LoadLine {
  Look look;
  LoadCurve curve;
};
std::string load_chart(const std::vector<LoadLine>& lines, double limit_s);

// What each gpu does within the drawing's window: a row for each gpu, runs in their model's colour, loads hatched.
std::string strip_chart(const Drawing& drawing);

}  // namespace pixelfleet::simulator
