// What holds for every policy, in every regime, whatever fails.
#include "simulator/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/format.h"
#include "base/rng.h"
#include "simulator/testing_trace.h"

namespace pixelfleet::simulator {
namespace {

using ::testing::HasSubstr;

Trace random_trace(std::uint64_t seed) {
  Trace trace = small_trace({"4090-24", "A100-40", "4090-24"});
  trace.models.push_back({"SDXL", 6.9e9});
  trace.models.push_back({"SDXL", 6.9e9});
  trace.machine.host_bytes = 36e9;
  Rng rng(seed);
  double now_s = 0.0;
  for (int i = 0; i < 150; ++i) {
    now_s += 12.0 * rng.unit();
    TraceJob& job =
        add_job(trace, now_s, static_cast<int>(rng.below(trace.models.size())), 1 + static_cast<int>(rng.below(4)));
    job.user = static_cast<int>(rng.below(9));
    job.lora_set = static_cast<int>(rng.below(3));
  }
  trace.failures = {0.02, 1, 200.0, 500.0};
  return trace;
}

void expect_apart(std::vector<Operation> operations, const std::string& what) {
  std::sort(operations.begin(), operations.end(), [](const Operation& left, const Operation& right) {
    return left.gpu != right.gpu ? left.gpu < right.gpu : left.start_s < right.start_s;
  });
  for (std::size_t i = 1; i < operations.size(); ++i) {
    if (operations[i].gpu != operations[i - 1].gpu) continue;
    EXPECT_LE(operations[i - 1].end_s, operations[i].start_s) << what << " overlap on gpu " << operations[i].gpu;
  }
}

void expect_sound(const RunRecord& record) {
  std::vector<Operation> runs;
  std::vector<Operation> loads;
  for (const Operation& operation : record.operations) {
    EXPECT_LE(operation.start_s, operation.end_s);
    (operation.kind == Operation::Kind::run ? runs : loads).push_back(operation);
  }
  expect_apart(runs, "runs");
  expect_apart(loads, "loads");
  for (const JobRecord& job : record.jobs) {
    EXPECT_GE(job.start_s, job.arrival_s);
    EXPECT_GT(job.end_s, job.start_s);
  }
  for (const Operation& operation : record.operations) {
    if (operation.gpu == 1) {
      EXPECT_TRUE(operation.end_s <= 200.0 || operation.start_s >= 500.0) << "on the lost gpu";
    }
  }
}

class EveryPolicy : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryPolicy, EndsEveryJobInEveryRegimeThoughChunksFailAndAGpuIsLost) {
  for (const Regime regime : {Regime::slow, Regime::fast, Regime::remote, Regime::sdcpp}) {
    for (const Capabilities capabilities : {Capabilities::ideal, Capabilities::sdcpp}) {
      for (const std::uint64_t seed : {1u, 2u, 3u}) {
        SCOPED_TRACE(format("{}, {}, seed {}", name(regime), name(capabilities), seed));
        RunOptions options;
        options.policy = GetParam();
        options.regime = regime;
        options.capabilities = capabilities;
        options.noise_seed = seed;
        const auto record = run(random_trace(seed), options);
        ASSERT_TRUE(record.has_value()) << record.error().message;
        expect_sound(*record);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Run, EveryPolicy, ::testing::ValuesIn(policy_names()), [](const auto& parameter) {
  std::string name = parameter.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Run, RefusesAnUnknownPolicyAndNamesTheKnown) {
  RunOptions options;
  options.policy = "best";
  const auto record = run(small_trace({"4090-24"}), options);
  ASSERT_FALSE(record.has_value());
  EXPECT_THAT(record.error().message, HasSubstr("no policy \"best\" is known; allowed are amp, fifo, v18, "));
}

TEST(Run, RefusesAJobThatFitsNoGpu) {
  Trace trace = small_trace({"V100-16"});
  add_job(trace, 0.0, 1);
  add_job(trace, 1.0, 3);
  const auto record = run(trace, {});
  ASSERT_FALSE(record.has_value());
  EXPECT_THAT(record.error().message, HasSubstr("job 1 wants model 3, which needs 21.0 GB"));
}

TEST(Run, RefusesAJobThatFitsOnlyTheGpuThatWillBeLost) {
  Trace trace = small_trace({"4090-24", "V100-16"});
  add_job(trace, 0.0, 3);
  EXPECT_TRUE(run(trace, {}).has_value());
  trace.failures = {0.0, 0, 5.0, 6.0};
  EXPECT_FALSE(run(trace, {}).has_value());
}

TEST(Run, RefusesToLoseAGpuThatIsNotThere) {
  Trace trace = small_trace({"4090-24"});
  trace.failures = {0.0, 1, 5.0, 6.0};
  EXPECT_FALSE(run(trace, {}).has_value());
  trace.failures = {0.0, 0, 6.0, 6.0};
  EXPECT_FALSE(run(trace, {}).has_value());
}

TEST(Run, AnEmptyTraceEndsAtOnce) {
  const auto record = run(small_trace({"4090-24"}), {});
  ASSERT_TRUE(record.has_value());
  EXPECT_TRUE(record->jobs.empty());
}

}  // namespace
}  // namespace pixelfleet::simulator
