#include "http/safe_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"

namespace pixelfleet::http {
namespace {

int open_with_kernel(int root, const std::string& relative) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how));
}

// For kernels and sandboxes without openat2: component by component, none of them a link.
int open_by_components(int root, const std::string& relative) {
  UniqueFd directory(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  std::size_t begin = 0;
  while (true) {
    const std::size_t slash = relative.find('/', begin);
    const std::string component = relative.substr(begin, slash - begin);
    if (component.empty() || component == "." || component == "..") {
      errno = EXDEV;
      return -1;
    }
    const int common = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
    if (slash == std::string::npos) return ::openat(directory.get(), component.c_str(), common | O_NOCTTY | O_NONBLOCK);
    directory.reset(::openat(directory.get(), component.c_str(), common | O_DIRECTORY));
    if (!directory) return -1;
    begin = slash + 1;
  }
}

}  // namespace

Result<OpenFile> open_beneath(const std::filesystem::path& root, const std::string& relative) {
  const UniqueFd root_fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd) return fail(system_error("cannot open " + root.string(), errno));
  int fd = open_with_kernel(root_fd.get(), relative);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) fd = open_by_components(root_fd.get(), relative);
  OpenFile file{UniqueFd(fd), 0};
  if (!file.fd) {
    if (errno == ELOOP || errno == EXDEV) {
      return fail(ErrorCode::permission_denied, format("'{}' leads out of {} or is a link", relative, root.string()));
    }
    return fail(system_error("cannot open " + (root / relative).string(), errno));
  }
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ErrorCode::permission_denied, format("'{}' is not a regular file", relative));
  }
  file.bytes = status.st_size;
  return file;
}

}  // namespace pixelfleet::http
