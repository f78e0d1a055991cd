#include "gpu/report.h"

#include <gtest/gtest.h>

#include "gpu/visible_devices.h"

namespace pixelfleet::gpu {
namespace {

Reading reading(int index, const std::string& uuid) {
  Reading r;
  r.gpu = {uuid, index, "Card \u00E9", GpuKind::nvidia, std::int64_t{24} << 30};
  r.sample.uuid = uuid;
  r.sample.memory_used_bytes = 5;
  r.sample.utilization_ratio = 0.5;
  return r;
}

std::vector<std::string> uuids(const std::vector<Reading>& readings) {
  std::vector<std::string> result;
  for (const Reading& r : readings) result.push_back(r.gpu.uuid);
  return result;
}

using Names = std::vector<std::string>;

TEST(Report, SurvivesTheWayThroughThePipe) {
  const Report report{Driver::working, "", {reading(0, "GPU-a"), reading(1, "GPU-b")}};
  EXPECT_EQ(report_from_line(to_line(report)).value(), report);
  const Report absent{Driver::absent, "no \"driver\"\n", {}};
  EXPECT_EQ(report_from_line(to_line(absent)).value(), absent);
  const Report failing{Driver::failing, "code 18", {}};
  EXPECT_EQ(report_from_line(to_line(failing)).value(), failing);
  EXPECT_EQ(to_line(absent).find('\n'), std::string::npos);
}

TEST(Report, UnknownValuesAreNull) {
  const std::string line = to_line({Driver::working, "", {reading(0, "GPU-a")}});
  EXPECT_NE(line.find("\"temperature_celsius\":null"), std::string::npos);
}

TEST(Report, RefusesWhatIsNoReport) {
  for (const char* line :
       {"", "[]", "{}", "{\"gpus\":7}", "{\"gpus\":[{}]}", "{\"gpus\":[{\"uuid\":1,\"name\":\"x\"}]}", "hello"}) {
    EXPECT_FALSE(report_from_line(line)) << line;
  }
}

TEST(VisibleToCuda, TakesIndicesAndUuidPrefixesUpToTheFirstUnknown) {
  const std::vector<Reading> all = {reading(0, "GPU-aa"), reading(1, "GPU-bb"), reading(2, "GPU-cc")};
  EXPECT_EQ(visible_to_cuda(all, std::nullopt).size(), 3u);
  EXPECT_EQ(uuids(visible_to_cuda(all, "2,0")), (Names{"GPU-aa", "GPU-cc"}));
  EXPECT_EQ(uuids(visible_to_cuda(all, "GPU-b, GPU-cc")), (Names{"GPU-bb", "GPU-cc"}));
  EXPECT_EQ(uuids(visible_to_cuda(all, "0,-1,1")), (Names{"GPU-aa"}));
  EXPECT_TRUE(visible_to_cuda(all, "").empty());
  EXPECT_TRUE(visible_to_cuda(all, "NoDevFiles").empty());
  EXPECT_EQ(uuids(visible_to_cuda(all, "1,1")), (Names{"GPU-bb"}));
}

TEST(VisibleToContainer, FiltersOnlyWhereTheRuntimeHasNot) {
  const std::vector<Reading> all = {reading(0, "GPU-aa"), reading(1, "GPU-bb"), reading(2, "GPU-cc")};
  for (const char* everything : {"", "all", "void"}) EXPECT_EQ(visible_to_container(all, everything).size(), 3u);
  EXPECT_TRUE(visible_to_container(all, "none").empty());
  EXPECT_EQ(uuids(visible_to_container(all, "1")), (Names{"GPU-bb"}));
  EXPECT_EQ(uuids(visible_to_container(all, "GPU-cc")), (Names{"GPU-cc"}));
  // Three listed, three here, numbered anew by the runtime: all of them are ours.
  EXPECT_EQ(visible_to_container(all, "3,5,7").size(), 3u);
}

Reading instance(int gpu, int number, const std::string& uuid, const std::string& parent) {
  Reading r = reading(mig_index(gpu, number), uuid);
  r.sample.detail.parent_uuid = parent;
  return r;
}

TEST(VisibleInstances, GoByTheirUuidTheirPlaceOrTheirGpu) {
  const std::vector<Reading> all = {reading(1, "GPU-b"), instance(0, 0, "MIG-aa", "GPU-a"),
                                    instance(0, 2, "MIG-ab", "GPU-a"), instance(2, 0, "MIG-ca", "GPU-c")};
  EXPECT_EQ(uuids(visible_to_cuda(all, "MIG-ab,1")), (Names{"GPU-b", "MIG-ab"}));
  EXPECT_EQ(uuids(visible_to_cuda(all, "0")), (Names{"MIG-aa"})) << "CUDA takes the first one";
  EXPECT_EQ(uuids(visible_to_cuda(all, "GPU-a")), (Names{"MIG-aa"}));
  EXPECT_EQ(uuids(visible_to_cuda(all, "2,MIG-x,1")), (Names{"MIG-ca"}));
  EXPECT_EQ(uuids(visible_to_container(all, "0:2")), (Names{"MIG-ab"}));
  EXPECT_EQ(uuids(visible_to_container(all, "GPU-a")), (Names{"MIG-aa", "MIG-ab"}));
  EXPECT_EQ(uuids(visible_to_container(all, "0,1:0")), (Names{"MIG-aa", "MIG-ab"})) << "gpu 1 has no instances";
  EXPECT_EQ(uuids(visible_to_container(all, "MIG-ca")), (Names{"MIG-ca"}));
}

TEST(OnlyVisible, AGpuThatDoesNotAnswerStillHasItsPlaceInTheList) {
  Report report{Driver::working, "", {reading(1, "GPU-bb"), reading(2, "GPU-cc")}};
  report.failing = {{0, "GPU-aa", 15, {}}};
  const Report kept = only_visible(report, std::nullopt, "0,1");
  EXPECT_EQ(uuids(kept.readings), (Names{"GPU-bb"})) << "the list does not end at the lost one";
  EXPECT_EQ(kept.failing, report.failing);
  EXPECT_TRUE(only_visible(report, std::nullopt, "1").failing.empty()) << "not ours";
  EXPECT_EQ(only_visible(report, std::nullopt, std::nullopt), report);
}

}  // namespace
}  // namespace pixelfleet::gpu
