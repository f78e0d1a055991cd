#include "store/data_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet::store {
namespace {

std::filesystem::path lock_file(const std::filesystem::path& data_directory) { return data_directory / "lock"; }

struct flock whole_file(short type) {
  struct flock region {};
  region.l_type = type;
  region.l_whence = SEEK_SET;
  return region;  // l_len 0: to the end, wherever that is
}

std::string to_line(const RunningServer& server) {
  const Json json = {{"pid", server.pid},
                     {"address", server.address},
                     {"port", server.port},
                     {"started_at_ms", to_unix_ms(server.started_at)},
                     {"version", server.version}};
  return to_text(json) + "\n";
}

// The holder may be writing its line right now: what does not parse is a holder that has not said yet.
RunningServer read_line(int fd) {
  std::array<char, 4096> buffer;
  const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (size <= 0) return {};
  const std::string_view text(buffer.data(), static_cast<std::size_t>(size));
  const auto json = parse_json(text.substr(0, text.find('\n')));
  if (!json || !json->is_object()) return {};
  try {
    RunningServer server;
    server.pid = json->value("pid", std::int64_t{0});
    server.address = json->value("address", std::string());
    server.port = json->value("port", 0);
    server.started_at = from_unix_ms(json->value("started_at_ms", std::int64_t{0}));
    server.version = json->value("version", std::string());
    return server;
  } catch (const Json::exception&) {  // a member of another type
    return {};
  }
}

Error in_use(const std::filesystem::path& data_directory, const RunningServer& holder) {
  std::string who = holder.pid != 0 ? format("process {}", holder.pid) : std::string("another process");
  if (const std::string url = holder.url(); !url.empty()) who += format(" (page at {})", url);
  return {ErrorCode::conflict, format("data directory {} is in use by {}; stop it or choose another with --data",
                                      data_directory.native(), who)};
}

Error unusable(const std::filesystem::path& data_directory, int errno_value) {
  Error why = system_error(format("cannot use the data directory {}", data_directory.native()), errno_value);
  why.message += "; make it writable for this user, or choose another with --data";
  return why;
}

}  // namespace

std::string RunningServer::url() const {
  if (port == 0) return {};
  const bool is_ipv6 = address.find(':') != std::string::npos;
  return is_ipv6 ? format("http://[{}]:{}", address, port) : format("http://{}:{}", address, port);
}

Result<DataLock> DataLock::acquire(const std::filesystem::path& data_directory, const RunningServer& self) {
  std::error_code code;
  std::filesystem::create_directories(data_directory, code);
  if (code) return fail(unusable(data_directory, code.value()));
  const std::filesystem::path file = lock_file(data_directory);
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return fail(unusable(data_directory, errno));

  struct flock region = whole_file(F_WRLCK);
  if (::fcntl(fd.get(), F_OFD_SETLK, &region) != 0) {
    if (errno == EAGAIN || errno == EACCES) return fail(in_use(data_directory, read_line(fd.get())));
    return fail(unusable(data_directory, errno));
  }
  DataLock lock(std::move(fd), file);
  if (auto announced = lock.announce(self); !announced) return fail(announced.error());
  return lock;
}

DataLock::~DataLock() {
  if (!fd_) return;
  // The file stays: unlinking it would let two servers lock two files of one name. An old line would do no harm.
  [[maybe_unused]] const int ignored = ::ftruncate(fd_.get(), 0);
}

Result<> DataLock::announce(const RunningServer& self) {
  const std::string line = to_line(self);
  const auto size = static_cast<ssize_t>(line.size());
  if (::pwrite(fd_.get(), line.data(), line.size(), 0) != size || ::ftruncate(fd_.get(), size) != 0) {
    return fail(system_error(format("cannot write {}", file_.native()), errno));
  }
  return {};
}

Result<std::optional<RunningServer>> read_running_server(const std::filesystem::path& data_directory) {
  const std::filesystem::path file = lock_file(data_directory);
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<RunningServer>();
    return fail(unusable(data_directory, errno));
  }
  struct flock region = whole_file(F_WRLCK);
  if (::fcntl(fd.get(), F_OFD_GETLK, &region) != 0) return fail(unusable(data_directory, errno));
  if (region.l_type == F_UNLCK) return std::optional<RunningServer>();
  return std::optional<RunningServer>(read_line(fd.get()));
}

}  // namespace pixelfleet::store
