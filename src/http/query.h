// Reads query parameters; every wrong one is reported, not the first.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace pixelfleet::http {

inline constexpr std::int64_t kMaxPage = 200;
inline constexpr std::int64_t kDefaultPage = 50;

class QueryReader {
 public:
  explicit QueryReader(const Request& request) : request_(request) {}

  // Nothing when absent or wrong.
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t lowest, std::int64_t highest);
  std::size_t page_size();  // `limit`
  std::optional<std::string_view> text(std::string_view name) const { return request_.query_value(name); }
  void wrong(FieldError error) { errors_.push_back(std::move(error)); }

  // After the reads: what was wrong, unknown parameters included (the near name is suggested).
  Result<> finish(std::initializer_list<std::string_view> known);

 private:
  const Request& request_;
  std::vector<FieldError> errors_;
};

}  // namespace pixelfleet::http
