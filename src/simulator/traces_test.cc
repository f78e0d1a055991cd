#include "simulator/traces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "simulator/trace_files.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::HasSubstr;

Trace made(std::string_view name, std::uint64_t seed, double part = 1.0) {
  auto trace = make_trace(name, seed, {part});
  EXPECT_TRUE(trace) << trace.error().message;
  return trace ? *trace : Trace{};
}

double offered_seconds(const Trace& trace) {
  const auto seconds = pooled_run_seconds(trace);
  EXPECT_TRUE(seconds) << seconds.error().message;
  return std::accumulate(seconds->begin(), seconds->end(), 0.0);
}

template <class Matches>
double part_of(const Trace& trace, Matches matches) {
  const auto count = std::ranges::count_if(trace.jobs, matches);
  return static_cast<double>(count) / static_cast<double>(trace.jobs.size());
}

const std::string& family(const Trace& trace, const TraceJob& job) {
  return trace.models[static_cast<std::size_t>(job.model)].family;
}

bool same(const TraceJob& a, const TraceJob& b) {
  return a.arrival_s == b.arrival_s && a.user == b.user && a.model == b.model && a.images == b.images &&
         a.steps == b.steps && a.pixels == b.pixels && a.lora_set == b.lora_set && a.priority == b.priority;
}

// Of the jobs whose user had sent one before: how many keep its model.
double kept_model_part(const Trace& trace) {
  std::map<int, int> last;
  int kept = 0;
  int had_one = 0;
  for (const TraceJob& job : trace.jobs) {
    const auto [place, first] = last.try_emplace(job.user, job.model);
    if (!first) {
      ++had_one;
      kept += place->second == job.model ? 1 : 0;
    }
    place->second = job.model;
  }
  return static_cast<double>(kept) / had_one;
}

std::vector<std::string> generated() {
  std::vector<std::string> names = trace_names();
  std::erase(names, "T10");
  return names;
}

TEST(Traces, TheSameSeedMakesTheSameTraceAndAnotherSeedAnother) {
  for (const std::string& name : generated()) {
    const Trace first = made(name, 7, 0.2);
    const Trace again = made(name, 7, 0.2);
    ASSERT_EQ(first.jobs.size(), again.jobs.size()) << name;
    EXPECT_TRUE(std::ranges::equal(first.jobs, again.jobs, same)) << name;
    if (name != "T1") {
      EXPECT_FALSE(std::ranges::equal(first.jobs, made(name, 8, 0.2).jobs, same)) << name;
    }
  }
}

TEST(Traces, JobsComeByArrivalAndNameModelsThatFitTheMachine) {
  for (const std::string& name : generated()) {
    const Trace trace = made(name, 3);
    EXPECT_EQ(trace.name, name);
    ASSERT_FALSE(trace.jobs.empty()) << name;
    EXPECT_TRUE(std::ranges::is_sorted(trace.jobs, {}, &TraceJob::arrival_s)) << name;
    EXPECT_TRUE(std::isfinite(offered_seconds(trace))) << name;
  }
}

TEST(Traces, T1AlternatesTwoModelsThatNeverFitTogether) {
  const Trace trace = made("T1", 5);
  ASSERT_EQ(trace.jobs.size(), 240u);
  EXPECT_DOUBLE_EQ(trace.jobs.back().arrival_s, 239 * 18.0);
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const TraceJob& job = trace.jobs[i];
    EXPECT_EQ(family(trace, job), i % 2 == 0 ? "SD35L" : "FLUX8");
    EXPECT_EQ(job.images, 1);
    EXPECT_EQ(job.steps, 20);
  }
}

// Pooled seconds of all jobs over the hours of arrivals; the mean of four seeds scatters by about 1 %.
TEST(Traces, OfferTheLoadTheyAreDescribedBy) {
  struct Expected {
    const char* name;
    double hours;
    double rho;
  };
  for (const auto& [name, hours, rho] : {Expected{"T2", 6, 0.6}, Expected{"T3", 6, 0.85}, Expected{"T5", 6, 0.75},
                                         Expected{"T6", 5, 0.7}, Expected{"T9", 6, 0.5}, Expected{"T11", 6, 0.6}}) {
    double offered = 0.0;
    constexpr int kSeeds = 4;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) offered += offered_seconds(made(name, seed));
    EXPECT_NEAR(offered / (kSeeds * hours * 3600.0), rho, 0.03 * rho) << name;
  }
}

TEST(Traces, TheLoadSweepMeetsItsLoadWithTheSameJobs) {
  const auto light = make_load_trace(0.3, 5);
  const auto heavy = make_load_trace(0.9, 5);
  ASSERT_TRUE(light && heavy);
  EXPECT_NEAR(offered_seconds(*light) / (6 * 3600.0), 0.3, 0.02);
  EXPECT_NEAR(offered_seconds(*heavy) / (6 * 3600.0), 0.9, 0.05);
  for (std::size_t i = 0; i < light->jobs.size(); ++i) {
    EXPECT_EQ(light->jobs[i].model, heavy->jobs[i].model);
    EXPECT_EQ(light->jobs[i].images, heavy->jobs[i].images);
    EXPECT_NEAR(light->jobs[i].arrival_s, 3.0 * heavy->jobs[i].arrival_s, 1e-6 * light->jobs[i].arrival_s);
  }
}

TEST(Traces, JobsMixImagesStepsAndPixelsByFamily) {
  const Trace trace = made("T6", 11);
  const auto share = [&](std::string_view of, auto matches) {
    double all = 0;
    double hits = 0;
    for (const TraceJob& job : trace.jobs) {
      if (family(trace, job) != of) continue;
      ++all;
      hits += matches(job) ? 1 : 0;
    }
    return hits / all;
  };
  EXPECT_NEAR(share("SDXL", [](const TraceJob& job) { return job.images == 1; }), 0.58, 0.03);
  EXPECT_NEAR(share("SDXL", [](const TraceJob& job) { return job.images == 4; }), 0.34, 0.03);
  EXPECT_NEAR(share("SDXL", [](const TraceJob& job) { return job.steps == 30; }), 0.80, 0.03);
  EXPECT_NEAR(share("SDXL", [](const TraceJob& job) { return job.pixels == 832 * 1216; }), 0.20, 0.03);
  EXPECT_NEAR(share("SD15", [](const TraceJob& job) { return job.pixels == 512 * 512; }), 0.60, 0.05);
  EXPECT_NEAR(share("FLUX8", [](const TraceJob& job) { return job.images == 2; }), 0.42, 0.06);
  EXPECT_DOUBLE_EQ(share("SD35L", [](const TraceJob& job) { return job.steps == 28; }), 1.0);
}

TEST(Traces, PopularityIsZipfAndUsersStickToTheirModel) {
  const Trace trace = made("T2", 4);
  // Zipf 1.0 over 14 models: 1/3.2516 and half of it.
  EXPECT_NEAR(part_of(trace, [](const TraceJob& job) { return job.model == 0; }), 0.3075, 0.03);
  EXPECT_NEAR(part_of(trace, [](const TraceJob& job) { return job.model == 1; }), 0.1538, 0.025);
  // 0.6 + 0.4 * the chance of drawing the same again (0.149).
  EXPECT_NEAR(kept_model_part(trace), 0.66, 0.02);
  // floor(200 u^1.5): user 0 has (1/200)^(2/3).
  EXPECT_NEAR(part_of(trace, [](const TraceJob& job) { return job.user == 0; }), 0.029, 0.008);
}

TEST(Traces, T4ComesInBurstsWithCalmBetween) {
  const Trace trace = made("T4", 2);
  std::vector<double> counts(static_cast<std::size_t>(trace.jobs.back().arrival_s / 60.0) + 1, 0.0);
  for (const TraceJob& job : trace.jobs) counts[static_cast<std::size_t>(job.arrival_s / 60.0)] += 1.0;
  const double mean = static_cast<double>(trace.jobs.size()) / static_cast<double>(counts.size());
  double variance = 0.0;
  for (const double count : counts) variance += (count - mean) * (count - mean) / static_cast<double>(counts.size());
  EXPECT_GT(variance / mean, 10.0) << "a Poisson stream has 1";
  EXPECT_GT(std::ranges::count_if(counts, [&](double count) { return count < 0.6 * mean; }), 40);
  EXPECT_GT(std::ranges::count_if(counts, [&](double count) { return count > 2.5 * mean; }), 5);
}

TEST(Traces, T5sFavouriteMovesByThreeModelsEveryHalfHour) {
  const Trace trace = made("T5", 2);
  for (int period = 0; period < 4; ++period) {
    std::map<int, int> jobs_of;
    for (const TraceJob& job : trace.jobs) {
      if (static_cast<int>(job.arrival_s / 1800.0) == period) ++jobs_of[job.model];
    }
    const auto favourite = std::ranges::max_element(jobs_of, {}, [](const auto& entry) { return entry.second; });
    EXPECT_EQ(favourite->first, 3 * period) << "period " << period;
  }
}

TEST(Traces, T5OffersTheSameLoadInEveryHalfHour) {
  std::vector<double> offered(12, 0.0);
  constexpr int kSeeds = 10;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Trace trace = made("T5", seed);
    const auto seconds = pooled_run_seconds(trace);
    ASSERT_TRUE(seconds);
    for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
      offered[static_cast<std::size_t>(trace.jobs[i].arrival_s / 1800.0)] += (*seconds)[i] / (kSeeds * 1800.0);
    }
  }
  EXPECT_THAT(offered, Each(DoubleNear(0.75, 0.12)));
}

TEST(Traces, T7DropsFortyJobsOfABulkUserAtOnce) {
  const Trace trace = made("T7", 2);
  std::map<int, std::vector<const TraceJob*>> bulk;
  for (const TraceJob& job : trace.jobs) {
    if (job.user >= 200) bulk[job.user].push_back(&job);
  }
  EXPECT_GT(bulk.size(), 5u);
  for (const auto& [user, jobs] : bulk) {
    EXPECT_EQ(jobs.size(), 40u) << "user " << user;
    for (const TraceJob* job : jobs) {
      EXPECT_EQ(job->arrival_s, jobs.front()->arrival_s);
      EXPECT_EQ(job->model, jobs.front()->model);
    }
  }
}

TEST(Traces, T8HasAllItsJobsAtZero) {
  const Trace trace = made("T8", 2);
  EXPECT_EQ(trace.jobs.size(), 400u);
  EXPECT_EQ(trace.jobs.back().arrival_s, 0.0);
}

TEST(Traces, T9HasASlowDiskAndLittleHostMemory) {
  const Trace trace = made("T9", 2);
  EXPECT_EQ(trace.machine.gpus, (std::vector<std::string>{"4090-24", "4090-24"}));
  EXPECT_DOUBLE_EQ(trace.machine.host_bytes, 32e9);
  EXPECT_DOUBLE_EQ(trace.machine.disk_bytes_per_second, 0.25e9);
  EXPECT_DOUBLE_EQ(trace.machine.fast_disk_bytes_per_second, 0.5e9);
}

TEST(Traces, T11UsesManyLoraSetsThatBelongToTheirModels) {
  const Trace trace = made("T11", 2);
  EXPECT_NEAR(part_of(trace, [](const TraceJob& job) { return job.lora_set > 0; }), 0.7, 0.04);
  std::map<int, std::set<int>> models_of_set;
  for (const TraceJob& job : trace.jobs) {
    if (job.lora_set > 0) models_of_set[job.lora_set].insert(job.model);
  }
  EXPECT_GT(models_of_set.size(), 50u);
  for (const auto& [set, models] : models_of_set) EXPECT_EQ(models.size(), 1u) << "set " << set;
}

TEST(Traces, T12FailsOneChunkInAHundredAndLosesAGpuForTenMinutes) {
  const Failures failures = made("T12", 2).failures;
  EXPECT_DOUBLE_EQ(failures.out_of_memory, 0.01);
  EXPECT_EQ(failures.lost_gpu, 1);
  EXPECT_DOUBLE_EQ(failures.lost_until_s - failures.lost_from_s, 600.0);
}

TEST(Traces, APartOfATraceIsShorterAtTheSameLoad) {
  const Trace part = made("T2", 1, 0.1);
  EXPECT_LE(part.jobs.back().arrival_s, 2160.0);
  EXPECT_NEAR(static_cast<double>(part.jobs.size()), 583.0, 75.0);
  EXPECT_EQ(made("T8", 1, 0.1).jobs.size(), 40u);
  EXPECT_EQ(made("T1", 1, 0.1).jobs.size(), 24u);
}

TEST(Traces, WrongRequestsAreRefusedWithWhatIsAllowed) {
  const auto unknown = make_trace("T99", 1);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(unknown.error().message, AllOf(HasSubstr("T99"), HasSubstr("T1, T2")));
  for (const double part : {0.0, -1.0, 1.5, std::nan("")}) EXPECT_FALSE(make_trace("T2", 1, {part})) << part;
  for (const double rho : {0.0, -0.5, 3.0, std::nan("")}) EXPECT_FALSE(make_load_trace(rho, 1)) << rho;
}

class ProductionFolder : public ::testing::Test {
 protected:
  ProductionFolder() {
    if (const char* value = std::getenv("PIXELFLEET_TRACES")) before_ = value;
  }
  ~ProductionFolder() override {
    if (before_) {
      ::setenv("PIXELFLEET_TRACES", before_->c_str(), 1);
    } else {
      ::unsetenv("PIXELFLEET_TRACES");
    }
  }
  std::optional<std::string> before_;
};

TEST_F(ProductionFolder, WithoutItsFileT10IsNotFoundAndSaysWhereItLooked) {
  ::setenv("PIXELFLEET_TRACES", "/nowhere/at/all", 1);
  const auto trace = make_trace("T10", 1);
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().code, ErrorCode::not_found);
  EXPECT_THAT(trace.error().message, AllOf(HasSubstr("T10 is skipped"), HasSubstr("/nowhere/at/all")));
}

TEST_F(ProductionFolder, T10IsFourDaysTwelveTimesAsFast) {
  const auto trace = make_trace("T10", 1);
  if (!trace && trace.error().code == ErrorCode::not_found) GTEST_SKIP() << trace.error().message;
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->jobs.size(), 5682u);
  EXPECT_EQ(trace->models.size(), 66u);
  EXPECT_LE(trace->jobs.back().arrival_s, 4 * 86'400.0 / 12.0);
  EXPECT_LE(std::ranges::max(trace->jobs, {}, &TraceJob::images).images, 4);
  EXPECT_NEAR(part_of(*trace, [](const TraceJob& job) { return job.model == 0; }), 1525.0 / 5682.0, 1e-9);
  EXPECT_TRUE(std::ranges::equal(trace->jobs, make_trace("T10", 2)->jobs, same)) << "the same for every seed";
}

// The anchors are traces of another generator of the same description, for which rivals' results are known.
class Anchors : public ::testing::Test {
 protected:
  static std::optional<Trace> read(const std::string& name) {
    namespace fs = std::filesystem;
    for (fs::path above = fs::current_path(); above != above.root_path(); above = above.parent_path()) {
      const fs::path stem = above / "shared" / "traces" / "anchors" / name;
      if (!fs::exists(stem.string() + "-jobs.csv")) continue;
      auto trace =
          read_trace_files({stem.string() + "-jobs.csv", stem.string() + "-models.csv", stem.string() + "-gpus.txt"});
      EXPECT_TRUE(trace) << trace.error().message;
      if (trace) return *trace;
    }
    return std::nullopt;
  }
};

TEST_F(Anchors, T1IsTheSameJobForJob) {
  const auto anchor = read("T1");
  if (!anchor) GTEST_SKIP() << "no shared/traces/anchors in or above the current folder";
  const Trace trace = made("T1", 1);
  EXPECT_TRUE(std::ranges::equal(trace.jobs, anchor->jobs, same));
  EXPECT_EQ(trace.machine.gpus, anchor->machine.gpus);
  ASSERT_EQ(trace.models.size(), anchor->models.size());
  for (std::size_t i = 0; i < trace.models.size(); ++i) EXPECT_EQ(trace.models[i].family, anchor->models[i].family);
}

// One anchor is one draw: its figures lie within 3.5 standard deviations of ours over ten seeds.
TEST_F(Anchors, T2AndT6ComeFromTheSameDistributions) {
  using Figure = double (*)(const Trace&);
  const std::map<std::string, Figure> figures = {
      {"jobs", [](const Trace& t) { return static_cast<double>(t.jobs.size()); }},
      {"offered seconds", [](const Trace& t) { return offered_seconds(t); }},
      {"one image", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.images == 1; }); }},
      {"four images", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.images == 4; }); }},
      {"twenty steps", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.steps == 20; }); }},
      {"portrait", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.pixels == 832 * 1216; }); }},
      {"first model", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.model == 0; }); }},
      {"fourth model", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.model == 3; }); }},
      {"tail models", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.model > 9; }); }},
      {"first user", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.user == 0; }); }},
      {"late users", [](const Trace& t) { return part_of(t, [](const TraceJob& j) { return j.user >= 100; }); }},
      {"kept model", kept_model_part},
  };
  for (const char* name : {"T2", "T6"}) {
    const auto anchor = read(name);
    if (!anchor) GTEST_SKIP() << "no shared/traces/anchors in or above the current folder";
    for (const auto& [figure, of] : figures) {
      constexpr int kSeeds = 10;
      double sum = 0.0;
      double squares = 0.0;
      for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        const double value = of(made(name, seed));
        sum += value;
        squares += value * value;
      }
      const double mean = sum / kSeeds;
      const double deviation = std::sqrt(std::max(0.0, squares / kSeeds - mean * mean) * kSeeds / (kSeeds - 1));
      EXPECT_NEAR(of(*anchor), mean, 3.5 * deviation) << name << ", " << figure << ", deviation " << deviation;
    }
    ASSERT_EQ(made(name, 1).models.size(), anchor->models.size());
    for (std::size_t i = 0; i < anchor->models.size(); ++i) {
      EXPECT_EQ(made(name, 1).models[i].family, anchor->models[i].family) << name << " model " << i;
    }
    EXPECT_EQ(made(name, 1).machine.gpus, anchor->machine.gpus);
    EXPECT_EQ(made(name, 1).machine.host_bytes, anchor->machine.host_bytes);
  }
}

}  // namespace
}  // namespace pixelfleet::simulator
