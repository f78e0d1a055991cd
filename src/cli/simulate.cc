#include "cli/simulate.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/format.h"
#include "base/json_full.h"
#include "cli/hooks.h"
#include "cli/simulate_plan.h"
#include "simulator/ablation.h"
#include "simulator/history.h"
#include "simulator/report.h"
#include "simulator/results.h"
#include "simulator/summary.h"
#include "simulator/table.h"
#include "simulator/trace_files.h"
#include "simulator/traces.h"

namespace pixelfleet::cli {
namespace {

constexpr const char* kSubject = "amp";  // what tables and report are about
constexpr const char* kStandardOutput = "-";
constexpr const char* kReportPage = "index.html";

// Told before the work begins, so that minutes of it are not lost to a misspelt folder.
Result<> check_writable(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) return fail(system_error("cannot write " + file.string(), EISDIR));
  const bool exists = std::filesystem::exists(file, ignored);
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (access((exists ? file : folder).c_str(), exists ? W_OK : W_OK | X_OK) == 0) return {};
  return fail(system_error("cannot write " + file.string(), errno));
}

Result<> write_file(const std::filesystem::path& path, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) return fail(system_error("cannot write " + path.string(), errno));
  return {};
}

// Of what the arguments ask for.
struct Outputs {
  std::optional<std::filesystem::path> json;
  std::optional<std::filesystem::path> report;
};

Result<Outputs> prepare_outputs(const SimulateArguments& arguments) {
  Outputs outputs;
  if (arguments.json_file && *arguments.json_file != kStandardOutput) outputs.json = *arguments.json_file;
  if (arguments.report_folder) {
    std::error_code error;
    std::filesystem::create_directories(*arguments.report_folder, error);
    if (error) return fail(system_error("cannot make the folder " + *arguments.report_folder, error.value()));
    outputs.report = std::filesystem::path(*arguments.report_folder) / kReportPage;
  }
  for (const auto& file : {outputs.json, outputs.report}) {
    if (!file) continue;
    if (const auto writable = check_writable(*file); !writable) return fail(writable.error());
  }
  return outputs;
}

// One line that is written over, for people only.
std::function<void(const simulator::Progress&)> progress_line(const char* what) {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [what](const simulator::Progress& progress) {
    if (progress.done == progress.total) {
      std::fputs("\r\x1b[K", stderr);
    } else {
      std::fprintf(stderr, "\r\x1b[K%s: %zu of %zu", what, progress.done, progress.total);
    }
    std::fflush(stderr);
  };
}

simulator::Instruments instruments_of(const SimulatePlan& plan) {
  simulator::Instruments instruments;
  instruments.run = simulator::run;
  instruments.bounds = simulator::bounds_of;
  instruments.make_trace = [&plan](const std::string& name, std::uint64_t seed) -> Result<simulator::Trace> {
    auto trace = plan.own_trace ? Result<simulator::Trace>(*plan.own_trace) : simulator::make_trace(name, seed);
    if (trace && plan.gpus_instead) trace->machine.gpus = *plan.gpus_instead;
    return trace;
  };
  return instruments;
}

struct Answers {
  std::optional<simulator::Study> study;
  std::vector<simulator::LoadCurve> curves;

  // The first failure if nothing at all came out.
  std::optional<Error> fruitless() const {
    std::optional<Error> first;
    const auto look = [&](const std::optional<Error>& error) {
      if (error && !first) first = error;
      return !error;
    };
    bool any = false;
    if (study) {
      for (const simulator::Row& row : study->rows) any = look(row.error) || any;
      if (study->rows.empty() && !study->skipped.empty()) first = Error{ErrorCode::not_found, study->skipped[0].why};
    }
    for (const simulator::LoadCurve& curve : curves) any = look(curve.error) || any;
    return any ? std::nullopt : first;
  }

  bool some_failed() const {
    const auto failed = [](const auto& one) { return one.error.has_value(); };
    return (study && std::any_of(study->rows.begin(), study->rows.end(), failed)) ||
           std::any_of(curves.begin(), curves.end(), failed);
  }
};

Result<Answers> work_out(SimulatePlan& plan) {
  const simulator::Instruments instruments = instruments_of(plan);
  Answers answers;
  if (plan.study) {
    plan.study->on_progress = progress_line("runs");
    auto study = simulator::run_study(*plan.study, instruments);
    if (!study) return fail(study.error());
    answers.study = std::move(*study);
  }
  if (plan.sweep) {
    plan.sweep->on_progress = progress_line("load curves");
    const auto make_load_trace = [](double load, std::uint64_t seed) { return simulator::make_load_trace(load, seed); };
    answers.curves = simulator::sweep(*plan.sweep, make_load_trace, instruments);
  }
  if (auto failure = answers.fruitless()) return fail(std::move(*failure));
  return answers;
}

std::string tables(const SimulatePlan& plan, const Answers& answers) {
  std::string text;
  if (answers.study) {
    const simulator::Summary summary(*answers.study);
    text += plan.ablation ? simulator::ablation_text(*answers.study, summary)
                          : simulator::study_text(*answers.study, summary, kSubject);
  }
  if (plan.sweep) text += simulator::sweep_text(answers.curves, plan.sweep->limit_s);
  return text;
}

Json json_of(const SimulatePlan& plan, const Answers& answers) {
  Json json = answers.study ? simulator::results_json(*answers.study) : Json{{"results", Json::array()}};
  if (plan.sweep) json["sustainable"] = simulator::curves_json(answers.curves, plan.sweep->limit_s);
  return json;
}

std::string report_of(const SimulatePlan& plan, const Answers& answers) {
  simulator::ReportContents contents;
  contents.curves = answers.curves;
  contents.subject = kSubject;
  if (plan.sweep) contents.limit_s = plan.sweep->limit_s;
  if (answers.study) contents.study = &*answers.study;
  if (plan.ablation) contents.ablation_text = tables(plan, answers);
  return simulator::report_page(contents);
}

Result<> deliver(const SimulateArguments& arguments, const SimulatePlan& plan, const Answers& answers,
                 const Outputs& outputs) {
  if (arguments.json_file == kStandardOutput) {
    std::printf("%s\n", json_of(plan, answers).dump(2).c_str());
    if (answers.study) {
      for (const auto& skipped : answers.study->skipped) std::fprintf(stderr, "pixelfleet: %s\n", skipped.why.c_str());
    }
  } else {
    std::fputs(tables(plan, answers).c_str(), stdout);
  }
  if (outputs.json) {
    if (auto written = write_file(*outputs.json, json_of(plan, answers).dump(2) + "\n"); !written) return written;
  }
  if (outputs.report) return write_file(*outputs.report, report_of(plan, answers));
  return {};
}

constexpr std::size_t kMostHistoryJobs = 100'000;  // newest

Result<simulator::Trace> read_history(const SimulateArguments& arguments, const Config& config, const Hooks& hooks) {
  auto jobs = hooks.history(config, kMostHistoryJobs);
  if (!jobs) return fail(jobs.error());
  const auto catalog = hooks.catalog(config);
  if (!catalog) return fail(catalog.error());
  auto history = simulator::history_of(std::move(*jobs), **catalog);
  if (!history) {
    Error error = history.error();
    error.message += format(" ({}); another one is named by --data", config.data_directory.string());
    return fail(std::move(error));
  }
  for (const std::string& note : history->notes) std::fprintf(stderr, "pixelfleet: %s\n", note.c_str());
  if (arguments.gpus) return std::move(history->trace);
  const auto look = hooks.look_at_gpus(config);
  if (!look) return fail(look.error());
  const auto found = (*look)();
  if (!found) return fail(found.error());
  std::vector<Gpu> gpus;
  for (const GpuStatus& status : *found) gpus.push_back(status.gpu);
  auto types = simulator::gpu_types_of(gpus);
  if (!types) {
    Error error = types.error();
    error.message += "; --gpus names others, such as --gpus H100+2x4090";
    return fail(std::move(error));
  }
  history->trace.machine.gpus = std::move(*types);
  return std::move(history->trace);
}

int carry_out(const SimulateArguments& arguments, Result<SimulatePlan> plan) {
  if (!plan) return report(plan.error());
  const auto outputs = prepare_outputs(arguments);
  if (!outputs) return report(outputs.error());
  const auto answers = work_out(*plan);
  if (!answers) return report(answers.error());
  if (const auto delivered = deliver(arguments, *plan, *answers, *outputs); !delivered) {
    return report(delivered.error());
  }
  return answers->some_failed() ? kExitJobsFailed : kExitOk;
}

}  // namespace

int simulate(const SimulateArguments& arguments) { return carry_out(arguments, plan_simulation(arguments)); }

int simulate_history(const SimulateArguments& arguments, const Config& config, const Hooks& hooks) {
  // What is wrong with the arguments is told before the history is read.
  if (const auto plan = plan_simulation(arguments); !plan) return report(plan.error());
  auto history = read_history(arguments, config, hooks);
  if (!history) return report(history.error());
  return carry_out(arguments, plan_simulation(arguments, std::move(*history)));
}

}  // namespace pixelfleet::cli
