// Request and Response: plain structs that handlers see; no HTTP library crosses this line.
//
// A Request is complete when a handler gets it: its target is decoded, its body is in memory or, for uploads, in a
// temporary file. A Response carries its bytes in memory, as a view of static data, or as an open file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::http {

enum class Method { get, head, post, put, patch, other };

using Pairs = std::vector<std::pair<std::string, std::string>>;

// A file that vanishes with this object unless it was renamed away.
class TemporaryFile {
 public:
  // Creates DIRECTORY/.incoming-RANDOM, readable by this user only.
  static Result<std::unique_ptr<TemporaryFile>> create(const std::filesystem::path& directory);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  Result<> append(std::string_view bytes);
  // Syncs the file, renames it to `name` in the same directory and syncs the directory.
  Result<> publish(const std::string& name);
  void discard();  // unlinks it unless published; the destructor does too, but later than an answer may be read
  const std::filesystem::path& path() const { return path_; }
  int fd() const { return fd_.get(); }
  std::int64_t bytes() const { return bytes_; }

 private:
  TemporaryFile(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::filesystem::path path_;
  UniqueFd fd_;
  std::int64_t bytes_ = 0;
};

struct Request {
  Method method = Method::get;
  std::string method_text;  // as sent, for messages
  std::string target;       // as sent
  std::string path;         // percent-decoded, begins with '/'
  Pairs query;              // percent-decoded, in order
  Pairs headers;            // names in lower case, in order
  std::string body;
  std::shared_ptr<TemporaryFile> file;  // the body of an upload
  std::int64_t id = 0;                  // the {id} of the route
  std::string named;                    // the {name} of the route
  std::string request_id;

  // The first header of that name (lower case); empty when absent.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  std::size_t count_headers(std::string_view name) const;
  std::optional<std::string_view> query_value(std::string_view name) const;
};

struct FileBody {
  UniqueFd fd;
  std::int64_t bytes = 0;  // promised in Content-Length
};

struct Response {
  int status = 200;
  Pairs headers;
  std::string body;
  std::string_view static_body;  // used when `body` is empty; lives as long as the program
  std::optional<FileBody> file;  // used instead of both
};

// Answers one request, once, from any thread.
using Responder = std::function<void(Response)>;

Response json_response(int status, const Json& value);

// Fills path and query from `target`. Refuses what is not origin-form, broken percent-encoding, NUL, backslashes and
// ".." segments.
Result<> parse_target(std::string_view target, Request& request);

std::string_view reason_phrase(int status);

// `bytes` random bytes from the operating system, in hex.
std::string random_hex(std::size_t bytes);

}  // namespace pixelfleet::http
