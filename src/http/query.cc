#include "http/query.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/format.h"
#include "domain/suggest.h"

namespace pixelfleet::http {

std::optional<std::int64_t> QueryReader::integer(std::string_view name, std::int64_t lowest, std::int64_t highest) {
  const auto text = request_.query_value(name);
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size() && value >= lowest && value <= highest) return value;
  const std::string allowed = highest == std::numeric_limits<std::int64_t>::max()
                                  ? format("an integer of at least {}", lowest)
                                  : format("an integer from {} to {}", lowest, highest);
  errors_.push_back({std::string(name), std::string(text->substr(0, 100)), "not an allowed number", allowed});
  return std::nullopt;
}

std::size_t QueryReader::page_size() {
  return static_cast<std::size_t>(integer("limit", 1, kMaxPage).value_or(kDefaultPage));
}

Result<> QueryReader::finish(std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : request_.query) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::vector<std::string> names(known.begin(), known.end());
    const auto nearest = nearest_name(name, names);
    std::string allowed;
    for (const std::string& each : names) allowed += (allowed.empty() ? "" : ", ") + each;
    errors_.push_back({name.substr(0, 100), value.substr(0, 100),
                       nearest ? format("unknown parameter; did you mean '{}'?", *nearest) : "unknown parameter",
                       allowed.empty() ? "no parameters" : allowed});
  }
  if (errors_.empty()) return {};
  return fail(invalid_fields(std::move(errors_)));
}

}  // namespace pixelfleet::http
