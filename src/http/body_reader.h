// BodyReader: the small JSON objects that orders come with.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/json_full.h"
#include "base/result.h"
#include "domain/job_spec.h"
#include "domain/suggest.h"
#include "http/message.h"

namespace pixelfleet::http {

// Reads the JSON object of a request's body; every wrong key is reported, not the first. No body is an empty object.
class BodyReader {
 public:
  static constexpr const char* kIds = "a positive integer";

  explicit BodyReader(Json body) : body_(std::move(body)) {}

  static Result<BodyReader> open(const Request& request) {
    if (request.body.empty()) return BodyReader(Json::object());
    Result<Json> body = parse_json(request.body);
    if (!body) return fail(body.error());
    if (!body->is_object()) {
      return fail(invalid_fields({{"", shown(*body), "not an object", "a JSON object, such as {}"}}));
    }
    return BodyReader(std::move(*body));
  }

  bool has(const char* key) const { return body_.contains(key); }
  const Json& at(const char* key) const { return body_.at(key); }

  std::optional<std::int64_t> id(const char* key) {
    if (!has(key)) return std::nullopt;
    const auto value = id_in(at(key));
    if (!value) wrong(key, "not an id", kIds);
    return value;
  }

  static std::optional<std::int64_t> id_in(const Json& json) {
    const bool fits =
        json.is_number_integer() &&
        (!json.is_number_unsigned() || json.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max());
    if (!fits || json.get<std::int64_t>() < 1) return std::nullopt;
    return json.get<std::int64_t>();
  }

  std::optional<std::int64_t> integer(const char* key, std::int64_t lowest, std::int64_t highest) {
    if (!has(key)) return std::nullopt;
    const Json& json = at(key);
    const bool fits = json.is_number_integer() && json >= lowest && json <= highest;
    if (fits) return json.get<std::int64_t>();
    wrong(key, "out of range", format("a whole number from {} to {}", lowest, highest));
    return std::nullopt;
  }

  // A name of somebody or something: not empty.
  std::optional<std::string> name(const char* key, std::string allowed) {
    if (!has(key)) return std::nullopt;
    const Json& json = at(key);
    const bool fits = json.is_string() && !json.get_ref<const std::string&>().empty() &&
                      json.get_ref<const std::string&>().size() <= limits::kMaxNameBytes;
    if (fits) return json.get<std::string>();
    wrong(key, "not a name", std::move(allowed));
    return std::nullopt;
  }

  void wrong(const char* key, std::string message, std::string allowed) {
    errors_.push_back({key, has(key) ? shown(at(key)) : "", std::move(message), std::move(allowed)});
  }

  // After the reads: what was wrong, keys that nobody reads included.
  Result<> finish(std::initializer_list<const char*> known) {
    const std::vector<std::string> names(known.begin(), known.end());
    std::string allowed;
    for (const std::string& each : names) allowed += (allowed.empty() ? "" : ", ") + each;
    for (const auto& [key, value] : body_.items()) {
      if (std::find(names.begin(), names.end(), key) != names.end()) continue;
      const auto near = nearest_name(key, names);
      errors_.push_back({key.substr(0, 100), shown(value),
                         near ? format("unknown key; did you mean '{}'?", *near) : "unknown key",
                         allowed.empty() ? "no keys" : allowed});
    }
    if (errors_.empty()) return {};
    return fail(invalid_fields(std::move(errors_)));
  }

 private:
  static std::string shown(const Json& value) { return to_text(value).substr(0, 100); }

  Json body_;
  std::vector<FieldError> errors_;
};

}  // namespace pixelfleet::http
