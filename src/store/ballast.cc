#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/format.h"
#include "base/unique_fd.h"
#include "store/ballast_internal.h"

namespace pixelfleet::store {

Result<> Ballast::hold() {
  if (held_) return {};
  if (bytes_ <= 0) {
    held_ = true;
    return {};
  }
  const UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(system_error(format("cannot create {}", file_.native()), errno));
  struct stat status {};
  // One left by an earlier run has its blocks already.
  const bool present = ::fstat(fd.get(), &status) == 0 && status.st_size == bytes_ && status.st_blocks * 512 >= bytes_;
  const int code = present ? 0 : ::posix_fallocate(fd.get(), 0, bytes_);
  if (code != 0) {
    ::unlink(file_.c_str());
    return fail(system_error(format("cannot reserve {} bytes in {}", bytes_, file_.native()), code));
  }
  held_ = true;
  return {};
}

void Ballast::release() {
  if (bytes_ > 0) ::unlink(file_.c_str());
  held_ = false;
}

}  // namespace pixelfleet::store
