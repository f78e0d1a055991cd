#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/format.h"
#include "media/reader.h"

namespace pixelfleet::media {
namespace {

constexpr int kQuality = 80;
constexpr int kMaxSide = 2048;

// FNV-1a: short file names for paths of any length, the same on every machine.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

std::optional<std::string> read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.size() < 4 || !bytes.starts_with("\xFF\xD8") || !bytes.ends_with("\xFF\xD9")) return std::nullopt;
  return bytes;
}

// Not synced: a thumbnail lost or cut off by a power cut is made again.
void store(const std::string& directory, const std::string& file, const std::string& bytes) {
  static std::atomic<unsigned> counter{0};
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  const std::string temporary = format("{}.{}.{}.tmp", file, ::getpid(), counter.fetch_add(1));
  std::ofstream out(temporary, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out.fail() || std::rename(temporary.c_str(), file.c_str()) != 0) std::remove(temporary.c_str());
}

}  // namespace

Result<std::string> thumbnail_jpeg(const std::string& path, int max_side) {
  if (max_side < 16 || max_side > kMaxSide) {
    return fail(ErrorCode::invalid_argument, format("thumbnail side {}: allowed are 16 to {}", max_side, kMaxSide));
  }
  const auto image = read_png(path);
  if (!image) return fail(image.error());
  const FittedSize size = fit_within(image->width, image->height, max_side, max_side);
  return encode_jpeg(box_downscale(image->view(), size.width, size.height).view(), kQuality);
}

Result<std::string> ThumbnailCache::get(const std::string& path, int max_side) const {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(system_error("cannot open " + path, errno));
  const std::string file = format("{}/{:016x}-{:x}{:08x}-{:x}-{}.jpg", directory_, hash_of(path), info.st_mtim.tv_sec,
                                  info.st_mtim.tv_nsec, info.st_size, max_side);
  if (auto cached = read_whole(file)) return std::move(*cached);
  auto made = thumbnail_jpeg(path, max_side);
  if (made) store(directory_, file, *made);
  return made;
}

}  // namespace pixelfleet::media
