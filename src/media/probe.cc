#include <optional>

#include "base/format.h"
#include "media/reader.h"

namespace pixelfleet::media {
namespace {

// Big-endian reads that know where the bytes end.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  std::optional<unsigned> u8(std::size_t at) const {
    if (at >= bytes_.size()) return std::nullopt;
    return static_cast<unsigned char>(bytes_[at]);
  }
  std::optional<unsigned> u16(std::size_t at) const {
    if (at + 2 > bytes_.size()) return std::nullopt;
    return (*u8(at) << 8) | *u8(at + 1);
  }
  std::optional<std::uint32_t> u32(std::size_t at) const {
    if (at + 4 > bytes_.size()) return std::nullopt;
    return (*u16(at) << 16) | *u16(at + 2);
  }

 private:
  const std::string_view bytes_;
};

Result<ImageInfo> within_limits(const char* media_type, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) return fail(ErrorCode::corrupt, "the picture has no pixels");
  if (width > kMaxReadSide || height > kMaxReadSide || width * height > kMaxReadPixels) {
    return fail(ErrorCode::invalid_argument,
                format("the picture has {}x{} pixels; at most {} a side and {} in all are allowed", width, height,
                       kMaxReadSide, kMaxReadPixels));
  }
  return ImageInfo{media_type, static_cast<int>(width), static_cast<int>(height)};
}

Result<ImageInfo> probe_png(const Bytes& bytes) {
  const auto length = bytes.u32(8), type = bytes.u32(12), width = bytes.u32(16), height = bytes.u32(20);
  if (!length || *length != 13 || *type != 0x49484452u || !height) {
    return fail(ErrorCode::corrupt, "the PNG is cut off or does not begin with its header");
  }
  return within_limits("image/png", *width, *height);
}

bool is_frame_header(unsigned marker) {  // SOF0..SOF15 without DHT, JPG and DAC, which share the range
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

Result<ImageInfo> probe_jpeg(const Bytes& bytes) {
  std::size_t at = 2;
  while (const auto mark = bytes.u8(at)) {
    if (*mark != 0xFF) break;
    const auto marker = bytes.u8(at + 1);
    if (!marker) break;
    if (*marker == 0xFF) {  // padding before a marker
      ++at;
      continue;
    }
    if (is_frame_header(*marker)) {
      const auto height = bytes.u16(at + 5), width = bytes.u16(at + 7);
      if (!width) break;
      return within_limits("image/jpeg", *width, *height);
    }
    if (*marker == 0xD9 || *marker == 0xDA) break;  // the pixels begin, or nothing follows: no header was there
    const bool stands_alone = *marker == 0x01 || (*marker >= 0xD0 && *marker <= 0xD8);
    const auto length = stands_alone ? std::optional<unsigned>(0) : bytes.u16(at + 2);
    if (!length || (!stands_alone && *length < 2)) break;
    at += 2 + *length;
  }
  return fail(ErrorCode::corrupt, "the JPEG is cut off or has no frame header");
}

}  // namespace

Result<ImageInfo> probe_image(std::string_view bytes) {
  constexpr std::string_view kPng = "\x89PNG\r\n\x1A\n";
  constexpr std::string_view kJpeg = "\xFF\xD8\xFF";
  if (bytes.starts_with(kPng)) return probe_png(Bytes(bytes));
  if (bytes.starts_with(kJpeg)) return probe_jpeg(Bytes(bytes));
  return fail(ErrorCode::invalid_argument,
              "the file is neither PNG nor JPEG by its first bytes; allowed are image/png and image/jpeg");
}

}  // namespace pixelfleet::media
