// Which model files stay in host memory.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Policy with_host_memory(int gib) {
  Policy policy{.multi_gpu = true, .max_gpus = 8, .single_gpu = "", .resident_limit = 2, .algorithm = Algorithm::amp};
  policy.host_memory_bytes = gib * kGiB;
  return policy;
}

Rig::Lines file(Rig& rig, const ModelKey& key, int gib) {
  ModelFacts model{key, Engine::synthetic, gib * kGiB};
  model.file_bytes = gib * kGiB;
  return rig.give(ModelKnown{model});
}

TEST(HostMemory, AFileGoesWithItsModel) {
  Rig rig(with_host_memory(16));
  file(rig, "a", 8);
  EXPECT_THAT(rig.give(ModelStaged{"a"}), IsEmpty());
  EXPECT_THAT(rig.give(ModelForgotten{"a"}), ElementsAre("UnstageModel a"));
}

TEST(HostMemory, AFileThatWasReadForAModelForgottenMeanwhileGoesAtOnce) {
  Rig rig(with_host_memory(16));
  EXPECT_THAT(rig.give(ModelStaged{"a"}), ElementsAre("UnstageModel a"));
}

TEST(HostMemory, AFileOfAnotherSizeReplacesWhatIsThere) {
  Rig rig(with_host_memory(16));
  file(rig, "a", 8);
  rig.give(ModelStaged{"a"});
  EXPECT_THAT(file(rig, "a", 9), ElementsAre("UnstageModel a"));
}

TEST(HostMemory, ASmallerLimitHoldsAtOnce) {
  Rig rig(with_host_memory(16));
  file(rig, "a", 8);
  file(rig, "b", 8);
  rig.give(ModelStaged{"a"});
  EXPECT_THAT(rig.give(ModelStaged{"b"}), IsEmpty());
  EXPECT_THAT(rig.give(PolicyChanged{with_host_memory(8)}), ElementsAre("UnstageModel a"));
  EXPECT_THAT(rig.give(PolicyChanged{with_host_memory(0)}), ElementsAre("UnstageModel b"));
}

TEST(HostMemory, WithoutAnyAllowedAFileThatIsReadGoesAtOnce) {
  Rig rig(with_host_memory(0));
  file(rig, "a", 8);
  EXPECT_THAT(rig.give(ModelStaged{"a"}), ElementsAre("UnstageModel a"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
