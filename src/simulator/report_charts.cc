#include "simulator/report_charts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/format.h"
#include "simulator/figures.h"
#include "simulator/report.h"

namespace pixelfleet::simulator {
namespace {

// Values of an axis to places on the paper.
class Scale {
 public:
  static Scale linear(double from, double to, double low, double high) { return {from, to, low, high, Kind::linear}; }
  static Scale logarithmic(double from, double to, double low, double high) {
    return {std::log10(from), std::log10(to), low, high, Kind::logarithmic};
  }

  // Values outside of the axis are drawn at its ends.
  double at(double value) const {
    const double seen = kind_ == Kind::linear ? value : std::log10(std::max(value, 1e-12));
    return low_ + std::clamp((seen - from_) / (to_ - from_), 0.0, 1.0) * (high_ - low_);
  }

 private:
  enum class Kind { linear, logarithmic };
  Scale(double from, double to, double low, double high, Kind kind)
      : from_(from), to_(to), low_(low), high_(high), kind_(kind) {}

  double from_, to_, low_, high_;
  Kind kind_;
};

std::vector<double> powers_of_ten(double from, double to) {
  std::vector<double> ticks;
  for (double tick = from; tick <= to * 1.0001; tick *= 10.0) ticks.push_back(tick);
  return ticks;
}

std::string seconds_text(double seconds) {
  if (seconds < 1.0) return format("{:.1f} s", seconds);
  if (seconds < 1000.0) return format("{:.0f} s", seconds);
  return format("{:.0f},{:03.0f} s", std::floor(seconds / 1000.0), std::fmod(seconds, 1000.0));
}

std::string open_svg(double width, double height, std::string_view kind, std::string_view says) {
  return format(R"(<svg class="{}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">)", kind, width, height,
                escaped(says));
}

std::string text_at(double x, double y, std::string_view kind, std::string_view text) {
  return format(R"(<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>)", x, y, kind, escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>)", x1, y1, x2, y2, kind);
}

// Opens the group that the legend switches; to be closed with </g>.
std::string open_series(const Look& look, std::string_view title) {
  return format(R"(<g class="series c{}{}" data-who="{}"><title>{}</title>)", look.colour,
                look.stress == Look::Stress::subject ? " subject" : "", escaped(look.label), escaped(title));
}

struct Point {
  double x = 0.0;
  double y = 0.0;
};

// A line to see, and a broad invisible one to point at.
std::string curve(const std::vector<Point>& points) {
  std::string path;
  for (const Point& point : points) path += format("{}{:.1f},{:.1f}", path.empty() ? "M" : "L", point.x, point.y);
  return format(R"(<path class="hit" d="{0}"/><path class="curve" d="{0}"/>)", path);
}

// Others first, so that the subject lies on top.
template <class Item>
std::vector<const Item*> subject_last(const std::vector<Item>& items) {
  std::vector<const Item*> order;
  for (const Item& item : items) order.push_back(&item);
  std::stable_partition(order.begin(), order.end(),
                        [](const Item* item) { return item->look.stress != Look::Stress::subject; });
  return order;
}

// --- ranking ------------------------------------------------------------------------------------------------------

constexpr double kRowHeight = 27.0;
constexpr double kRankingWidth = 1120.0;
constexpr double kNames = 176.0;  // where names end

std::string ranking_row(const WaitEstimate& one, const Scale& x, double y) {
  const std::string title =
      format("{}: mean wait {} s (95 % interval {} to {} s), p99 {} s", one.look.label, short_number(one.mean.value),
             short_number(one.mean.low), short_number(one.mean.high), short_number(one.p99.value));
  std::string row = open_series(one.look, title);
  row += format(R"(<rect x="0" y="{:.1f}" width="{:.0f}" height="{:.0f}" class="rowhit"/>)", y - kRowHeight / 2,
                kRankingWidth, kRowHeight);
  row += text_at(kNames, y + 4, "name", one.look.label);
  row += line(x.at(one.mean.value), y, x.at(one.p99.value), y, "reach");
  row += line(x.at(one.mean.low), y, x.at(one.mean.high), y, "interval");
  row += format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="5.5" class="dot"/>)", x.at(one.mean.value), y);
  row += format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4.5" class="ring"/>)", x.at(one.p99.value), y);
  row += text_at(kRankingWidth - 78, y + 4, "figure", short_number(one.mean.value));
  row += text_at(kRankingWidth - 8, y + 4, "figure faint", short_number(one.p99.value));
  return row + "</g>";
}

// --- waits --------------------------------------------------------------------------------------------------------

constexpr double kLeastWait = 0.1;
constexpr double kWaitWidth = 1120.0;
constexpr double kWaitHeight = 340.0;

std::string wait_axes(const Scale& x, const Scale& y, double most) {
  std::string axes;
  for (const double share : {0.0, 0.25, 0.5, 0.75, 0.95, 1.0}) {
    axes += line(46, y.at(share), kWaitWidth - 12, y.at(share), share == 0.5 || share == 0.95 ? "grid mark" : "grid");
    axes += text_at(40, y.at(share) + 4, "tick end", format("{:.0f} %", share * 100.0));
  }
  for (const double tick : powers_of_ten(kLeastWait, most)) {
    axes += line(x.at(tick), 12, x.at(tick), kWaitHeight - 30, "grid");
    axes += text_at(x.at(tick), kWaitHeight - 12, "tick middle", seconds_text(tick));
  }
  return axes;
}

// --- loads --------------------------------------------------------------------------------------------------------

constexpr double kLoadWidth = 840.0;
constexpr double kLoadHeight = 420.0;
constexpr double kMostP95 = 600.0;
constexpr std::array kP95Ticks = {1.0, 3.0, 10.0, 30.0, 100.0, 300.0};

std::string load_line(const LoadLine& one, const Scale& x, const Scale& y, double limit_s) {
  std::vector<Point> points;
  for (const LoadPoint& point : one.curve.points) {
    points.push_back({x.at(point.load), y.at(point.p95_wait_s)});
    if (point.p95_wait_s > kMostP95) break;
  }
  const bool within = one.curve.sustained.place == Sustained::Place::within;
  std::string drawn = open_series(
      one.look, within ? format("{} carries load {:.2f}", one.look.label, one.curve.sustained.load) : one.look.label);
  drawn += curve(points);
  if (within) {
    const double at = x.at(one.curve.sustained.load);
    drawn += format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4.5" class="dot"/>)", at, y.at(limit_s));
    if (one.look.stress == Look::Stress::subject) {
      drawn +=
          text_at(at + 8, y.at(limit_s) + 18, "callout", format("{} {:.2f}", one.look.label, one.curve.sustained.load));
    }
  }
  return drawn + "</g>";
}

// The largest tick that no point lies below.
double least_tick(const std::vector<LoadLine>& lines) {
  double least = kP95Ticks.back();
  for (const LoadLine& one : lines) {
    for (const LoadPoint& point : one.curve.points) least = std::min(least, point.p95_wait_s);
  }
  double found = kP95Ticks.front();
  for (const double tick : kP95Ticks) found = tick <= least ? tick : found;
  return found;
}

std::string load_axes(const Scale& x, const Scale& y, const std::vector<LoadLine>& lines, double limit_s) {
  const double least_p95 = least_tick(lines);
  std::string axes;
  for (const double tick : kP95Ticks) {
    if (tick < least_p95) continue;
    axes += line(52, y.at(tick), kLoadWidth - 16, y.at(tick), "grid");
    axes += text_at(46, y.at(tick) + 4, "tick end", seconds_text(tick));
  }
  std::vector<double> loads;
  for (const LoadLine& one : lines) {
    for (const LoadPoint& point : one.curve.points) loads.push_back(point.load);
  }
  std::sort(loads.begin(), loads.end());
  loads.erase(std::unique(loads.begin(), loads.end()), loads.end());
  for (const double load : loads) {
    const double tenths = load * 10.0;
    if (std::abs(tenths - std::round(tenths)) > 1e-6) continue;
    axes += line(x.at(load), 12, x.at(load), kLoadHeight - 46, "grid");
    axes += text_at(x.at(load), kLoadHeight - 28, "tick middle", format("{:.1f}", load));
  }
  axes += line(52, y.at(limit_s), kLoadWidth - 16, y.at(limit_s), "limit");
  axes += text_at(kLoadWidth - 20, y.at(limit_s) - 6, "limit-text end", format("limit {:.0f} s", limit_s));
  axes += text_at(kLoadWidth / 2, kLoadHeight - 8, "tick middle", "offered load (work over what the gpus can do)");
  return axes;
}

// --- strips -------------------------------------------------------------------------------------------------------

constexpr double kStripWidth = 1120.0;
constexpr double kStripRow = 22.0;
constexpr double kStripLeft = 46.0;

// Hues of neighbouring numbers lie far apart.
double hue_of(int model) { return std::fmod(137.508 * model + 210.0, 360.0); }

std::string strip_bar(const Operation& operation, const Scale& x) {
  const double from = x.at(operation.start_s);
  const double width = std::max(0.7, x.at(operation.end_s) - from);
  const double top = 4.0 + kStripRow * operation.gpu;
  const bool behind = operation.kind == Operation::Kind::load_behind;
  const bool run = operation.kind == Operation::Kind::run;
  const double height = behind ? 4.0 : kStripRow - 9.0;
  const double y = behind ? top + kStripRow - 8.0 : top;
  const std::string what = run      ? format("runs job {}", operation.job)
                           : behind ? std::string("loads behind the run")
                                    : std::string("loads");
  std::string bar =
      format(R"(<g class="op {}" style="--h:{:.0f}"><title>gpu {} {}, model {}: {:.1f} to {:.1f} s</title>)"
             R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"/>)",
             run      ? "run"
             : behind ? "behind"
                      : "load",
             hue_of(operation.model), operation.gpu, what, operation.model, operation.start_s, operation.end_s, from, y,
             width, height);
  if (!run && !behind) {
    bar += format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5" class="hatched"/>)", from, y,
                  width, height);
  }
  return bar + "</g>";
}

}  // namespace

std::string ranking_chart(std::vector<WaitEstimate> estimates) {
  if (estimates.empty()) return {};
  std::stable_sort(estimates.begin(), estimates.end(),
                   [](const WaitEstimate& a, const WaitEstimate& b) { return a.mean.value < b.mean.value; });
  double least = 1e9, most = 1.0;
  for (const WaitEstimate& one : estimates) {
    least = std::min(least, std::max(one.mean.low, 0.01));
    most = std::max(most, one.p99.value);
  }
  const double from = std::pow(10.0, std::floor(std::log10(least)));
  const double to = std::max(from * 10.0, most * 1.15);
  const double height = kRowHeight * static_cast<double>(estimates.size()) + 46.0;
  const Scale x = Scale::logarithmic(from, to, kNames + 14, kRankingWidth - 150);
  std::string svg = open_svg(kRankingWidth, height, "ranking", "Mean and p99 waits of each policy over all workloads");
  svg += text_at(kRankingWidth - 78, 12, "tick end", "mean s") + text_at(kRankingWidth - 8, 12, "tick end", "p99 s");
  for (const double tick : powers_of_ten(from, to)) {
    svg += line(x.at(tick), 20, x.at(tick), height - 24, "grid");
    svg += text_at(x.at(tick), height - 8, "tick middle", seconds_text(tick));
  }
  double y = 20.0 + kRowHeight / 2;
  for (const WaitEstimate& one : estimates) {
    svg += ranking_row(one, x, y);
    y += kRowHeight;
  }
  return svg + "</svg>";
}

std::string wait_chart(const std::vector<WaitCurve>& curves) {
  double most = 10.0;
  for (const WaitCurve& one : curves) {
    if (!one.quantiles.empty()) most = std::max(most, one.quantiles.back());
  }
  const Scale x = Scale::logarithmic(kLeastWait, most, 46, kWaitWidth - 12);
  const Scale y = Scale::linear(0.0, 1.0, kWaitHeight - 30, 12);
  std::string svg = open_svg(kWaitWidth, kWaitHeight, "waits", "Share of jobs that started within a wait");
  svg += wait_axes(x, y, most);
  for (const WaitCurve* one : subject_last(curves)) {
    std::vector<Point> points;
    const double steps = static_cast<double>(one->quantiles.size()) - 1.0;
    for (std::size_t i = 0; i < one->quantiles.size(); ++i) {
      points.push_back({x.at(one->quantiles[i]), y.at(static_cast<double>(i) / steps)});
    }
    svg += open_series(one->look, one->look.label) + curve(points) + "</g>";
  }
  return svg + "</svg>";
}

std::string load_chart(const std::vector<LoadLine>& lines, double limit_s) {
  double least = 1.0, most = 0.0;
  for (const LoadLine& one : lines) {
    for (const LoadPoint& point : one.curve.points) {
      least = std::min(least, point.load);
      most = std::max(most, point.load);
    }
  }
  if (most <= least) return {};
  const Scale x = Scale::linear(least, most, 52, kLoadWidth - 16);
  const Scale y = Scale::logarithmic(least_tick(lines), kMostP95, kLoadHeight - 46, 12);
  std::string svg = open_svg(kLoadWidth, kLoadHeight, "loads", "95th percentile of waits over the offered load");
  svg += load_axes(x, y, lines, limit_s);
  for (const LoadLine* one : subject_last(lines)) svg += load_line(*one, x, y, limit_s);
  return svg + "</svg>";
}

std::string strip_chart(const Drawing& drawing) {
  const double height = kStripRow * drawing.gpus + 26.0;
  const Scale x = Scale::linear(drawing.window.from_s, drawing.window.to_s, kStripLeft, kStripWidth - 8);
  std::string svg = open_svg(kStripWidth, height, "strip", "What each gpu does over time");
  for (int gpu = 0; gpu < drawing.gpus; ++gpu) {
    const double top = 4.0 + kStripRow * gpu;
    svg += format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="lane"/>)", kStripLeft, top,
                  kStripWidth - 8 - kStripLeft, kStripRow - 4.0);
    svg += text_at(kStripLeft - 6, top + 12, "tick end", format("gpu {}", gpu));
  }
  for (const Operation& operation : drawing.operations) svg += strip_bar(operation, x);
  for (int minute = 0; minute <= 10; minute += 1) {
    const double at = drawing.window.from_s + (drawing.window.to_s - drawing.window.from_s) * minute / 10.0;
    svg += text_at(x.at(at), height - 6,
                   minute == 0    ? "tick"
                   : minute == 10 ? "tick end"
                                  : "tick middle",
                   seconds_text(at));
  }
  return svg + "</svg>";
}

}  // namespace pixelfleet::simulator
