#include <sqlite3.h>

#include <cerrno>

#include "base/check.h"
#include "base/format.h"
#include "store/connection_internal.h"

namespace pixelfleet::store {
namespace {

// Another program (a backup, a shell) may hold the write lock for a moment.
constexpr int kBusyTimeoutMs = 2000;

bool out_of_space(int code, int errno_value) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  // A failed sync is not an ordinary "full": what reached the disk is unknown then.
  return (code & 0xff) == SQLITE_IOERR && code != SQLITE_IOERR_FSYNC &&
         (errno_value == ENOSPC || errno_value == EDQUOT);
}

}  // namespace

std::int64_t Row::integer() { return sqlite3_column_int64(statement_, column_++); }

double Row::real() { return sqlite3_column_double(statement_, column_++); }

std::string_view Row::text() {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column_));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column_));
  ++column_;
  return text != nullptr ? std::string_view(text, size) : std::string_view();
}

std::optional<std::int64_t> Row::integer_or_null() {
  if (sqlite3_column_type(statement_, column_) != SQLITE_NULL) return integer();
  ++column_;
  return std::nullopt;
}

std::optional<Instant> Row::time_or_null() {
  const auto unix_ms = integer_or_null();
  return unix_ms ? std::optional(from_unix_ms(*unix_ms)) : std::nullopt;
}

Call::~Call() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);  // repeats the failure that next() told already
  sqlite3_clear_bindings(statement_);
}

void Call::bind(double value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_double(statement_, ++parameter_, value);
}

void Call::bind(std::string_view value) {
  // A null pointer would bind NULL where the text is empty.
  const char* data = value.data() != nullptr ? value.data() : "";
  if (code_ == SQLITE_OK) {
    code_ = sqlite3_bind_text64(statement_, ++parameter_, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
}

void Call::bind_integer(std::int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, ++parameter_, value);
}

void Call::bind_null() {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, ++parameter_);
}

Result<bool> Call::next() {
  if (code_ == SQLITE_OK) {
    const int step = sqlite3_step(statement_);
    if (step == SQLITE_ROW) return true;
    if (step == SQLITE_DONE) return false;
    code_ = step;
  }
  return fail(connection_.error(code_, kQueries[static_cast<std::size_t>(query_)].sql));
}

Result<std::int64_t> Call::run() {
  while (true) {
    const auto more = next();
    if (!more) return fail(more.error());
    if (!*more) return sqlite3_changes64(connection_.handle_);
  }
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& file, Role role,
                                                     const std::string& vfs) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (role == Role::writer ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  std::unique_ptr<Connection> connection(new Connection(handle, file));
  if (handle == nullptr) return fail(ErrorCode::resource_exhausted, format("no memory to open {}", file.native()));
  if (code != SQLITE_OK) return fail(connection->error(sqlite3_extended_errcode(handle), "open"));
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  if (role == Role::reader) {
    if (auto done = connection->execute("PRAGMA query_only = ON"); !done) return fail(done.error());
  }
  return connection;
}

Connection::~Connection() {
  for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

int Connection::prepare(Query query) {
  sqlite3_stmt*& statement = statements_[static_cast<std::size_t>(query)];
  if (statement != nullptr) return SQLITE_OK;
  const char* sql = kQueries[static_cast<std::size_t>(query)].sql;
  return sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
}

Result<> Connection::prepared(Query query) {
  const int code = prepare(query);
  if (code != SQLITE_OK) return fail(error(code, kQueries[static_cast<std::size_t>(query)].sql));
  return {};
}

Call Connection::call(Query query) {
  const int code = prepare(query);
  return Call(*this, query, statements_[static_cast<std::size_t>(query)], code);
}

Result<> Connection::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code, sql));
  return {};
}

Result<std::string> Connection::ask(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr);
  std::string answer;
  if (code == SQLITE_OK) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) answer = Row(statement).string();
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    Error why = error(code, sql);
    sqlite3_finalize(statement);
    return fail(std::move(why));
  }
  sqlite3_finalize(statement);
  return answer;
}

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Error Connection::error(int code, std::string_view doing) const {
  const std::string file = file_.native();
  const int errno_value = sqlite3_system_errno(handle_);
  const std::string detail =
      format("{} (SQLite code {}, at \"{}\")", sqlite3_errmsg(handle_), code, doing.substr(0, 60));
  if (out_of_space(code, errno_value)) {
    return {ErrorCode::disk_full,
            format("the disk that holds {} is full, nothing was stored; free some space there, then try again", file)};
  }
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorCode::corrupt, format("{} is damaged: {}. Stop the server, move the file aside together with its "
                                         "-wal and -shm files and start again with a backup of it or without one",
                                         file, detail)};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {ErrorCode::permission_denied,
              format("{} cannot be written: {}. Make file and directory writable for this user", file, detail)};
    case SQLITE_CANTOPEN: {
      Error why = system_error(format("cannot open {}", file), errno_value != 0 ? errno_value : EIO);
      why.message += "; the data directory must exist and be writable for this user";
      return why;
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::unavailable,
              format("{} is locked by another program: {}; end it, then try again", file, detail)};
    case SQLITE_CONSTRAINT: return {ErrorCode::conflict, format("{}: {}", file, detail)};
    case SQLITE_NOMEM: return {ErrorCode::resource_exhausted, format("{}: {}", file, detail)};
    default: {
      std::string text = format("{}: {}", file, detail);
      if (errno_value != 0) text += format("; {}", system_error("system", errno_value).message);
      return {ErrorCode::internal, std::move(text)};
    }
  }
}

}  // namespace pixelfleet::store
