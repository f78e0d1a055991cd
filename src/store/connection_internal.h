// Connection, Call, Row: SQLite as the store uses it; the only place that turns its codes into our Errors.
//
// A Connection belongs to one thread at a time (NOMUTEX). Statements are prepared once, on first use, and kept. A Call
// is one use of a statement; it resets the statement when it goes, so no read transaction outlives it.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/strong_id.h"
#include "store/queries.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pixelfleet::store {

// The columns of the current row, read from left to right. Views die with the next step.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}

  std::int64_t integer();  // 0 for NULL
  int small() { return static_cast<int>(integer()); }
  double real();
  std::string_view text();  // empty for NULL
  std::string string() { return std::string(text()); }
  std::optional<std::int64_t> integer_or_null();
  Instant time() { return from_unix_ms(integer()); }
  std::optional<Instant> time_or_null();

 private:
  sqlite3_stmt* statement_;
  int column_ = 0;
};

class Connection;

class Call {
 public:
  Call(Connection& connection, Query query, sqlite3_stmt* statement, int code)
      : connection_(connection), query_(query), statement_(statement), code_(code) {}
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Binds the next parameters. Texts must live until the Call goes.
  template <class... Values>
  Call& with(const Values&... values) {
    (bind(values), ...);
    return *this;
  }

  Result<std::int64_t> run();  // to its end; the number of changed rows
  Result<bool> next();         // whether there is one more row
  Row row() const { return Row(statement_); }

 private:
  void bind(std::integral auto value) { bind_integer(static_cast<std::int64_t>(value)); }
  void bind(double value);
  void bind(std::string_view value);
  void bind(Instant value) { bind_integer(to_unix_ms(value)); }
  template <class Tag>
  void bind(StrongId<Tag> value) {
    bind_integer(value.value);
  }
  template <class T>
  void bind(const std::optional<T>& value) {
    value ? bind(*value) : bind_null();
  }
  void bind_integer(std::int64_t value);
  void bind_null();

  Connection& connection_;
  const Query query_;
  sqlite3_stmt* const statement_;
  int code_;  // the first failure; later binds and steps do nothing
  int parameter_ = 0;
};

class Connection {
 public:
  enum class Role { writer, reader };

  // A writer creates the file; a reader needs it and cannot change it. An empty `vfs` is SQLite's default.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& file, Role role, const std::string& vfs);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Call call(Query query);
  // Whether the schema still has what the statement names.
  Result<> prepared(Query query);
  // For pragmas and the schema; several statements, rows are dropped.
  Result<> execute(const std::string& sql);
  // The first column of the first row; empty when there is none.
  Result<std::string> ask(const std::string& sql);
  bool in_transaction() const;

  // What SQLite's `code` means to us, with the file and the next step.
  Error error(int code, std::string_view doing) const;

 private:
  Connection(sqlite3* handle, std::filesystem::path file) : handle_(handle), file_(std::move(file)) {}
  int prepare(Query query);

  friend class Call;
  sqlite3* const handle_;
  const std::filesystem::path file_;
  std::array<sqlite3_stmt*, kQueries.size()> statements_{};
};

}  // namespace pixelfleet::store
