#include "simulator/traces.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "base/check.h"
#include "base/format.h"
#include "base/rng.h"
#include "simulator/job_mix.h"
#include "simulator/machine.h"
#include "simulator/production_trace.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kHour = 3600.0;
constexpr int kUsers = 200;
constexpr double kUserSkew = 1.5;  // user = floor(200 u^1.5): the busiest of 200 sends 3 % of the jobs
constexpr double kStickiness = 0.6;

enum class Arrivals { poisson, bursts };

struct Recipe {
  std::string_view name;
  std::vector<std::string> gpus;
  double host_gigabytes = 64.0;
  double disk_gigabytes_per_second = 1.0;
  double fast_disk_gigabytes_per_second = 3.0;
  FamilyCounts families;
  double zipf = 1.0;
  double hours = 6.0;
  double rho = 0.6;
  Arrivals arrivals = Arrivals::poisson;
  double rotate_every_s = 0.0;  // 0: the ranking stays
  double drop_every_s = 0.0;    // 0: no drops
  double lora_part = 0.0;
};

constexpr int kRotateBy = 3;
// Of the mean rate, in bursts and between them. kBurstSeconds is the mean length of a burst; the pauses' follows.
constexpr double kBurstRate = 3.5;
constexpr double kPauseRate = 0.4;
constexpr double kBurstSeconds = 60.0;
constexpr double kPauseSeconds = kBurstSeconds * (kBurstRate - 1.0) / (1.0 - kPauseRate);
constexpr int kDropJobs = 40;
constexpr int kLoraSetsPerModel = 12;
constexpr double kLoraZipf = 1.0;

std::vector<std::string> several(std::size_t count, const char* type) { return std::vector<std::string>(count, type); }

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> kRecipes = {
      {.name = "T2", .gpus = several(4, "4090-24"), .families = {8, 4, 2, 0}},
      {.name = "T3", .gpus = several(4, "4090-24"), .families = {12, 5, 3, 0}, .zipf = 0.8, .rho = 0.85},
      {.name = "T4",
       .gpus = several(8, "A100-40"),
       .host_gigabytes = 192.0,
       .families = {21, 8, 5, 0},
       .hours = 2.0,
       .arrivals = Arrivals::bursts},
      {.name = "T5",
       .gpus = several(4, "A100-40"),
       .host_gigabytes = 128.0,
       .families = {16, 6, 4, 0},
       .zipf = 1.1,
       .rho = 0.75,
       .rotate_every_s = 1800.0},
      {.name = "T6",
       .gpus = {"H100-80", "A100-40", "4090-24", "4090-24", "V100-16"},
       .host_gigabytes = 128.0,
       .families = {12, 5, 3, 1},
       .zipf = 0.9,
       .hours = 5.0,
       .rho = 0.7},
      {.name = "T7",
       .gpus = several(4, "4090-24"),
       .families = {10, 4, 2, 0},
       .zipf = 0.9,
       .rho = 0.45,
       .drop_every_s = 720.0},
      {.name = "T9",
       .gpus = several(2, "4090-24"),
       .host_gigabytes = 32.0,
       .disk_gigabytes_per_second = 0.25,
       .fast_disk_gigabytes_per_second = 0.5,
       .families = {9, 5, 1, 0},
       .rho = 0.5},
      {.name = "T11", .gpus = several(4, "4090-24"), .families = {8, 4, 2, 0}, .lora_part = 0.7},
      {.name = "T12", .gpus = several(4, "4090-24"), .families = {8, 4, 2, 0}},
  };
  return kRecipes;
}

const Recipe& recipe(std::string_view name) {
  const auto found = std::ranges::find(recipes(), name, &Recipe::name);
  CHECK(found != recipes().end());
  return *found;
}

MachineSpec machine_of(const Recipe& recipe) {
  return {recipe.gpus, recipe.host_gigabytes * kGigabyte, recipe.disk_gigabytes_per_second * kGigabyte,
          recipe.fast_disk_gigabytes_per_second * kGigabyte};
}

double exponential(Rng& rng, double mean) { return -std::log1p(-rng.unit()) * mean; }

// Rank r is drawn with weight (r + 1)^-exponent.
class Zipf {
 public:
  Zipf(std::size_t count, double exponent) {
    for (std::size_t rank = 0; rank < count; ++rank) {
      weights_.push_back(std::pow(static_cast<double>(rank + 1), -exponent));
    }
    total_ = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  }
  std::size_t draw(Rng& rng) const {
    double rest = rng.unit() * total_;
    for (std::size_t rank = 0; rank + 1 < weights_.size(); ++rank) {
      if (rest < weights_[rank]) return rank;
      rest -= weights_[rank];
    }
    return weights_.size() - 1;
  }
  double part(std::size_t rank) const { return weights_[rank] / total_; }

 private:
  std::vector<double> weights_;
  double total_ = 0.0;
};

// Seconds that the gpus which fit the model would take together; infinity where none does.
double pooled_seconds(const Machine& machine, const TraceJob& job) {
  double rate = 0.0;
  for (int gpu = 0; gpu < machine.gpu_count(); ++gpu) {
    if (machine.fits(job.model, gpu)) rate += 1.0 / machine.run_seconds(job, gpu);
  }
  return 1.0 / rate;
}

// The mean over everything that may be asked of a model.
double mean_pooled_seconds(const Machine& machine, int model, const FamilyMix& mix) {
  double mean = 0.0;
  for (const auto& images : mix.images) {
    for (const auto& steps : mix.steps) {
      for (const auto& pixels : mix.pixels) {
        TraceJob job;
        job.model = model;
        job.images = images.value;
        job.steps = steps.value;
        job.pixels = pixels.value;
        mean += images.part * steps.part * pixels.part * pooled_seconds(machine, job);
      }
    }
  }
  return mean;
}

// What users ask for: who, which model, how much of it.
class Demand {
 public:
  Demand(const Recipe& recipe, const std::vector<TraceModel>& models, std::uint64_t seed)
      : recipe_(recipe),
        models_(models),
        popularity_(models.size(), recipe.zipf),
        lora_popularity_(kLoraSetsPerModel, kLoraZipf),
        rng_(seed) {}

  TraceJob next(double arrival_s) {
    const int user = static_cast<int>(kUsers * std::pow(rng_.unit(), kUserSkew));
    const auto last = last_.find(user);
    const bool keeps = last != last_.end() && rng_.chance(kStickiness);
    TraceJob job =
        keeps ? job_for(arrival_s, user, last->second.model) : job_for(arrival_s, user, draw_model(arrival_s));
    if (recipe_.lora_part > 0.0) job.lora_set = keeps ? last->second.lora_set : draw_lora_set(job.model);
    last_[user] = job;
    return job;
  }

  TraceJob job_for(double arrival_s, int user, int model) {
    const FamilyMix& mix = mix_of(models_[static_cast<std::size_t>(model)].family);
    TraceJob job;
    job.arrival_s = arrival_s;
    job.user = user;
    job.model = model;
    job.images = pick(rng_, mix.images);
    job.steps = pick(rng_, mix.steps);
    job.pixels = pick(rng_, mix.pixels);
    return job;
  }

  int draw_model(double arrival_s) { return model_of(popularity_.draw(rng_), arrival_s); }

  // A job's pooled seconds in the mean over models and mixes, by the ranking at that time.
  double mean_work_s(const Machine& machine, double at_s) const {
    double mean = 0.0;
    for (std::size_t rank = 0; rank < models_.size(); ++rank) {
      const int model = model_of(rank, at_s);
      const FamilyMix& mix = mix_of(models_[static_cast<std::size_t>(model)].family);
      mean += popularity_.part(rank) * mean_pooled_seconds(machine, model, mix);
    }
    return mean;
  }

 private:
  int model_of(std::size_t rank, double at_s) const {
    if (recipe_.rotate_every_s <= 0.0) return static_cast<int>(rank);
    const auto turns = static_cast<std::size_t>(at_s / recipe_.rotate_every_s);
    return static_cast<int>((rank + kRotateBy * turns) % models_.size());
  }

  // Sets are numbered over all models; 0: none.
  int draw_lora_set(int model) {
    if (!rng_.chance(recipe_.lora_part)) return 0;
    return 1 + model * kLoraSetsPerModel + static_cast<int>(lora_popularity_.draw(rng_));
  }

  const Recipe& recipe_;
  const std::vector<TraceModel>& models_;
  Zipf popularity_;
  Zipf lora_popularity_;
  Rng rng_;
  std::map<int, TraceJob> last_;  // by user
};

// The mean gap between arrivals: the load stays the same while the ranking changes.
class Gaps {
 public:
  Gaps(const Recipe& recipe, const Demand& demand, const Machine& machine, double rho, double duration_s)
      : period_s_(recipe.rotate_every_s > 0.0 ? recipe.rotate_every_s : duration_s) {
    for (double from_s = 0.0; from_s < duration_s; from_s += period_s_) {
      means_s_.push_back(demand.mean_work_s(machine, from_s) / rho);
    }
  }
  double at(double time_s) const {
    return means_s_[std::min(static_cast<std::size_t>(time_s / period_s_), means_s_.size() - 1)];
  }

 private:
  double period_s_;
  std::vector<double> means_s_;
};

// Arrivals between two times, `rate` times as many as the gaps say.
void add_poisson(Rng& rng, const Gaps& gaps, double rate, double from_s, double until_s,
                 std::vector<double>& arrivals) {
  for (double at = from_s + exponential(rng, gaps.at(from_s) / rate); at < until_s;
       at += exponential(rng, gaps.at(at) / rate)) {
    arrivals.push_back(at);
  }
}

std::vector<double> arrivals_of(Arrivals kind, Rng& rng, const Gaps& gaps, double duration_s) {
  std::vector<double> arrivals;
  if (kind == Arrivals::poisson) {
    add_poisson(rng, gaps, 1.0, 0.0, duration_s, arrivals);
    return arrivals;
  }
  double start_s = 0.0;
  for (bool bursting = false; start_s < duration_s; bursting = !bursting) {
    const double end_s = start_s + exponential(rng, bursting ? kBurstSeconds : kPauseSeconds);
    add_poisson(rng, gaps, bursting ? kBurstRate : kPauseRate, start_s, std::min(end_s, duration_s), arrivals);
    start_s = end_s;
  }
  return arrivals;
}

// Bulk users beside the interactive ones: each drop is of one user and of one model, any one as likely.
void add_drops(const Recipe& recipe, double duration_s, Rng& rng, Demand& demand, Trace& trace) {
  int user = kUsers;
  for (double at = exponential(rng, recipe.drop_every_s); at < duration_s;
       at += exponential(rng, recipe.drop_every_s)) {
    const auto model = static_cast<int>(rng.below(trace.models.size()));
    for (int i = 0; i < kDropJobs; ++i) trace.jobs.push_back(demand.job_for(at, user, model));
    ++user;
  }
  std::ranges::stable_sort(trace.jobs, {}, &TraceJob::arrival_s);
}

Result<Trace> open_trace(const Recipe& recipe, double rho, std::uint64_t seed, TraceLength length) {
  Trace trace;
  trace.name = recipe.name;
  trace.machine = machine_of(recipe);
  trace.models = models_of(recipe.families);
  const auto machine = Machine::make(trace.machine, trace.models, Regime::slow, Capabilities::ideal);
  if (!machine) return fail(machine.error());

  Rng streams(seed);
  Rng clock(streams.next());
  Demand demand(recipe, trace.models, streams.next());
  Rng drop_clock(streams.next());
  Demand drops(recipe, trace.models, streams.next());

  const double duration_s = recipe.hours * kHour * length.part;
  const Gaps gaps(recipe, demand, *machine, rho, duration_s);
  for (const double at : arrivals_of(recipe.arrivals, clock, gaps, duration_s)) trace.jobs.push_back(demand.next(at));
  if (recipe.drop_every_s > 0.0) add_drops(recipe, duration_s, drop_clock, drops, trace);
  return trace;
}

// Two models that never fit together, in turn; the third is only there to be listed.
Trace alternate(TraceLength length) {
  constexpr int kJobs = 240;
  constexpr double kGapSeconds = 18.0;
  Trace trace;
  trace.name = "T1";
  trace.machine.gpus = {"4090-24"};
  for (const std::string_view family : {"FLUX8", "SDXL", "SD35L"}) {
    trace.models.push_back({std::string(family), mix_of(family).gigabytes * kGigabyte});
  }
  const int jobs = std::max(2, static_cast<int>(kJobs * length.part));
  for (int i = 0; i < jobs; ++i) {
    TraceJob& job = trace.jobs.emplace_back();
    job.arrival_s = kGapSeconds * i;
    job.user = i % 2;
    job.model = i % 2 == 0 ? 2 : 0;
  }
  return trace;
}

Trace offline_drop(std::uint64_t seed, TraceLength length) {
  constexpr int kJobs = 400;
  const Recipe& mix = recipe("T3");
  Trace trace;
  trace.name = "T8";
  trace.machine = machine_of(mix);
  trace.models = models_of(mix.families);
  Demand demand(mix, trace.models, seed);
  const int jobs = std::max(1, static_cast<int>(kJobs * length.part));
  for (int i = 0; i < jobs; ++i) trace.jobs.push_back(demand.next(0.0));
  return trace;
}

// One chunk in a hundred runs out of memory, and a gpu is away for ten minutes.
Result<Trace> failing(std::uint64_t seed, TraceLength length) {
  auto trace = open_trace(recipe("T12"), recipe("T12").rho, seed, length);
  if (!trace) return trace;
  constexpr double kLostAfterSeconds = 2.0 * kHour;
  constexpr double kLostForSeconds = 600.0;
  trace->failures = {0.01, 1, kLostAfterSeconds * length.part, (kLostAfterSeconds + kLostForSeconds) * length.part};
  return trace;
}

std::optional<Error> wrong_length(TraceLength length) {
  if (length.part > 0.0 && length.part <= 1.0) return std::nullopt;
  return invalid_fields({{"length", format("{}", length.part), "the part of a trace", "above 0, up to 1"}});
}

}  // namespace

const std::vector<std::string>& trace_names() {
  static const std::vector<std::string> kNames = {"T1", "T2", "T3", "T4",  "T5",  "T6",
                                                  "T7", "T8", "T9", "T10", "T11", "T12"};
  return kNames;
}

Result<Trace> make_trace(std::string_view name, std::uint64_t seed, TraceLength length) {
  if (auto error = wrong_length(length)) return fail(std::move(*error));
  if (std::ranges::find(trace_names(), name) == trace_names().end()) {
    return fail(invalid_fields(
        {{"trace", std::string(name), format("no trace \"{}\"", name), format("{}", join(trace_names(), ", "))}}));
  }
  if (name == "T1") return alternate(length);
  if (name == "T8") return offline_drop(seed, length);
  if (name == "T10") return production_trace(length.part);
  if (name == "T12") return failing(seed, length);
  return open_trace(recipe(name), recipe(name).rho, seed, length);
}

Result<Trace> make_load_trace(double rho, std::uint64_t seed, TraceLength length) {
  if (auto error = wrong_length(length)) return fail(std::move(*error));
  constexpr double kLow = 0.01;
  constexpr double kHigh = 2.0;
  if (!(rho >= kLow && rho <= kHigh)) {
    return fail(
        invalid_fields({{"rho", format("{}", rho), format("\"{}\"", rho), format("from {} to {}", kLow, kHigh)}}));
  }
  auto trace = open_trace(recipe("T3"), rho, seed, length);
  if (trace) trace->name = format("T3 at {:.2f}", rho);
  return trace;
}

Result<std::vector<double>> pooled_run_seconds(const Trace& trace) {
  const auto machine = Machine::make(trace.machine, trace.models, Regime::slow, Capabilities::ideal);
  if (!machine) return fail(machine.error());
  std::vector<double> seconds;
  for (const TraceJob& job : trace.jobs) seconds.push_back(pooled_seconds(*machine, job));
  return seconds;
}

}  // namespace pixelfleet::simulator
