// Result<T>: a value or the Error that says why there is none.
//
// The only file that knows which `expected` we use. Expected failures travel in it; programmer mistakes are
// CHECKed (check.h), and exceptions of libraries are caught at the edge that called them.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace pixelfleet {

// What went wrong, coarse enough that one table maps it to an HTTP status and a CLI exit code.
enum class ErrorCode {
  invalid_argument,    // the caller sent something that is not allowed
  not_found,           // no such job, model, file ...
  conflict,            // the thing exists but not in a state that allows this
  permission_denied,   // the operating system or our access rules said no
  resource_exhausted,  // a limit of ours, memory, or a full queue
  disk_full,           // ENOSPC or EDQUOT
  unavailable,         // a part that is needed is not there now; trying again may help
  corrupt,             // a file or message breaks its own format
  internal,            // a failure we did not expect; the message carries what is known
};

std::string_view name(ErrorCode code);

// One input that was wrong: which, what it was, why not, what is allowed. Texts are for people.
struct FieldError {
  std::string field;
  std::string value;
  std::string message;
  std::string allowed;

  friend bool operator==(const FieldError&, const FieldError&) = default;
};

// `message` is for people: what was wrong, where, what to do next. `fields` lists every wrong input, not the first.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::vector<FieldError> fields = {};

  friend bool operator==(const Error&, const Error&) = default;
};

// Upstream's type warns nowhere when it is dropped; this one does.
template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
  using Base = tl::expected<T, Error>;

 public:
  using Base::Base;
  Result(Base base) : Base(std::move(base)) {}
};

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// invalid_argument about one or more inputs; the message repeats the first.
Error invalid_fields(std::vector<FieldError> fields);

// An Error from errno: "WHAT: strerror", with disk_full, permission_denied and not_found told apart.
Error system_error(std::string_view what, int errno_value);

}  // namespace pixelfleet
