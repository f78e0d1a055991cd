#include "simulator/ablation.h"

#include <functional>

#include "base/format.h"
#include "simulator/figures.h"
#include "simulator/table.h"

namespace pixelfleet::simulator {
namespace {

using scheduler::Part;
using scheduler::Tuning;

constexpr const char* kAmp = "amp";
constexpr double kNever = 1e9;

struct Change {
  const char* label;
  void (*apply)(Tuning&);
};

constexpr Change kChanges[] = {
    {"without load-behind", [](Tuning& t) { t.load_behind = t.replicate_behind = Part::off; }},
    {"without replication behind", [](Tuning& t) { t.replicate_behind = Part::off; }},
    {"without staging", [](Tuning& t) { t.staging = Part::off; }},
    {"without roll-out", [](Tuning& t) { t.rollout = Part::off; }},
    {"without splitting", [](Tuning& t) { t.splitting = Part::off; }},
    {"without a quantum", [](Tuning& t) { t.quantum = 0.0; }},
    {"without hysteresis", [](Tuning& t) { t.hysteresis = 1.0; }},
    {"without eviction prices", [](Tuning& t) { t.eviction = 0.0; }},
    {"without user ranks", [](Tuning& t) { t.user_exponent = 0.0; }},
    {"without aging", [](Tuning& t) { t.aging_seconds = kNever; }},
    {"without a guard", [](Tuning& t) { t.guard_seconds = kNever; }},
    {"guard of 2 backlogs", [](Tuning& t) { t.guard_backlog = 2.0; }},
    {"guard of 3 backlogs", [](Tuning& t) { t.guard_backlog = 3.0; }},
    {"guard blind to backlog", [](Tuning& t) { t.guard_backlog = 0.0; }},
};

using Look = std::function<std::optional<double>(const std::string& contender)>;

std::string cell(const Look& look, const std::string& contender) {
  const auto value = look(contender);
  if (!value) return "-";
  const auto whole = look(kAmp);
  if (contender == kAmp || !whole || *whole == 0.0) return short_number(*value);
  return format("{} ({:+.1f} %)", short_number(*value), 100.0 * (*value / *whole - 1.0));
}

}  // namespace

std::vector<Contender> ablation_contenders() {
  std::vector<Contender> contenders = {{kAmp, kAmp, {}}};
  for (const Change& change : kChanges) {
    Contender& one = contenders.emplace_back(Contender{change.label, kAmp, {}});
    change.apply(one.production.tuning);
  }
  return contenders;
}

std::string ablation_text(const Study& study, const Summary& summary) {
  const auto geometric = [&](Regime regime, Figure figure) -> Look {
    return [&summary, regime, figure](const std::string& contender) -> std::optional<double> {
      const auto estimate = summary.geometric_mean(regime, contender, figure);
      return estimate ? std::optional(estimate->value) : std::nullopt;
    };
  };
  const auto on_trace = [&](const char* trace, Figure figure) -> Look {
    return [&summary, trace, figure](const std::string& contender) {
      return summary.mean(Regime::slow, trace, contender, figure);
    };
  };
  const std::vector<std::pair<std::string, Look>> columns = {
      {"mean s", geometric(Regime::slow, mean_wait)},    {"p99 s", geometric(Regime::slow, p99_wait)},
      {"max s", geometric(Regime::slow, max_wait)},      {"loads", geometric(Regime::slow, loads)},
      {"fg", geometric(Regime::slow, foreground_loads)}, {"T9 mean s", on_trace("T9", mean_wait)},
      {"T10 mean s", on_trace("T10", mean_wait)},        {"T2 large job s", on_trace("T2", large_job)},
      {"T7 light users s", on_trace("T7", light_wait)},  {"fast mean s", geometric(Regime::fast, mean_wait)}};
  std::vector<std::string> header = {"amp"};
  for (const auto& [title, look] : columns) header.push_back(title);
  TextTable table(header);
  for (const Contender& contender : study.plan.contenders) {
    std::vector<std::string> row = {contender.label == kAmp ? "as it is" : contender.label};
    for (const auto& [title, look] : columns) row.push_back(cell(look, contender.label));
    table.add(std::move(row));
  }
  return format(
      "ablation: geometric means of {}; slow loads, the last column fast ones; change against amp as it is\n"
      "large job: start to end of the tenth that is longest by itself; light users: who send least, half of the jobs\n"
      "{}{}",
      join(summary.headline_traces(), ", "), table.text(), failures_text(study));
}

}  // namespace pixelfleet::simulator
