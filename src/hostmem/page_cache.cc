#include "hostmem/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/format.h"

namespace pixelfleet::hostmem {
namespace {

constexpr std::int64_t kBlock = 4 << 20;
constexpr std::int64_t kAhead = 32 << 20;                // asked of the disk before it is needed
constexpr std::int64_t kLookAt = std::int64_t{1} << 30;  // mapped at a time, to look at its pages

std::int64_t page_size() {
  static const std::int64_t size = ::sysconf(_SC_PAGESIZE);
  return size;
}

// Of the part that begins at `offset`.
Result<std::int64_t> resident_part(int file, const std::string& path, std::int64_t offset, std::int64_t length) {
  void* const mapping = ::mmap(nullptr, static_cast<std::size_t>(length), PROT_READ, MAP_SHARED, file, offset);
  if (mapping == MAP_FAILED) return fail(system_error("cannot map " + path, errno));
  const std::int64_t pages = (length + page_size() - 1) / page_size();
  std::vector<unsigned char> there(static_cast<std::size_t>(pages));
  const int looked = ::mincore(mapping, static_cast<std::size_t>(length), there.data());
  const int error = errno;
  ::munmap(mapping, static_cast<std::size_t>(length));
  if (looked != 0) return fail(system_error("cannot see which pages of " + path + " are in memory", error));
  const auto count = std::count_if(there.begin(), there.end(), [](unsigned char page) { return (page & 1) != 0; });
  return std::min<std::int64_t>(count * page_size(), length);
}

}  // namespace

Result<FileInMemory> FileInMemory::open(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(system_error("cannot open " + path, errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail(system_error("cannot look at " + path, errno));
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::invalid_argument, format("{} is not a file", path));
  const bool may_look = info.st_uid == ::geteuid() || ::access(path.c_str(), W_OK) == 0;
  return FileInMemory(std::move(file), path, info.st_size, may_look);
}

Result<std::optional<std::int64_t>> FileInMemory::resident_bytes() const {
  if (!may_look_) return std::optional<std::int64_t>();
  std::int64_t resident = 0;
  for (std::int64_t offset = 0; offset < bytes_; offset += kLookAt) {
    const auto part = resident_part(file_.get(), path_, offset, std::min(kLookAt, bytes_ - offset));
    if (!part) return fail(part.error());
    resident += *part;
  }
  return std::optional(resident);
}

Result<FileInMemory::Reading> FileInMemory::read_in(const std::atomic<bool>& cancelled) const {
  ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<char> block(static_cast<std::size_t>(kBlock));
  std::int64_t asked_for = 0;
  for (std::int64_t offset = 0; offset < bytes_;) {
    if (cancelled) return Reading::cancelled;
    if (asked_for < offset + kAhead) {
      ::posix_fadvise(file_.get(), asked_for, kAhead, POSIX_FADV_WILLNEED);
      asked_for += kAhead;
    }
    const ssize_t read = ::pread(file_.get(), block.data(), block.size(), offset);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return fail(system_error("cannot read " + path_, errno));
    if (read == 0) break;  // it became shorter
    offset += read;
  }
  return Reading::complete;
}

void FileInMemory::let_go() const { ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED); }

}  // namespace pixelfleet::hostmem
