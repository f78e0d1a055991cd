#include "apps/token.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "base/format.h"
#include "base/rng.h"
#include "base/unique_fd.h"

namespace pixelfleet::apps {
namespace {

constexpr std::size_t kTokenCharacters = 64;

std::string random_token() {
  std::string token;
  while (token.size() < kTokenCharacters) token += format("{:016x}", random_seed());
  return token;
}

Result<std::string> read_token_file(int fd, const std::string& file) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return fail(system_error(file, errno));
  if ((status.st_mode & 077) != 0) {
    return fail(ErrorCode::permission_denied,
                format("{} may be read by others; run `chmod 600 {}`, or delete it to get a new token", file, file));
  }
  std::array<char, kTokenCharacters + 2> buffer{};
  const ssize_t length = ::read(fd, buffer.data(), buffer.size());
  if (length < 0) return fail(system_error(file, errno));
  std::string token(buffer.data(), static_cast<std::size_t>(length));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.size() < 32) {
    return fail(ErrorCode::corrupt, format("{} holds no token; delete it to get a new one", file));
  }
  return token;
}

}  // namespace

Result<std::string> read_token(const std::filesystem::path& data_directory) {
  const std::string file = (data_directory / "token").string();
  const UniqueFd existing(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!existing) return fail(system_error(file, errno));
  return read_token_file(existing.get(), file);
}

Result<std::string> load_or_make_token(const std::filesystem::path& data_directory) {
  const std::string file = (data_directory / "token").string();
  const UniqueFd existing(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (existing) return read_token_file(existing.get(), file);
  if (errno != ENOENT) return fail(system_error(file, errno));
  const UniqueFd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!made) return fail(system_error(file, errno));
  const std::string token = random_token();
  if (::write(made.get(), token.data(), token.size()) != static_cast<ssize_t>(token.size())) {
    return fail(system_error(file, errno));
  }
  return token;
}

}  // namespace pixelfleet::apps
