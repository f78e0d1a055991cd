// Report: one HTML page with everything a study found, to be read in any browser, offline.
//
// Curves and strips are inline SVG, style and script are inline, nothing is fetched. Light and dark follow the reader.
#pragma once

#include <string>
#include <vector>

#include "simulator/study.h"
#include "simulator/summary.h"
#include "simulator/sweep.h"

namespace pixelfleet::simulator {

struct ReportContents {
  const Study* study = nullptr;  // null: a sweep alone; made with Detail::drawings
  std::vector<LoadCurve> curves;
  double limit_s = 60.0;      // of the curves
  std::string subject;        // the contender the report is about
  std::string ablation_text;  // empty: none
};

std::string report_page(const ReportContents& contents);

// Text for HTML and attributes.
std::string escaped(std::string_view text);

}  // namespace pixelfleet::simulator
