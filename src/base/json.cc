#include "base/json.h"

#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"

namespace pixelfleet {
namespace {

// A first pass that builds nothing: it stops at the first breach of the limits, before memory is spent.
class LimitChecker final : public nlohmann::json_sax<Json> {
 public:
  explicit LimitChecker(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool start_object(std::size_t) override { return enter(); }
  bool key(string_t&) override { return count(); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    const std::string_view what = e.what();
    const std::size_t colon = what.find(": ");
    error = format("not valid JSON at byte {}: {}", position,
                   colon == std::string_view::npos ? what : what.substr(colon + 2));
    return false;
  }

  std::string error;

 private:
  bool count() {
    if (++values_ <= limits_.max_values) return true;
    error = format("JSON has more than {} values", limits_.max_values);
    return false;
  }
  bool enter() {
    if (++depth_ > limits_.max_depth) {
      error = format("JSON is nested deeper than {}", limits_.max_depth);
      return false;
    }
    return count();
  }
  bool leave() {
    --depth_;
    return true;
  }

  const JsonLimits& limits_;
  int depth_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(ErrorCode::resource_exhausted,
                format("JSON is {} bytes long; at most {} are allowed", text.size(), limits.max_bytes));
  }
  if (const auto bad = find_invalid_utf8(text)) {
    return fail(ErrorCode::invalid_argument, format("JSON is not UTF-8: invalid byte at offset {}", *bad));
  }
  LimitChecker checker(limits);
  if (!Json::sax_parse(text, &checker)) return fail(ErrorCode::invalid_argument, checker.error);
  return Json::parse(text, nullptr, false);
}

std::string to_text(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace pixelfleet
