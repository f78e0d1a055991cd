#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/json_full.h"
#include "domain/gpu.h"
#include "domain/gpu_spec.h"
#include "domain/output_name.h"
#include "domain/sampler.h"
#include "domain/settings.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

constexpr std::int64_t kGiB = 1 << 30;

TEST(OutputName, FollowsTheV17Scheme) {
  setenv("TZ", "UTC", 1);
  tzset();
  const Instant at = from_unix_ms(1'795'511'730'000);  // 2026-11-24 09:15:30 UTC
  EXPECT_EQ(run_directory(RunKind::run, at), "run_20261124_091530");
  EXPECT_EQ(run_directory(RunKind::all_models_profiles, at), "all_models_profiles_20261124_091530");
  EXPECT_EQ(image_file_name(at, "None / Raw", "A red fox, in the SNOW!", 42, 0),
            "20261124_091530_none-raw_a-red-fox-in-the-snow_seed42_01.png");
}

TEST(OutputName, SlugsKeepLettersAndDigitsOnly) {
  EXPECT_EQ(slug("  --A__b  "), "a-b");
  EXPECT_EQ(slug("\xE7\x8C\xAB"), "untitled");
  EXPECT_EQ(slug("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(slug(std::string(200, 'x')).size(), 80u);
}

TEST(OutputName, CollisionsGetANumberBeforeTheExtension) {
  EXPECT_EQ(with_collision_suffix("a/b.png", 1), "a/b.png");
  EXPECT_EQ(with_collision_suffix("a/b.png", 2), "a/b_2.png");
  EXPECT_EQ(with_collision_suffix("run_1", 3), "run_1_3");
}

TEST(GpuSpec, ReadsSizesCardsAndCpus) {
  const auto gpus = parse_gpu_spec("2x24GiB+H100+cpu:2");
  ASSERT_TRUE(gpus);
  ASSERT_EQ(gpus->size(), 5u);
  EXPECT_EQ((*gpus)[0].uuid, "virtual-0");
  EXPECT_EQ((*gpus)[1].memory_total_bytes, 24 * kGiB);
  EXPECT_EQ((*gpus)[2].name, "Virtual H100");
  EXPECT_EQ((*gpus)[2].memory_total_bytes, 80 * kGiB);
  EXPECT_EQ((*gpus)[4].uuid, "cpu-1");
  EXPECT_EQ((*gpus)[4].kind, GpuKind::cpu);
}

TEST(GpuSpec, SaysWhichPartIsWrong) {
  for (const char* spec : {"", "x", "4x", "0x24GiB", "-1x24GiB", "4x24", "65x24GiB", "4x24GiB+", "cpu:0", "cpu:x"}) {
    const auto gpus = parse_gpu_spec(spec);
    ASSERT_FALSE(gpus) << spec;
    EXPECT_EQ(gpus.error().code, ErrorCode::invalid_argument) << spec;
  }
}

TEST(Sampler, KnowsTheNamesPeopleUse) {
  EXPECT_EQ(find_sampler("Euler a")->sampler, "euler_a");
  EXPECT_EQ(find_sampler("dpmpp_2m")->sampler, "dpm++2m");
  EXPECT_EQ(find_sampler("Default")->sampler, "default");
  EXPECT_EQ(*find_scheduler("Align Your Steps"), "ays");
  EXPECT_FALSE(find_sampler("warp drive"));
  EXPECT_FALSE(find_sampler("euler warp"));
}

TEST(Settings, MergeAllOrNothing) {
  const LiveSettings before;
  const auto merged = merge_settings(before, Json{{"multi_gpu.enabled", true}, {"multi_gpu.max_gpus", 8}});
  ASSERT_TRUE(merged);
  EXPECT_TRUE(merged->multi_gpu_enabled);
  EXPECT_EQ(merged->multi_gpu_max_gpus, 8);
  for (const Json& bad : {Json{{"multi_gpu.max_gpus", 0}}, Json{{"multi_gpu.max_gpus", 9}},
                          Json{{"multi_gpu.max_gpus", "4"}}, Json{{"multi_gpu.enabled", 1}}, Json(3)}) {
    EXPECT_FALSE(merge_settings(before, bad)) << to_text(bad);
  }
  const auto unknown = merge_settings(before, Json{{"multi_gpu.enable", true}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().fields[0].message, "unknown setting; did you mean \"multi_gpu.enabled\"?");
}

TEST(Settings, EveryKeyTakesWhatItGivesAndRefusesOtherThings) {
  LiveSettings some;
  some.policy = PolicyChoice::v18;
  some.objective = ObjectiveChoice::throughput;
  some.load_beside_run = LoadBeside::off;
  some.worker_overhead_bytes = 0;
  some.pinned_models = {"a", "b"};
  some.idle_gpu_seconds = 300;
  some.idle_host_seconds = 3600;
  some.host_memory_limit_bytes = 64'000'000'000;
  for (const LiveSettings& settings : {LiveSettings{}, some}) {
    const auto merged = merge_settings(some, to_json(settings));
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(*merged, settings);
  }
  EXPECT_TRUE(to_json(LiveSettings{}).at("host_memory.limit").is_null());
  const Json keys = to_json(some);
  for (const auto& [key, value] : keys.items()) {
    for (const Json& bad : {Json(-1), Json(1.5), Json("none of these"), Json::array({1}), Json(std::uint64_t(-1))}) {
      if (key == "multi_gpu.single_gpu" && bad.is_string()) continue;
      const auto merged = merge_settings(some, Json{{key, bad}});
      ASSERT_FALSE(merged) << key << " took " << to_text(bad);
      EXPECT_EQ(merged.error().fields[0].field, key);
      EXPECT_NE(merged.error().fields[0].allowed, "");
    }
  }
}

TEST(Suggest, FindsSlipsAndRefusesStrangers) {
  EXPECT_EQ(nearest_name("promt", {"prompt", "steps"}), "prompt");
  EXPECT_FALSE(nearest_name("zzzzzzzz", {"prompt", "steps"}));
  EXPECT_FALSE(nearest_name(std::string(100, 'p'), {"prompt"}));
}

TEST(GpuNames, ANumberAUuidOrTheBeginningOfOneMeansTheGpu) {
  const Gpu gpu{"GPU-8f2a91c0-77aa", 3, "", GpuKind::nvidia, kGiB};
  for (const char* text : {"3", "GPU-8f2a91c0-77aa", "GPU-8f2a"}) EXPECT_TRUE(is_called(gpu, text)) << text;
  for (const char* text : {"", "03", "4", "GPU-8f2", "GPU-8f2b", "GPU-8f2a91c0-77aa-1"}) {
    EXPECT_FALSE(is_called(gpu, text)) << text;
  }
}

}  // namespace
}  // namespace pixelfleet
