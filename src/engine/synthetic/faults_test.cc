#include "engine/synthetic/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pixelfleet::engine::synthetic {
namespace {

TEST(Faults, ReadsKindNumberAndStep) {
  const Result<Fault> fault = parse_fault("exit=13@2");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::exit);
  EXPECT_EQ(fault->value, 13);
  EXPECT_EQ(fault->step, 2);
}

TEST(Faults, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"", "boom", "crash@", "crash@x", "crash@-1", "exit=", "exit=1@2@3", "crash "}) {
    EXPECT_FALSE(parse_fault(text)) << text;
  }
}

TEST(Faults, ReadsAScript) {
  const Result<FaultScript> script = parse_fault_script("prompt,load:slow=3,crash@4");
  ASSERT_TRUE(script);
  EXPECT_TRUE(script->prompts);
  EXPECT_EQ(script->load.value().kind, FaultKind::slow);
  EXPECT_EQ(script->image.value().step, 4);
  EXPECT_FALSE(parse_fault_script("prompts"));
  EXPECT_FALSE(parse_fault_script("").value().prompts);
}

TEST(Faults, FindsADirectiveInAPrompt) {
  EXPECT_EQ(fault_of_prompt("a fox [fault:hang@2] in the snow").value().value().kind, FaultKind::hang);
  EXPECT_FALSE(fault_of_prompt("a fox [in the snow]").value().has_value());
  EXPECT_FALSE(fault_of_prompt("a fox [fault:boom]"));
}

}  // namespace
}  // namespace pixelfleet::engine::synthetic
