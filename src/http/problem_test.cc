#include "http/problem.h"

#include "base/json_full.h"
#include "gtest/gtest.h"

namespace pixelfleet::http {
namespace {

TEST(ProblemTest, EveryCodeHasItsStatus) {
  const std::pair<ErrorCode, int> table[] = {
      {ErrorCode::invalid_argument, 400},   {ErrorCode::not_found, 404}, {ErrorCode::conflict, 409},
      {ErrorCode::permission_denied, 403},  {ErrorCode::disk_full, 507}, {ErrorCode::unavailable, 503},
      {ErrorCode::resource_exhausted, 429}, {ErrorCode::corrupt, 422},   {ErrorCode::internal, 500}};
  for (const auto& [code, status] : table) {
    EXPECT_EQ(status_of(code), status);
    EXPECT_NE(reason_phrase(status), "Unknown") << status;
  }
}

TEST(ProblemTest, CarriesEveryField) {
  const Error error = invalid_fields({{"steps", "0", "too small", "1 to 200"}, {"width", "7", "too small", "64 up"}});
  const Response response = problem(error, "r-7");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.front().second, "application/problem+json");
  const Json body = *parse_json(response.body);
  EXPECT_EQ(body["code"], "invalid_argument");
  EXPECT_EQ(body["status"], 400);
  EXPECT_EQ(body["request_id"], "r-7");
  EXPECT_EQ(body["detail"], error.message);
  ASSERT_EQ(body["errors"].size(), 2u);
  EXPECT_EQ(body["errors"][1],
            Json({{"field", "width"}, {"value", "7"}, {"message", "too small"}, {"allowed", "64 up"}}));
}

}  // namespace
}  // namespace pixelfleet::http
