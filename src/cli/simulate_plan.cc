#include "cli/simulate_plan.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "base/format.h"
#include "base/utf8.h"
#include "domain/suggest.h"
#include "simulator/ablation.h"
#include "simulator/trace_files.h"
#include "simulator/traces.h"

namespace pixelfleet::cli {
namespace {

using simulator::Capabilities;
using simulator::Contender;
using simulator::Regime;

constexpr int kSeedsOfAll = 5;
constexpr std::int64_t kMaxSeedBase = 1'000'000'000;
constexpr std::size_t kShownBytes = 64;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

// Reads arguments and collects what is wrong with them.
class Reader {
 public:
  std::vector<FieldError> errors;

  void complain(const char* flag, std::string_view value, std::string message, std::string allowed) {
    errors.push_back({flag, std::string(utf8_prefix(value, kShownBytes)), std::move(message), std::move(allowed)});
  }

  // Known names, each once, in the order given; case does not matter.
  std::vector<std::string> names(const char* flag, const std::string& text, const std::vector<std::string>& known) {
    std::vector<std::string> found;
    for (const std::string& name : split(text)) {
      const auto is_it = [&](const std::string& one) { return to_lower_ascii(one) == to_lower_ascii(name); };
      const auto one = std::find_if(known.begin(), known.end(), is_it);
      if (one == known.end()) {
        const auto near = nearest_name(name, known);
        complain(flag, name, near ? format("no such name, did you mean {}?", *near) : "no such name",
                 format("{}", join(known, ", ")));
      } else if (std::find(found.begin(), found.end(), *one) == found.end()) {
        found.push_back(*one);
      }
    }
    return found;
  }

  std::int64_t integer(const char* flag, const std::optional<std::string>& text, std::int64_t otherwise,
                       std::int64_t low, std::int64_t high) {
    if (!text) return otherwise;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    const bool whole = error == std::errc{} && end == text->data() + text->size();
    if (whole && number >= low && number <= high) return number;
    complain(flag, *text, whole || error == std::errc::result_out_of_range ? "out of range" : "not a whole number",
             format("a whole number from {} to {}", low, high));
    return otherwise;
  }
};

template <class Value>
std::vector<std::string> names_of(const std::vector<Value>& values) {
  std::vector<std::string> names;
  for (const Value value : values) names.emplace_back(name(value));
  return names;
}

// The values whose names were given; all are known names.
template <class Value>
std::vector<Value> values_of(const std::vector<std::string>& names, const std::vector<Value>& values) {
  std::vector<Value> found;
  for (const std::string& one : names) {
    for (const Value value : values) {
      if (name(value) == one) found.push_back(value);
    }
  }
  return found;
}

// What a study and a sweep have in common.
struct Common {
  std::vector<Regime> regimes;
  Capabilities capabilities = Capabilities::ideal;
  std::vector<Contender> contenders;
  std::vector<std::uint64_t> seeds;
};

Common read_common(Reader& reader, const SimulateArguments& arguments) {
  static const std::vector<Regime> regimes = {Regime::slow, Regime::fast, Regime::remote, Regime::sdcpp};
  static const std::vector<Capabilities> capabilities = {Capabilities::ideal, Capabilities::sdcpp};
  Common common;
  common.regimes = values_of(reader.names("--regime", arguments.regimes.value_or("slow"), names_of(regimes)), regimes);
  const auto chosen = reader.names("--capabilities", arguments.capabilities.value_or("ideal"), names_of(capabilities));
  if (chosen.size() > 1) {
    reader.complain("--capabilities", *arguments.capabilities, "more than one name", "ideal or sdcpp");
  }
  for (const Capabilities one : values_of(chosen, capabilities)) common.capabilities = one;

  const auto& known = simulator::policy_names();
  const auto policies = arguments.policies ? reader.names("--policy", *arguments.policies, known) : known;
  for (const std::string& policy : policies) common.contenders.push_back({policy, policy, {}});

  const std::int64_t base = reader.integer("--seed-base", arguments.seed_base, kDefaultSeedBase, 0, kMaxSeedBase);
  const std::int64_t count = reader.integer("--seeds", arguments.seeds, arguments.all ? kSeedsOfAll : 1, 1, kMaxSeeds);
  for (std::int64_t i = 0; i < count; ++i) {
    common.seeds.push_back(static_cast<std::uint64_t>(base + i * kSeedStep));
  }
  return common;
}

// What contradicts what.
void check_combination(Reader& reader, const SimulateArguments& arguments) {
  if (arguments.all && arguments.traces) {
    reader.complain("--all", "", "given together with --trace", "one of the two");
  }
  if (arguments.trace_file && (arguments.all || arguments.traces)) {
    reader.complain("--trace-file", *arguments.trace_file, "given together with --trace or --all",
                    "a trace of your own, or ours");
  }
  if (arguments.trace_file && !arguments.models_file) {
    reader.complain("--models-file", "", "missing", "the models that --trace-file counts (model,family,gigabytes)");
  }
  if (arguments.trace_file && !arguments.machine_file && !arguments.gpus) {
    reader.complain("--machine-file", "", "missing", "the machine of --trace-file, or --gpus such as 4x4090");
  }
  if (!arguments.trace_file && (arguments.models_file || arguments.machine_file)) {
    reader.complain("--trace-file", "", "missing", "the jobs that go with --models-file and --machine-file");
  }
  if (arguments.from_history && (arguments.all || arguments.traces || arguments.trace_file)) {
    reader.complain("--from-history", "", "given together with --trace, --all or --trace-file",
                    "your own jobs, or other ones");
  }
  if (arguments.from_history && arguments.sustainable) {
    reader.complain("--from-history", "", "given together with --sustainable", "its jobs are those of T3");
  }
  if (arguments.ablation && arguments.policies) {
    reader.complain("--policy", *arguments.policies, "given together with --ablation", "ablation is of amp alone");
  }
  if (arguments.ablation && arguments.sustainable) {
    reader.complain("--sustainable", "", "given together with --ablation", "one of the two");
  }
  if (arguments.sustainable && arguments.gpus) {
    reader.complain("--gpus", *arguments.gpus, "given together with --sustainable",
                    "its loads are of the machine of T3 (4x4090)");
  }
  if (arguments.ablation && arguments.regimes) {
    reader.complain("--regime", *arguments.regimes, "given together with --ablation", "ablation shows slow and fast");
  }
}

bool wants_study(const SimulateArguments& arguments) {
  return arguments.all || arguments.traces || arguments.trace_file || arguments.from_history || !arguments.sustainable;
}

// Nothing said: T1, the smallest; for an ablation, all of the headline.
std::vector<std::string> read_traces(Reader& reader, const SimulateArguments& arguments) {
  const auto& known = simulator::trace_names();
  if (arguments.traces) return reader.names("--trace", *arguments.traces, known);
  if (arguments.all) return known;
  if (!arguments.ablation) return {"T1"};
  return {"T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10"};
}

// All errors are fields.
std::optional<std::vector<std::string>> read_gpus(Reader& reader, const std::string& spec) {
  auto machine = simulator::machine_of_spec(spec);
  if (machine) return std::move(machine->gpus);
  for (const FieldError& field : machine.error().fields) {
    reader.complain("--gpus", field.value, field.message, field.allowed);
  }
  if (machine.error().fields.empty()) reader.complain("--gpus", spec, machine.error().message, "");
  return std::nullopt;
}

Result<simulator::Trace> read_own_trace(const SimulateArguments& arguments) {
  if (arguments.machine_file) {
    return simulator::read_trace_files({*arguments.trace_file, *arguments.models_file, *arguments.machine_file});
  }
  simulator::Trace trace;
  trace.name = std::filesystem::path(*arguments.trace_file).stem().string();
  const auto models_text = simulator::read_trace_text(*arguments.models_file);
  if (!models_text) return fail(models_text.error());
  auto models = simulator::parse_models(*models_text, *arguments.models_file);
  if (!models) return fail(models.error());
  const auto jobs_text = simulator::read_trace_text(*arguments.trace_file);
  if (!jobs_text) return fail(jobs_text.error());
  auto jobs = simulator::parse_jobs(*jobs_text, *arguments.trace_file, static_cast<int>(models->size()));
  if (!jobs) return fail(jobs.error());
  trace.models = std::move(*models);
  trace.jobs = std::move(*jobs);
  return trace;
}

simulator::StudyPlan study_plan(const Common& common, const SimulateArguments& arguments,
                                std::vector<std::string> traces) {
  simulator::StudyPlan plan;
  plan.traces = std::move(traces);
  plan.regimes = common.regimes;
  plan.capabilities = common.capabilities;
  plan.contenders = common.contenders;
  plan.seeds = common.seeds;
  if (arguments.report_folder) plan.detail = simulator::Detail::drawings;
  if (arguments.ablation) {
    plan.contenders = simulator::ablation_contenders();
    plan.regimes = {Regime::slow, Regime::fast};
  }
  return plan;
}

simulator::SweepPlan sweep_plan(const Common& common) {
  simulator::SweepPlan plan;
  plan.regimes = common.regimes;
  plan.capabilities = common.capabilities;
  plan.contenders = common.contenders;
  plan.seeds = common.seeds;
  plan.loads = simulator::default_loads();
  return plan;
}

}  // namespace

Result<SimulatePlan> plan_simulation(const SimulateArguments& arguments, std::optional<simulator::Trace> history) {
  Reader reader;
  const Common common = read_common(reader, arguments);
  std::vector<std::string> traces = read_traces(reader, arguments);
  check_combination(reader, arguments);
  SimulatePlan plan;
  plan.ablation = arguments.ablation;
  if (arguments.gpus) plan.gpus_instead = read_gpus(reader, *arguments.gpus);
  if (!reader.errors.empty()) return fail(invalid_fields(std::move(reader.errors)));

  if (arguments.trace_file) {
    auto own = read_own_trace(arguments);
    if (!own) return fail(own.error());
    traces = {own->name};
    plan.own_trace = std::move(*own);
  } else if (history) {
    traces = {history->name};
    plan.own_trace = std::move(history);
  }
  if (wants_study(arguments)) plan.study = study_plan(common, arguments, std::move(traces));
  if (arguments.sustainable) plan.sweep = sweep_plan(common);
  return plan;
}

}  // namespace pixelfleet::cli
