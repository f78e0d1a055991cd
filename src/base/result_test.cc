#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

namespace pixelfleet {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::invalid_argument, "odd");
  return value / 2;
}

Result<> nothing(ErrorCode code) {
  if (code != ErrorCode::internal) return fail(code, "no");
  return {};
}

TEST(Result, HoldsAValueOrTheReasonWhyThereIsNone) {
  EXPECT_EQ(half(4).value(), 2);
  const auto failed = half(3);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), (Error{ErrorCode::invalid_argument, "odd"}));
}

TEST(Result, MayCarryNothingButSuccess) {
  EXPECT_TRUE(nothing(ErrorCode::internal));
  EXPECT_EQ(nothing(ErrorCode::conflict).error().code, ErrorCode::conflict);
}

TEST(Result, CarriesValuesThatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  ASSERT_TRUE(result);
  EXPECT_EQ(*std::move(result).value(), 7);
}

TEST(Result, EveryErrorCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code) {
    names.insert(name(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::internal) + 1);
}

TEST(Result, AnErrorAboutFieldsRepeatsTheFirstInItsMessage) {
  const Error error = invalid_fields({{"steps", "0", "is too small", "1-200"}, {"width", "7", "is too small", ""}});
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_EQ(error.message, "steps: is too small (allowed: 1-200)");
  EXPECT_EQ(error.fields.size(), 2u);
}

TEST(Result, TellsSystemErrorsApart) {
  EXPECT_EQ(system_error("write a.png", ENOSPC).code, ErrorCode::disk_full);
  EXPECT_EQ(system_error("write a.png", EDQUOT).code, ErrorCode::disk_full);
  EXPECT_EQ(system_error("open a.png", EACCES).code, ErrorCode::permission_denied);
  EXPECT_EQ(system_error("open a.png", EROFS).code, ErrorCode::permission_denied);
  EXPECT_EQ(system_error("open a.png", ENOENT).code, ErrorCode::not_found);
  EXPECT_EQ(system_error("open a.png", EMFILE).code, ErrorCode::resource_exhausted);
  EXPECT_EQ(system_error("open a.png", EIO).code, ErrorCode::internal);
  EXPECT_EQ(system_error("open a.png", ENOENT).message, "open a.png: No such file or directory");
}

}  // namespace
}  // namespace pixelfleet
