#include "catalog/header_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "catalog/tensor_index.h"

namespace pixelfleet::catalog {

Result<HeaderReader> HeaderReader::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail(system_error("cannot open " + path, errno));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(system_error("cannot look at " + path, errno));
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::invalid_argument, path + " is not a regular file");
  std::FILE* file = ::fdopen(fd.get(), "rb");
  if (file == nullptr) return fail(system_error("cannot read " + path, errno));
  (void)fd.release();
  return HeaderReader(file, info.st_size);
}

bool HeaderReader::may_read(std::int64_t count) const {
  return count >= 0 && count <= file_bytes_ - position_ && count <= kMaxHeaderBytes + 8 - position_;
}

std::optional<std::string> HeaderReader::bytes(std::int64_t count) {
  if (!may_read(count)) return std::nullopt;
  std::string result(static_cast<std::size_t>(count), '\0');
  if (std::fread(result.data(), 1, result.size(), file_.get()) != result.size()) return std::nullopt;
  position_ += count;
  return result;
}

std::optional<std::uint64_t> HeaderReader::u64() {
  const auto raw = bytes(8);
  if (!raw) return std::nullopt;
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>((*raw)[static_cast<std::size_t>(i)]);
  return value;
}

std::optional<std::uint32_t> HeaderReader::u32() {
  const auto raw = bytes(4);
  if (!raw) return std::nullopt;
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>((*raw)[static_cast<std::size_t>(i)]);
  return value;
}

bool HeaderReader::skip(std::int64_t count) {
  if (!may_read(count) || std::fseek(file_.get(), static_cast<long>(count), SEEK_CUR) != 0) return false;
  position_ += count;
  return true;
}

}  // namespace pixelfleet::catalog
