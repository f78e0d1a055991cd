// Each class of Xids, by the numbers that the catalogue names.
#include "health/xid.h"

#include <gmock/gmock.h>

#include <vector>

namespace pixelfleet::health {
namespace {

struct Row {
  XidClass answer;
  std::vector<int> numbers;
};

TEST(Xid, HasTheAnswerOfTheCatalogue) {
  const std::vector<Row> rows = {
      {XidClass::restart_app, {13, 31, 32, 39, 40, 41, 68, 69, 70, 71, 72, 80, 94}},
      {XidClass::reset_gpu, {46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158}},
      {XidClass::restart_machine, {79}},
      {XidClass::workflow, {45, 48, 74, 144, 145, 146, 147, 148, 149, 150, 154}},
      {XidClass::ignore,
       {14, 37, 38, 43, 44, 63, 66, 67, 92, 93, 106, 107, 108, 121, 137, 141, 152, 153, 157, 160, 161}},
  };
  for (const Row& row : rows) {
    for (const int number : row.numbers) EXPECT_EQ(name(xid_class(number)), name(row.answer)) << number;
  }
}

TEST(Xid, ThatNobodyKnowsIsAnApplicationsError) {
  for (const int number : {-1, 0, 1, 15, 73, 999, 2'000'000'000}) {
    EXPECT_EQ(xid_class(number), XidClass::restart_app) << number;
    EXPECT_TRUE(counts_against_gpu(number)) << number;
  }
}

TEST(Xid, OfTheWorkflowsCountsWhenItEndsAProcess) {
  EXPECT_TRUE(counts_against_gpu(45));
  EXPECT_TRUE(counts_against_gpu(48));
  EXPECT_FALSE(counts_against_gpu(74)) << "a link to another gpu";
  EXPECT_FALSE(counts_against_gpu(154)) << "the sample tells it";
  EXPECT_FALSE(counts_against_gpu(43));
}

}  // namespace
}  // namespace pixelfleet::health
