// Figures: the numbers of Metrics as tables show them: title, meaning, form, which direction is better.
//
// The terminal's tables and the report's are made from this one list.
#pragma once

#include <string>
#include <vector>

#include "simulator/metrics.h"
#include "simulator/summary.h"

namespace pixelfleet::simulator {

// Those that are asked for by name.
double mean_wait(const Metrics& metrics);
double p99_wait(const Metrics& metrics);
double max_wait(const Metrics& metrics);
double loads(const Metrics& metrics);
double foreground_loads(const Metrics& metrics);
double flow_over_bound(const Metrics& metrics);
double makespan_over_bound(const Metrics& metrics);
double light_wait(const Metrics& metrics);
double large_job(const Metrics& metrics);

enum class Better { lower, higher, neither };
enum class Form { number, thousandths, whole, percent };

struct FigureColumn {
  const char* title;
  const char* meaning;
  Figure figure;
  Better better = Better::lower;
  Form form = Form::number;
  enum class Where { everywhere, report_only } where = Where::everywhere;
};

const std::vector<FigureColumn>& figure_columns();

// Three significant digits, but no exponent: 0.012, 1.23, 12.3, 123, 12345.
std::string short_number(double value);
std::string in_form(double value, Form form);

}  // namespace pixelfleet::simulator
