#include "media/output_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/format.h"

namespace pixelfleet::media {
namespace {

constexpr std::string_view kTemporaryPrefix = ".pixelfleet-";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr int kMaxSweepDepth = 4;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;

Error file_error(const std::string& what, int number) {
  Error error = system_error(what, number);
  // A mount that went read-only is repaired by people, as a full disk is: the picture waits for both.
  if (number == EROFS || number == ENOSPC || number == EDQUOT) error.code = ErrorCode::disk_full;
  return error;
}

Result<std::vector<std::string>> components_of(const std::string& relative_path) {
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::path(relative_path)) parts.push_back(part.string());
  for (const std::string& part : parts) {
    if (part.empty() || part == "." || part == ".." || part.front() == '/') {
      return fail(ErrorCode::invalid_argument,
                  format("'{}' does not name a file below the output directory", relative_path));
    }
  }
  if (parts.empty()) return fail(ErrorCode::invalid_argument, "the picture's path is empty");
  return parts;
}

// Opens a directory below `parent`, made if it is missing; a new entry is synced into its parent.
Result<UniqueFd> enter(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0777) == 0) {
    if (::fsync(parent) != 0) return fail(file_error("cannot sync the directory above " + name, errno));
  } else if (errno != EEXIST) {
    return fail(file_error("cannot make the directory " + name, errno));
  }
  UniqueFd fd(::openat(parent, name.c_str(), kDirectoryFlags));
  if (!fd) return fail(file_error("cannot open the directory " + name, errno));
  return fd;
}

bool lock_now(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0; }

// A temporary that no living writer holds is removed; true when the name is free now.
bool remove_if_orphan(int directory, const char* name) {
  struct stat info {};
  if (::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  if (S_ISLNK(info.st_mode)) return ::unlinkat(directory, name, 0) == 0;
  if (!S_ISREG(info.st_mode)) return false;
  const UniqueFd fd(::openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  return fd && lock_now(fd.get()) && ::unlinkat(directory, name, 0) == 0;
}

struct Temporary {
  UniqueFd fd;
  std::string name;
};

// A new, locked file. A leftover of the same name is taken away; one that another server holds is avoided.
Result<Temporary> create_temporary(int directory, const std::string& tag) {
  constexpr int kNames = 8;
  for (int n = 1; n <= kNames; ++n) {
    const std::string name =
        format("{}{}{}{}", kTemporaryPrefix, tag, n == 1 ? "" : format(".{}", n), kTemporarySuffix);
    for (int tries = 0; tries < 2; ++tries) {
      UniqueFd fd(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
      if (fd && lock_now(fd.get())) return Temporary{std::move(fd), name};
      if (!fd && errno != EEXIST) return fail(file_error("cannot create " + name, errno));
      if (!remove_if_orphan(directory, name.c_str())) break;
    }
  }
  return fail(ErrorCode::conflict, format("{} temporary names for {} are all in use", kNames, tag));
}

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(file_error("cannot write", errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

int sweep(UniqueFd fd, int depth) {
  const std::unique_ptr<DIR, DirectoryCloser> entries(::fdopendir(fd.get()));
  if (!entries) return 0;
  const int directory = fd.release();  // closed with `entries`
  int removed = 0;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(kTemporaryPrefix) && name.ends_with(kTemporarySuffix)) {
      if (remove_if_orphan(directory, entry->d_name)) ++removed;
      continue;
    }
    const bool maybe_directory = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
    if (!maybe_directory || name == "." || name == ".." || depth == kMaxSweepDepth) continue;
    UniqueFd child(::openat(directory, entry->d_name, kDirectoryFlags));
    if (child) removed += sweep(std::move(child), depth + 1);
  }
  return removed;
}

}  // namespace

Result<OutputDirectory> OutputDirectory::open(const std::string& directory) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(directory, error).lexically_normal();
  std::filesystem::create_directories(absolute, error);
  UniqueFd fd(::open(absolute.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    return fail(system_error("cannot open the output directory " + absolute.string(), error ? error.value() : errno));
  }
  return OutputDirectory(absolute.string(), std::move(fd));
}

Result<> OutputDirectory::publish(const std::string& relative_path, const std::string& temporary_tag,
                                  std::string_view bytes) const {
  auto parts = components_of(relative_path);
  if (!parts) return fail(parts.error());
  UniqueFd held;
  int directory = fd_.get();
  for (std::size_t i = 0; i + 1 < parts->size(); ++i) {
    auto next = enter(directory, (*parts)[i]);
    if (!next) return fail(next.error());
    held = std::move(*next);
    directory = held.get();
  }

  auto temporary = create_temporary(directory, temporary_tag);
  if (!temporary) return fail(temporary.error());
  auto done = write_all(temporary->fd.get(), bytes);
  if (done && ::fsync(temporary->fd.get()) != 0) done = fail(file_error("cannot sync", errno));
  if (done && ::renameat(directory, temporary->name.c_str(), directory, parts->back().c_str()) != 0) {
    done = fail(file_error("cannot rename into place", errno));
  }
  if (!done) {
    ::unlinkat(directory, temporary->name.c_str(), 0);
    Error error = done.error();
    error.message = format("{}/{}: {}", path_, relative_path, error.message);
    return fail(std::move(error));
  }
  if (::fsync(directory) != 0) return fail(file_error("cannot sync the directory of " + relative_path, errno));
  return {};
}

Result<> OutputDirectory::append(const std::string& file_name, std::string_view line) const {
  const UniqueFd fd(
      ::openat(fd_.get(), file_name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) return fail(file_error(format("cannot open {}/{}", path_, file_name), errno));
  struct stat before {};
  if (::fstat(fd.get(), &before) != 0) return fail(file_error("cannot look at " + file_name, errno));
  ssize_t written = -1;
  do {
    written = ::write(fd.get(), line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return {};
  if (written < 0) return fail(file_error(format("cannot write {}/{}", path_, file_name), errno));
  // The disk filled up within the line: take the piece back, unless someone else has written behind it.
  struct stat after {};
  if (::fstat(fd.get(), &after) == 0 && after.st_size == before.st_size + written) {
    if (::ftruncate(fd.get(), before.st_size) != 0) return fail(file_error("cannot repair " + file_name, errno));
  }
  return fail(file_error(format("cannot write {}/{}", path_, file_name), ENOSPC));
}

int OutputDirectory::remove_orphans() const {
  UniqueFd fd(::openat(fd_.get(), ".", kDirectoryFlags));
  return fd ? sweep(std::move(fd), 0) : 0;
}

}  // namespace pixelfleet::media
