#include "simulator/report.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "simulator/figures.h"
#include "simulator/report_charts.h"
#include "simulator/report_style.h"
#include "simulator/table.h"

namespace pixelfleet::simulator {
namespace {

constexpr std::size_t kColours = 12;
constexpr std::size_t kStrips = 3;

struct TraceText {
  const char* name;
  const char* text;
};

constexpr std::array kTraceTexts = {
    TraceText{"T1", "alternate: two models that never fit together, in turn"},
    TraceText{"T2", "steady: Poisson at load 0.6"},
    TraceText{"T3", "heavy: Poisson at load 0.85"},
    TraceText{"T4", "bursty: on and off, 3.5 times the mean for about a minute"},
    TraceText{"T5", "drift: the favourite models change every half hour"},
    TraceText{"T6", "mixed gpus"},
    TraceText{"T7", "interactive, with drops of 40 jobs"},
    TraceText{"T8", "offline: 400 jobs at once"},
    TraceText{"T9", "slow storage"},
    TraceText{"T10", "production: four days, twelve times as fast"},
    TraceText{"T11", "many LoRAs"},
    TraceText{"T12", "failures: out of memory, a gpu that is lost"},
};

std::string_view trace_text(const std::string& trace) {
  for (const TraceText& known : kTraceTexts) {
    if (known.name == trace) return known.text;
  }
  return "";
}

// The page while it is written.
class Page {
 public:
  explicit Page(const ReportContents& contents) : contents_(contents) {}

  std::string write();

 private:
  Look look_of(const std::string& label) const;
  std::vector<std::string> labels() const;

  std::string head() const;
  std::string title() const;
  std::string navigation() const;
  std::string key_figures(Regime regime) const;
  std::string key(std::string_view what, std::string_view unit, Form form,
                  const std::optional<Estimate>& estimate) const;
  std::string verdict(Regime regime) const;
  std::string overview(Regime regime) const;
  std::string means_table(Regime regime) const;
  std::string curves(Regime regime) const;
  std::string trace_section(Regime regime, const std::string& trace) const;
  std::string trace_table(Regime regime, const std::string& trace) const;
  std::string waits_of(Regime regime, const std::string& trace) const;
  std::string strips_of(Regime regime, const std::string& trace) const;
  std::string notes() const;
  const Row* first_row(Regime regime, const std::string& trace, const std::string& label) const;

  // Rows of cells, the best value of each column marked.
  template <class Value>
  std::string table(const std::vector<const FigureColumn*>& columns, const Value& value) const;

  const ReportContents& contents_;
  std::optional<Summary> summary_;
};

// The same colour for a policy in every report.
Look Page::look_of(const std::string& label) const {
  Look look;
  look.label = label;
  const auto& known = policy_names();
  const auto found = std::find(known.begin(), known.end(), label);
  const std::vector<std::string> all = labels();
  const auto index =
      found != known.end() ? found - known.begin() : std::find(all.begin(), all.end(), label) - all.begin();
  look.colour = static_cast<int>(static_cast<std::size_t>(index) % kColours);
  if (label == contents_.subject) look.stress = Look::Stress::subject;
  return look;
}

std::vector<std::string> Page::labels() const {
  std::vector<std::string> all;
  const auto add = [&](const std::string& label) {
    if (std::find(all.begin(), all.end(), label) == all.end()) all.push_back(label);
  };
  if (contents_.study != nullptr) {
    for (const Contender& contender : contents_.study->plan.contenders) add(contender.label);
  }
  for (const LoadCurve& curve : contents_.curves) add(curve.contender);
  return all;
}

template <class Value>
std::string Page::table(const std::vector<const FigureColumn*>& columns, const Value& value) const {
  std::string html = R"(<div class="scroll"><table><thead><tr><th>policy</th>)";
  for (const FigureColumn* column : columns) {
    html += format(R"(<th title="{}">{}</th>)", escaped(column->meaning), escaped(column->title));
  }
  html += "</tr></thead><tbody>";
  const auto best_of = [&](const FigureColumn& column) {
    std::optional<double> best;
    for (const Contender& contender : contents_.study->plan.contenders) {
      const std::optional<double> one = value(contender.label, column);
      if (one && (!best || (column.better == Better::lower ? *one < *best : *one > *best))) best = one;
    }
    return best;
  };
  std::vector<std::optional<double>> best;
  for (const FigureColumn* column : columns) best.push_back(best_of(*column));
  for (const Contender& contender : contents_.study->plan.contenders) {
    const Look look = look_of(contender.label);
    html += format(R"(<tr class="c{}{}" data-who="{}"><td>{}</td>)", look.colour,
                   look.stress == Look::Stress::subject ? " subject" : "", escaped(look.label), escaped(look.label));
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::optional<double> one = value(contender.label, *columns[i]);
      const bool is_best = one && columns[i]->better != Better::neither &&
                           in_form(*one, columns[i]->form) == in_form(*best[i], columns[i]->form);
      html += one ? format(R"(<td{}>{}</td>)", is_best ? R"( class="best")" : "", in_form(*one, columns[i]->form))
                  : std::string(R"(<td class="failed">-</td>)");
    }
    html += "</tr>";
  }
  return html + "</tbody></table></div>";
}

std::string Page::head() const {
  return format(
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><title>PixelFleet: scheduling study</title>)"
      R"(<meta name="viewport" content="width=device-width, initial-scale=1"><style>{}</style></head><body>)"
      R"(<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs><pattern id="hatch" width="5" )"
      R"h(height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="5"/>)h"
      R"(</pattern></defs></svg>)",
      kReportStyle);
}

std::string Page::title() const {
  std::string about;
  if (contents_.study != nullptr) {
    const StudyPlan& plan = contents_.study->plan;
    about = format("{} workloads, {} policies, {} in virtual time; {} engine capabilities, seed{} {}.",
                   plan.traces.size(), plan.contenders.size(), format("{} runs", contents_.study->rows.size()),
                   name(plan.capabilities), plan.seeds.size() == 1 ? "" : "s", join(plan.seeds, ", "));
  } else {
    about = format("{} curves of waits over load, in virtual time.", contents_.curves.size());
  }
  return format(R"(<header><div><h1>Who waits, and for how long</h1><p class="lead">{} Every policy meets the same )"
                "jobs and the same noise. Waits are from a job's arrival to its start, of all jobs.</p></div></header>",
                escaped(about));
}

std::string Page::navigation() const {
  std::string html = "<nav><div>";
  if (contents_.study != nullptr) {
    for (const Regime regime : contents_.study->plan.regimes) {
      html += format(R"(<a href="#{0}"><b>{0} loads</b></a>)", name(regime));
      for (const std::string& trace : contents_.study->plan.traces) {
        html += format(R"(<a href="#{}-{}">{}</a>)", name(regime), escaped(trace), escaped(trace));
      }
    }
  }
  html += R"(<div class="legend">)";
  for (const std::string& label : labels()) {
    html += format(R"(<button type="button" aria-pressed="true" class="c{}" data-who="{}">{}</button>)",
                   look_of(label).colour, escaped(label), escaped(label));
  }
  return html + "</div></div></nav>";
}

std::string Page::key(std::string_view what, std::string_view unit, Form form,
                      const std::optional<Estimate>& estimate) const {
  if (!estimate) return {};
  const std::string low = in_form(estimate->low, form);
  const std::string high = in_form(estimate->high, form);
  return format("<div><b>{} {}</b><span>{}</span><em>{}</em></div>", in_form(estimate->value, form), unit,
                escaped(what), low == high ? "" : format("95 % interval {} to {}", low, high));
}

std::string Page::key_figures(Regime regime) const {
  const std::string& us = contents_.subject;
  const auto mean = [&](const char* what, const char* unit, Form form, Figure figure) {
    return key(what, unit, form, summary_->geometric_mean(regime, us, figure));
  };
  const auto against = [&](const char* rival, const char* what, Figure figure) {
    return us == rival ? std::string() : key(what, "×", Form::number, summary_->ratio(regime, us, rival, figure));
  };
  return R"(<div class="keys">)" + mean("mean wait of a job", "s", Form::number, mean_wait) +
         against("swarmui", "swarmui's mean wait", mean_wait) + against("swarmui", "swarmui's p99 wait", p99_wait) +
         against("v18", "v18's foreground loads", foreground_loads) +
         mean("time in the system over its lower bound", "", Form::thousandths, flow_over_bound) +
         mean("makespan over its lower bound", "", Form::thousandths, makespan_over_bound) + "</div>";
}

std::string Page::verdict(Regime regime) const {
  if (!has_rivals(*contents_.study, contents_.subject)) return {};
  const auto found = shortfalls(*contents_.study, *summary_, regime, contents_.subject);
  const std::string limits =
      format("mean wait {:.2f}x, p99 {:.2f}x of the best rival's", kMeanWaitLimit, kP99WaitLimit);
  if (found.empty()) {
    return format(R"(<div class="card verdict"><b>No workload</b> on which {} is worse than acceptable ({}), and none )"
                  "on which a rival is better in both.</div>",
                  escaped(contents_.subject), limits);
  }
  std::string html = format(R"(<div class="card verdict short"><b>Where {} falls short</b> (acceptable: {})<ul>)",
                            escaped(contents_.subject), limits);
  for (const Shortfall& one : found) html += format("<li>{}</li>", escaped(shortfall_text(one)));
  return html + "</ul></div>";
}

std::string Page::means_table(Regime regime) const {
  std::vector<const FigureColumn*> columns;
  for (const FigureColumn& column : figure_columns()) {
    if (column.form != Form::percent) columns.push_back(&column);
  }
  return table(columns, [&](const std::string& label, const FigureColumn& column) -> std::optional<double> {
    const auto estimate = summary_->geometric_mean(regime, label, column.figure);
    return estimate ? std::optional(estimate->value) : std::nullopt;
  });
}

std::string Page::overview(Regime regime) const {
  std::string html =
      format(R"(<h2 id="{0}">All workloads, {0} loads</h2><p class="note">Geometric means of {1}. Filled: )"
             "the mean wait with its 95 % interval over seeds. Ring: the 99th percentile.</p>",
             name(regime), escaped(format("{}", join(summary_->headline_traces(), ", "))));
  if (contents_.ablation_text.empty()) html += key_figures(regime) + verdict(regime);
  std::vector<WaitEstimate> estimates;
  for (const Contender& contender : contents_.study->plan.contenders) {
    const auto mean = summary_->geometric_mean(regime, contender.label, mean_wait);
    const auto p99 = summary_->geometric_mean(regime, contender.label, p99_wait);
    if (mean && p99) estimates.push_back({look_of(contender.label), *mean, *p99});
  }
  return html + R"(<div class="card"><div class="scroll">)" + ranking_chart(std::move(estimates)) +
         R"(</div></div><div class="card">)" + means_table(regime) + "</div>";
}

std::string Page::curves(Regime regime) const {
  std::vector<LoadLine> lines;
  std::string rows;
  for (const LoadCurve& curve : contents_.curves) {
    if (curve.regime != regime || curve.error) continue;
    const Look look = look_of(curve.contender);
    lines.push_back({look, curve});
    const char* sign = curve.sustained.place == Sustained::Place::below_all   ? "below "
                       : curve.sustained.place == Sustained::Place::above_all ? "above "
                                                                              : "";
    rows += format(R"(<tr class="c{}{}" data-who="{}"><td>{}</td><td>{}{:.2f}</td></tr>)", look.colour,
                   look.stress == Look::Stress::subject ? " subject" : "", escaped(look.label), escaped(look.label),
                   sign, curve.sustained.load);
  }
  if (lines.empty()) return {};
  return format(
      R"(<h2>How much a policy carries, {} loads</h2><p class="note">T3's mix of jobs, ever denser. A policy sustains )"
      "the load at which its 95th percentile of waits crosses {:.0f} s.</p>"
      R"(<div class="card pair"><div class="scroll">{}</div><table><thead><tr>)"
      "<th>policy</th><th>sustains</th></tr></thead><tbody>{}</tbody></table></div>",
      name(regime), contents_.limit_s, load_chart(lines, contents_.limit_s), rows);
}

const Row* Page::first_row(Regime regime, const std::string& trace, const std::string& label) const {
  for (const Row& row : contents_.study->rows) {
    if (row.regime == regime && row.trace == trace && row.contender == label && !row.error) return &row;
  }
  return nullptr;
}

std::string Page::trace_table(Regime regime, const std::string& trace) const {
  std::vector<const FigureColumn*> columns;
  for (const FigureColumn& column : figure_columns()) columns.push_back(&column);
  return table(columns, [&](const std::string& label, const FigureColumn& column) {
    return summary_->mean(regime, trace, label, column.figure);
  });
}

// Quantiles are averaged over the seeds.
std::string Page::waits_of(Regime regime, const std::string& trace) const {
  std::vector<WaitCurve> drawn;
  for (const Contender& contender : contents_.study->plan.contenders) {
    WaitCurve one{look_of(contender.label), {}};
    double rows = 0.0;
    for (const Row& row : contents_.study->rows) {
      if (row.regime != regime || row.trace != trace || row.contender != contender.label || row.error) continue;
      one.quantiles.resize(row.drawing.wait_quantiles.size(), 0.0);
      for (std::size_t i = 0; i < one.quantiles.size(); ++i) one.quantiles[i] += row.drawing.wait_quantiles[i];
      rows += 1.0;
    }
    for (double& quantile : one.quantiles) quantile /= rows;
    if (one.quantiles.size() > 1) drawn.push_back(std::move(one));
  }
  return wait_chart(drawn);
}

std::string Page::strips_of(Regime regime, const std::string& trace) const {
  std::vector<std::string> chosen;
  const std::vector<std::string> all = labels();
  for (const std::string& label : {contents_.subject, std::string("swarmui"), std::string("v18")}) {
    if (std::find(all.begin(), all.end(), label) != all.end()) chosen.push_back(label);
  }
  for (const std::string& label : all) {
    if (chosen.size() < kStrips && std::find(chosen.begin(), chosen.end(), label) == chosen.end())
      chosen.push_back(label);
  }
  std::string html;
  for (const std::string& label : chosen) {
    const Row* row = first_row(regime, trace, label);
    if (row == nullptr || row->seed != contents_.study->plan.seeds.front()) continue;
    html += format(R"(<h4 class="c{}"><i></i>{}</h4><div class="scroll">{}</div>)", look_of(label).colour,
                   escaped(label), strip_chart(row->drawing));
  }
  if (html.empty()) return {};
  return format(R"(<details class="strips" open><summary>The ten minutes with most arrivals, gpu by gpu, seed {}: a )"
                "colour is a model; hatched it is being loaded; a thin bar below is a load behind the run</summary>{}"
                "</details>",
                contents_.study->plan.seeds.front(), html);
}

std::string Page::trace_section(Regime regime, const std::string& trace) const {
  int jobs = 0, gpus = 0;
  for (const Row& row : contents_.study->rows) {
    if (row.trace != trace || row.error) continue;
    jobs = row.metrics.jobs;
    gpus = row.drawing.gpus;
  }
  return format(R"(<section class="card" id="{0}-{1}"><h3>{1}<small>{2}{3}{4} jobs, {5} gpu{6}, {0} loads</small></h3>)"
                R"(<div class="scroll">{7}</div>{8}{9}</section>)",
                name(regime), escaped(trace), trace_text(trace), trace_text(trace).empty() ? "" : " · ", jobs, gpus,
                gpus == 1 ? "" : "s", waits_of(regime, trace), trace_table(regime, trace), strips_of(regime, trace));
}

std::string Page::notes() const {
  std::string html = R"(<h2>What the columns mean</h2><div class="card"><dl>)";
  for (const FigureColumn& column : figure_columns()) {
    html += format("<dt>{}</dt><dd>{}</dd>", escaped(column.title), escaped(column.meaning));
  }
  html += "</dl></div>";
  if (contents_.study == nullptr) return html;
  for (const SkippedTrace& skipped : contents_.study->skipped) {
    html += format(R"(<p class="note">{}</p>)", escaped(skipped.why));
  }
  const std::string failures = failures_text(*contents_.study);
  if (!failures.empty()) html += format("<pre>{}</pre>", escaped(failures));
  return html;
}

std::string Page::write() {
  std::string html = head() + title() + navigation() + "<main>";
  if (contents_.study != nullptr) {
    summary_.emplace(*contents_.study);
    if (!contents_.ablation_text.empty()) {
      html += format(R"(<h2>One part left out at a time</h2><div class="card"><pre>{}</pre></div>)",
                     escaped(contents_.ablation_text));
    }
    for (const Regime regime : contents_.study->plan.regimes) {
      html += overview(regime) + curves(regime);
      for (const std::string& trace : contents_.study->plan.traces) html += trace_section(regime, trace);
    }
    html += notes();
  } else {
    for (const Regime regime : {Regime::slow, Regime::fast, Regime::remote, Regime::sdcpp}) html += curves(regime);
  }
  return html + format("</main><footer>Made by pixelfleet simulate.</footer><script>{}</script></body></html>\n",
                       kReportScript);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += c;
    }
  }
  return safe;
}

std::string report_page(const ReportContents& contents) { return Page(contents).write(); }

}  // namespace pixelfleet::simulator
