#include "http/session_secret.h"

#include <algorithm>
#include <fstream>

#include "base/log.h"
#include "http/message.h"

namespace pixelfleet::http {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr const char* kFileName = "session_secret";

bool well_formed(const std::string& secret) {
  return secret.size() == 2 * kSecretBytes && std::all_of(secret.begin(), secret.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Result<std::string> load_session_secret(const std::filesystem::path& data_directory) {
  const std::filesystem::path path = data_directory / kFileName;
  std::string secret;
  if (std::ifstream file(path); file >> secret) {
    if (well_formed(secret)) return secret;
    log::warn("http", "{} is damaged; making a new one, pages must be reloaded", path.string());
  }
  secret = random_hex(kSecretBytes);
  const Result<std::unique_ptr<TemporaryFile>> file = TemporaryFile::create(data_directory);
  if (!file) return fail(file.error());
  if (const Result<> written = (*file)->append(secret + "\n"); !written) return fail(written.error());
  if (const Result<> published = (*file)->publish(kFileName); !published) return fail(published.error());
  return secret;
}

}  // namespace pixelfleet::http
