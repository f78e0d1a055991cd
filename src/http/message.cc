#include "http/message.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"

namespace pixelfleet::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus { literal, space };

std::optional<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::space) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  if (find_invalid_utf8(decoded) || decoded.find('\0') != std::string::npos) return std::nullopt;
  return decoded;
}

bool climbs(std::string_view path) {
  if (path.find('\\') != std::string_view::npos) return true;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<TemporaryFile>> TemporaryFile::create(const std::filesystem::path& directory) {
  std::error_code ignored;  // the open below tells what is wrong
  std::filesystem::create_directories(directory, ignored);
  std::filesystem::path path = directory / (".incoming-" + random_hex(12));
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(system_error("cannot create " + path.string(), errno));
  return std::unique_ptr<TemporaryFile>(new TemporaryFile(std::move(path), std::move(fd)));
}

TemporaryFile::~TemporaryFile() { discard(); }

void TemporaryFile::discard() {
  if (!path_.empty()) ::unlink(path_.c_str());
  path_.clear();
}

Result<> TemporaryFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(system_error("cannot write " + path_.string(), errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
    bytes_ += written;
  }
  return {};
}

Result<> TemporaryFile::publish(const std::string& name) {
  const std::filesystem::path directory = path_.parent_path();
  const std::filesystem::path final_path = directory / name;
  if (::fsync(fd_.get()) != 0) return fail(system_error("cannot write " + path_.string(), errno));
  if (::rename(path_.c_str(), final_path.c_str()) != 0) {
    return fail(system_error("cannot rename to " + final_path.string(), errno));
  }
  path_.clear();
  const UniqueFd directory_fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_fd || ::fsync(directory_fd.get()) != 0) {
    return fail(system_error("cannot write " + directory.string(), errno));
  }
  return {};
}

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

bool Request::has_header(std::string_view name) const { return count_headers(name) > 0; }

std::size_t Request::count_headers(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; }));
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Response json_response(int status, const Json& value) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body = to_text(value);
  return response;
}

Result<> parse_target(std::string_view target, Request& request) {
  if (target.empty() || target.front() != '/') {
    return fail(ErrorCode::invalid_argument, "the request target must be a path that begins with /");
  }
  const std::size_t question = target.find('?');
  const std::optional<std::string> path = percent_decode(target.substr(0, question), Plus::literal);
  if (!path || climbs(*path)) {
    return fail(ErrorCode::invalid_argument, "the path is not valid: broken percent-encoding, '..' or '\\' in it");
  }
  request.path = *path;
  if (question == std::string_view::npos) return {};

  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const auto name = percent_decode(pair.substr(0, equals), Plus::space);
    const auto value =
        percent_decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), Plus::space);
    if (!name || !value) {
      return fail(ErrorCode::invalid_argument, "the query is not valid: broken percent-encoding or not UTF-8");
    }
    request.query.emplace_back(*name, *value);
  }
  return {};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
}

std::string random_hex(std::size_t bytes) {
  std::string random(bytes, '\0');
  CHECK(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(bytes));
  std::string hex;
  for (const char c : random) hex += format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

}  // namespace pixelfleet::http
