// Table: a study as text for a terminal: each trace, the geometric means, where a policy falls short.
#pragma once

#include <string>
#include <vector>

#include "simulator/study.h"
#include "simulator/summary.h"
#include "simulator/sweep.h"

namespace pixelfleet::simulator {

// Columns as wide as their widest cell; the first to the left, the others to the right. Cells are ASCII.
class TextTable {
 public:
  enum class LastColumn { right, left };
  explicit TextTable(std::vector<std::string> header, LastColumn last = LastColumn::right);
  void add(std::vector<std::string> row);  // as many cells as the header
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  LastColumn last_;
};

// For each regime: a table a trace, the geometric means with ratios to swarmui and v18, and the subject's shortfalls.
std::string study_text(const Study& study, const Summary& summary, const std::string& subject);

std::string sweep_text(const std::vector<LoadCurve>& curves, double limit_s);

// A line for each trace and reason, with the contenders it befell; empty when all runs ended.
std::string failures_text(const Study& study);

// One line for each shortfall, such as "T6: p99 wait 75 s, swarmui 60 s: 1.25x, acceptable 1.10x".
std::string shortfall_text(const Shortfall& shortfall);

}  // namespace pixelfleet::simulator
