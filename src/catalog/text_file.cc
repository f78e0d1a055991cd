#include "catalog/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/format.h"
#include "base/unique_fd.h"
#include "base/utf8.h"

namespace pixelfleet::catalog {

Result<std::string> read_small_file(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail(system_error("cannot open " + file, errno));
  std::string text;
  char buffer[16'384];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(system_error("cannot read " + file, errno));
    if (got == 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kMaxTextFileBytes) {
      return fail(ErrorCode::corrupt, format("{} is longer than {} bytes", file, kMaxTextFileBytes));
    }
  }
  if (const auto bad = find_invalid_utf8(text)) {
    return fail(ErrorCode::corrupt, format("{} is not UTF-8: invalid byte at offset {}", file, *bad));
  }
  return text;
}

Result<> replace_file(const std::string& file, std::string_view text) {
  const std::string temporary = file + ".new";
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail(system_error("cannot write " + temporary, errno));
  while (!text.empty()) {
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(system_error("cannot write " + temporary, errno));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd.get()) != 0 || std::rename(temporary.c_str(), file.c_str()) != 0) {
    return fail(system_error("cannot replace " + file, errno));
  }
  const auto parent = std::filesystem::path(file).parent_path();
  const UniqueFd directory(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory && ::fsync(directory.get()) != 0) return fail(system_error("cannot sync " + parent.string(), errno));
  return {};
}

}  // namespace pixelfleet::catalog
