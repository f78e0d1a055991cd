// Which model files stay in host memory.
#include <gmock/gmock.h>

#include "scheduler/test_rig.h"

namespace pixelfleet::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

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

TEST(HostMemory, AFileThatCouldNotBeReadIsTriedAgainLater) {
  Rig rig(with_host_memory(64));
  rig.gpu(0, 24);
  file(rig, "a", 20);
  file(rig, "b", 20);
  rig.submit(1, "a");
  rig.ready(1);
  EXPECT_THAT(rig.submit(2, "b"), Contains("StageModel b"));
  EXPECT_THAT(rig.give(ModelUnstaged{"b"}), Not(Contains("StageModel b")));
  rig.now += std::chrono::seconds{29};
  EXPECT_THAT(rig.submit(3, "a"), Not(Contains("StageModel b")));
  rig.now += std::chrono::seconds{1};
  EXPECT_THAT(rig.submit(4, "a"), Contains("StageModel b"));
}

TEST(HostMemory, AFileThatTheSystemDroppedMayBeReadAgainAtOnce) {
  Rig rig(with_host_memory(64));
  rig.gpu(0, 24);
  file(rig, "a", 20);
  file(rig, "b", 20);
  rig.submit(1, "a");
  rig.ready(1);
  rig.submit(2, "b");
  rig.give(ModelStaged{"b"});
  EXPECT_THAT(rig.give(ModelUnstaged{"b"}), Contains("StageModel b"));
}

}  // namespace
}  // namespace pixelfleet::scheduler
